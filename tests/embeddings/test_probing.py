"""probe: the texts are fixed, the vectors are the backend's own, each misbehaviour is seen for what it is."""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from embaudit.embeddings import PROBE_TEXTS, PROBE_TEXTS_VERSION, probe
from embaudit.embeddings.probing.texts import NAMED_TEXTS, PURPOSES
from embaudit.errors import SourceError, UsageError
from embaudit.model.probe import Behaviour, Wire
from embaudit.testing.embedding_server import EmbeddingServer, hashed_vectors

Embed = Callable[[Sequence[str]], np.ndarray]
PLAIN = {
    Behaviour.BATCHES: True,
    Behaviour.KEEPS_ORDER: True,
    Behaviour.REPEATS: True,
    Behaviour.TWINS: True,
    Behaviour.NORMALIZES: True,
    Behaviour.TRUNCATES: False,
    Behaviour.FOLDS_CASE: False,
    Behaviour.TELLS_APART: True,
}
"""How `hashed_vectors` behaves."""
SHORT = ("a", "b", "c")


def test_the_texts_of_a_version_never_change() -> None:
    """Whoever changes a text must give the set a new version: the digest of each version is fixed."""
    digests = {"1": "9155853c60b529bd98ab2e0e704a71127c0d3704536ac8aadec0f8e0d15ebfa8"}

    digest = hashlib.sha256(json.dumps(PROBE_TEXTS).encode()).hexdigest()

    assert digest == digests[PROBE_TEXTS_VERSION]


def test_the_texts_are_what_they_are_said_to_be() -> None:
    """Every text has a purpose, none stands twice, scripts are many, and one is over a window of 512."""
    assert tuple(PURPOSES) == tuple(NAMED_TEXTS)
    assert len(set(PROBE_TEXTS)) == len(PROBE_TEXTS)
    assert len(NAMED_TEXTS["over-length"].split()) > 600
    scripts = "一" <= NAMED_TEXTS["chinese"][0] <= "龥", "가" <= NAMED_TEXTS["korean"][0] <= "힣"
    assert all(scripts)
    assert NAMED_TEXTS["capitals"].lower() == NAMED_TEXTS["sentence"].lower()


@pytest.mark.parametrize("wire", ["tei", "openai", "base"])
def test_a_server_is_probed_over_either_protocol(wire: str) -> None:
    """Over each protocol, and where it is found out, the vectors are those of the model behind it."""
    with EmbeddingServer() as server:
        probed = probe(getattr(server, wire))

    assert np.array_equal(probed.vectors, hashed_vectors(PROBE_TEXTS))
    assert probed.texts == PROBE_TEXTS
    assert probed.texts_version == PROBE_TEXTS_VERSION
    assert {each.behaviour: each.holds for each in probed.observations} == PLAIN
    assert probed.server is not None
    assert probed.server.wire is (Wire.OPENAI if wire == "openai" else Wire.TEI)
    assert not probed.faults


class Encoder:
    """A model as sentence-transformers has it."""

    def encode(self, sentences: list[str]) -> np.ndarray:
        """Vectors of some sentences."""
        return hashed_vectors(sentences)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(hashed_vectors, id="function"),
        pytest.param(lambda texts: hashed_vectors(texts).tolist(), id="lists"),
        pytest.param(Encoder(), id="encode"),
    ],
)
def test_a_local_backend_is_probed(backend: Any) -> None:
    """A function and an object with encode are backends, and know nothing of a server."""
    probed = probe(backend)

    assert np.array_equal(probed.vectors, hashed_vectors(PROBE_TEXTS))
    assert probed.vectors.dtype == np.float32
    assert not probed.vectors.flags.writeable
    assert probed.server is None


def _padded(texts: Sequence[str]) -> np.ndarray:
    """Short texts take on something of the longest text of their batch."""
    longest = max(map(len, texts))
    padding = np.array([[0.2 * (longest > len(text))] for text in texts])
    rows = hashed_vectors(texts) + padding * hashed_vectors(["padding"])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _sorted(texts: Sequence[str]) -> np.ndarray:
    """Vectors in order of length, as batches are made, and never put back."""
    return hashed_vectors(sorted(texts, key=len))


def _wandering() -> Embed:
    calls = itertools.count()
    return lambda texts: hashed_vectors(texts) * (1 + 0.02 * next(calls))


def _second_twin(texts: Sequence[str]) -> np.ndarray:
    """A text that stands a second time gets the vector of another."""
    return hashed_vectors([text if text not in texts[:at] else "twin" for at, text in enumerate(texts)])


MISBEHAVIOURS: Mapping[str, tuple[Embed, Mapping[Behaviour, bool]]] = {
    "pools over padding": (_padded, {Behaviour.BATCHES: False}),
    "forgets to put back": (
        _sorted,
        {Behaviour.BATCHES: False, Behaviour.KEEPS_ORDER: False},
    ),
    "turns round": (
        lambda texts: hashed_vectors(texts)[::-1],
        {Behaviour.BATCHES: False, Behaviour.KEEPS_ORDER: False},
    ),
    "is off by one": (
        lambda texts: np.roll(hashed_vectors(texts), 1, axis=0),
        {Behaviour.BATCHES: False, Behaviour.KEEPS_ORDER: False, Behaviour.TWINS: False},
    ),
    "forgets the second": (_second_twin, {Behaviour.TWINS: False}),
    "does not normalise": (lambda texts: hashed_vectors(texts) * 3, {Behaviour.NORMALIZES: False}),
    "cuts": (lambda texts: hashed_vectors([text[:999] for text in texts]), {Behaviour.TRUNCATES: True}),
    "folds case": (
        lambda texts: hashed_vectors([text.lower() for text in texts]),
        {Behaviour.FOLDS_CASE: True},
    ),
    "knows only ASCII": (
        lambda texts: hashed_vectors([text if text.isascii() else "unknown" for text in texts]),
        {Behaviour.TELLS_APART: False},
    ),
}


@pytest.mark.parametrize("case", MISBEHAVIOURS)
def test_a_misbehaviour_is_seen_and_no_other(case: str) -> None:
    """Each misbehaviour changes what is told of it, and of nothing else; rows show where."""
    embed, told = MISBEHAVIOURS[case]

    probed = probe(embed)

    assert {each.behaviour: each.holds for each in probed.observations} == {**PLAIN, **told}
    assert {each.behaviour for each in probed.faults} == {
        behaviour for behaviour, holds in told.items() if behaviour.is_required and not holds
    }
    assert all(fault.rows for fault in probed.faults)


def test_what_is_not_repeated_is_seen() -> None:
    """A backend that gives other vectors each time does not repeat."""
    assert probe(_wandering()).does(Behaviour.REPEATS) is False


def test_a_behaviour_is_asked_for_by_name() -> None:
    """A behaviour and its name are one; a name that there is none of is a UsageError."""
    probed = probe(hashed_vectors, SHORT)

    assert probed.does("normalizes") is probed.does(Behaviour.NORMALIZES) is True
    with pytest.raises(UsageError, match="'sings' is not a behaviour; use one of batches"):
        probed.does("sings")


def test_noise_of_the_servers_type_is_no_misbehaviour() -> None:
    """What float16 may differ by is accepted of a server of float16, and not of one of float32."""

    def noisy() -> Embed:
        calls = itertools.count()
        return lambda texts: hashed_vectors(texts) * (1 + 0.0005 * (next(calls) > 0))

    for dtype, repeats in (("float16", True), ("float32", False)):
        with EmbeddingServer(noisy(), info={"model_dtype": dtype}) as server:
            assert probe(server.tei).does(Behaviour.REPEATS) is repeats


def test_nothing_is_observed_unless_asked_for() -> None:
    """Without observing, every text is asked for once."""
    with EmbeddingServer() as server:
        probed = probe(server.tei, observe=False)

        assert len(server.requests) == 2
    assert probed.observations == ()
    assert probed.does(Behaviour.REPEATS) is None


def test_other_texts_are_no_version_of_the_set() -> None:
    """A probe of other texts carries no version, and what those texts do not tell is unknown."""
    probed = probe(hashed_vectors, SHORT)

    assert probed.texts == SHORT
    assert probed.texts_version is None
    assert probed.does(Behaviour.TRUNCATES) is None
    assert probed.does(Behaviour.FOLDS_CASE) is None


def test_texts_that_are_refused_are_told_and_the_others_probed() -> None:
    """A server that refuses long texts is probed with the others; the refusal is in its own words."""
    with EmbeddingServer(too_long=lambda text: len(text) > 1000) as server:
        probed, cut = probe(server.openai), probe(server.tei)

    assert [each.text for each in probed.refused] == list(PROBE_TEXTS[-2:])
    assert probed.refused[0].reason == "`inputs` must have less than 512 tokens"
    assert np.array_equal(probed.vectors, hashed_vectors(PROBE_TEXTS[:-2]))
    assert cut.refused == ()


@pytest.mark.parametrize("wire", ["tei", "openai"])
@pytest.mark.parametrize("most", [1, 5])
def test_batches_are_as_large_as_the_server_takes(wire: str, most: int) -> None:
    """No request that is answered has more texts than the server takes, whether it says how many or not."""
    with EmbeddingServer(most_inputs=most) as server:
        probed = probe(getattr(server, wire))

    assert np.array_equal(probed.vectors, hashed_vectors(PROBE_TEXTS))
    assert not probed.refused


def test_a_server_that_refuses_everything_is_an_error() -> None:
    """If no text is taken, the server's words are the error."""
    with (
        EmbeddingServer(too_long=lambda _text: True) as server,
        pytest.raises(SourceError, match="answered 413: `inputs` must have less"),
    ):
        probe(server.openai)


def _fails(_texts: Sequence[str]) -> np.ndarray:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        pytest.param(lambda _texts: hashed_vectors(["a"]), "1 vector for 3 texts", id="too few"),
        pytest.param(lambda texts: hashed_vectors([*texts, "b"]), "4 vectors for 3 texts", id="too many"),
        pytest.param(lambda _texts: np.ones(3), "1 vector for 3 texts", id="one axis"),
        pytest.param(
            lambda _texts: [[1.0] * len(text) for text in ("a", "bb", "c")],
            "1 numbers|2 numbers",
            id="ragged",
        ),
        pytest.param(lambda texts: hashed_vectors(texts) * np.nan, "row 0, column 0 is nan", id="nan"),
        pytest.param(lambda texts: hashed_vectors(texts) * 0, "row 0 is all zeros", id="zeros"),
        pytest.param(
            lambda texts: hashed_vectors(texts).astype(np.float64) * 1e100,
            "float32 cannot hold",
            id="too large",
        ),
        pytest.param(
            lambda texts: hashed_vectors(texts, 8 + len(texts)), "9 numbers, where they had 11", id="other"
        ),
        pytest.param(lambda _texts: "no", "vectors are read from", id="text"),
        pytest.param(lambda _texts: None, "of type NoneType", id="nothing"),
        pytest.param(_fails, "_fails failed: RuntimeError: out of memory", id="fails"),
    ],
)
def test_what_is_no_vector_for_each_text_is_an_error(backend: Embed, message: str) -> None:
    """A backend that gives anything else is a SourceError, which names it and says what was wrong."""
    with pytest.raises(SourceError, match=message):
        probe(backend, SHORT)


@pytest.mark.parametrize(
    ("backend", "texts", "message"),
    [
        pytest.param(None, SHORT, "of type NoneType cannot be asked", id="nothing"),
        pytest.param("localhost:8080", SHORT, "is no address of a server", id="no scheme"),
        pytest.param(hashed_vectors, "a text", "sequence of strings", id="one text"),
        pytest.param(hashed_vectors, ["a", 1], "sequence of strings", id="number"),
        pytest.param(hashed_vectors, [], "no text", id="no text"),
        pytest.param(hashed_vectors, ["a", "\ud800"], "half of a surrogate pair", id="half a character"),
        pytest.param(hashed_vectors, ["a", "b", "a"], "'a'", id="twice"),
        pytest.param(hashed_vectors, list(map(str, range(10_001))), "10,000", id="too many"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(backend: Any, texts: Any, message: str) -> None:
    """A backend or texts that are none are told before anything is asked."""
    with pytest.raises(UsageError, match=message):
        probe(backend, texts)
