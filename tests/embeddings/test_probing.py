"""probe: the texts are fixed, the vectors are the backend's own, each misbehaviour is seen for what it is."""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embaudit.embeddings import PROBE_TEXTS, PROBE_TEXTS_VERSION, probe
from embaudit.embeddings.probing.texts import NAMED_TEXTS, PURPOSES
from embaudit.embeddings.rounding import noise_limit
from embaudit.errors import SourceError, UsageError
from embaudit.model.dtypes import DType
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
        pytest.param(lambda texts: np.ma.masked_array(hashed_vectors(texts)), id="a kind of array"),
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


COLLAPSED: Mapping[Behaviour, bool | None] = {
    Behaviour.TELLS_APART: False,
    Behaviour.KEEPS_ORDER: None,
    Behaviour.TRUNCATES: None,
    Behaviour.FOLDS_CASE: None,
}
"""Where most texts have one vector: a fault, and what it hides is not known."""
MISBEHAVIOURS: Mapping[str, tuple[Embed, Mapping[Behaviour, bool | None]]] = {
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
    "has one vector": (lambda texts: hashed_vectors(["x"] * len(texts)), COLLAPSED),
    "has one vector for most": (
        lambda texts: hashed_vectors([text if len(text) < 12 else "x" for text in texts]),
        COLLAPSED,
    ),
}


@pytest.mark.parametrize("case", MISBEHAVIOURS)
def test_a_misbehaviour_is_seen_and_no_other(case: str) -> None:
    """Each misbehaviour changes what is told of it, and of nothing else; rows show where."""
    embed, told = MISBEHAVIOURS[case]

    probed = probe(embed)

    assert {each.behaviour: each.holds for each in probed.observations} == {**PLAIN, **told}
    assert {each.behaviour for each in probed.faults} == {
        behaviour
        for behaviour, holds in told.items()
        if holds is False and (behaviour.is_required or told is COLLAPSED)
    }
    assert all(fault.rows for fault in probed.faults)


@pytest.mark.parametrize(
    ("texts", "is_fault"),
    [
        pytest.param(("one", "two"), True, id="two texts"),
        pytest.param(("one", "ONE ", " one"), False, id="alike but for case and blanks"),
        pytest.param(("a" * 600, "a" * 600 + "b"), False, id="alike up to their ends"),
        pytest.param(("alone",), False, id="one text"),
        pytest.param(tuple(map(str, range(2500))), True, id="more than are told apart by pairs"),
    ],
)
def test_one_vector_for_all_is_a_fault_unless_the_texts_are_alike(
    texts: tuple[str, ...], *, is_fault: bool
) -> None:
    """Texts that a model may take for one may have one vector; others may not, however many there are."""
    probed = probe(lambda asked: np.ones((len(asked), 4)), texts)

    assert bool(probed.faults) is is_fault


def test_a_pair_that_is_like_others_tells_nothing() -> None:
    """Texts that are not known at all have one vector: that says nothing of capitals or of length."""
    probed = probe(lambda texts: hashed_vectors(["x" if "e" in text.lower() else text for text in texts]))

    assert not probed.faults
    assert probed.does(Behaviour.TELLS_APART) is False
    assert probed.does(Behaviour.FOLDS_CASE) is probed.does(Behaviour.TRUNCATES) is None


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


def _off_alone(share: float) -> Embed:
    """Texts that are asked for alone have vectors that are off by a share of their length."""
    return lambda texts: hashed_vectors(texts) * (1 + share * (len(texts) == 1))


@pytest.mark.parametrize(
    ("share", "dtype", "holds"),
    [
        pytest.param(0.5, None, 1.0, id="within float16"),
        pytest.param(1.5, None, None, id="between both"),
        pytest.param(1.5, "float16", 0.0, id="beyond float16, as stated"),
        pytest.param(1.5, "bfloat16", 1.0, id="within bfloat16, as stated"),
        pytest.param(100, None, 0.0, id="beyond every type"),
    ],
)
def test_what_bfloat16_would_explain_is_no_fault_unless_the_type_is_known(
    share: float, dtype: str | None, holds: float | None
) -> None:
    """Where nobody says the type, what only bfloat16 may differ by is neither a fault nor none."""
    away = share * noise_limit(DType.FLOAT16)
    with EmbeddingServer(_off_alone(away)) as server:
        probed = probe(server.openai, dtype=dtype)

    observed = probed.observed(Behaviour.BATCHES)
    assert observed is not None
    assert observed.holds is (None if holds is None else bool(holds))
    assert observed.is_fault is (holds == 0.0)
    assert observed.worst == pytest.approx(away / (1 + away), rel=1e-3)
    assert bool(observed.rows) is (holds != 1.0)
    assert probed.dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "repeats"),
    [
        pytest.param(torch.float16, True, id="float16"),
        pytest.param(torch.bfloat16, None, id="bfloat16, whose numbers float16 has too"),
    ],
)
def test_the_type_is_seen_in_the_numbers_where_it_can_be(dtype: torch.dtype, *, repeats: bool | None) -> None:
    """Numbers of float16 are of no other type; those of bfloat16 may be of either, so that none is taken."""
    calls = itertools.count()

    def halved(texts: Sequence[str]) -> torch.Tensor:
        share = noise_limit(DType.FLOAT16) * (0.5 if dtype is torch.float16 else 2.0)
        rows = hashed_vectors(texts) * (1 + share * (next(calls) > 0))
        return torch.from_numpy(rows).to(dtype)

    assert probe(halved).does(Behaviour.REPEATS) is repeats


def test_the_stated_type_counts_for_more_than_the_servers() -> None:
    """A server may be wrong about its type: who asks knows better."""
    away = 1.5 * noise_limit(DType.FLOAT16)
    with EmbeddingServer(_off_alone(away), info={"model_dtype": "float32"}) as server:
        assert probe(server.tei).does(Behaviour.BATCHES) is False
        assert probe(server.tei, dtype="bfloat16").does(Behaviour.BATCHES) is True


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


def _cries(_texts: Sequence[str]) -> np.ndarray:
    raise RuntimeError("\x1b[31mred")


class _SilentError(Exception):
    def __str__(self) -> str:
        raise ValueError


def _is_silent(_texts: Sequence[str]) -> np.ndarray:
    raise _SilentError


@pytest.mark.parametrize("kind", [str, Path])
def test_an_answer_is_never_the_name_of_a_file(kind: Callable[[str], Any], tmp_path: Path) -> None:
    """A backend that gives a path has given no vectors, though the file holds them."""
    np.save(tmp_path / "rows.npy", hashed_vectors(SHORT))

    with pytest.raises(SourceError, match="the answer is a text, not vectors"):
        probe(lambda _texts: kind(str(tmp_path / "rows.npy")), SHORT)


class _Documents:
    """An object as LangChain has them."""

    def embed_documents(self, texts: list[str]) -> Any:
        return hashed_vectors(texts).tolist()


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
        pytest.param(lambda _texts: "no", "answer is a text", id="text"),
        pytest.param(lambda texts: np.full((len(texts), 3), 1e-60), "float32 cannot hold", id="too small"),
        pytest.param(_cries, r"_cries failed: RuntimeError: \\x1b\[31mred", id="fails with an escape"),
        pytest.param(
            _is_silent, "_is_silent failed: _SilentError: an error that cannot be told", id="silent"
        ),
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
        pytest.param(
            _Documents(), SHORT, "_Documents cannot be asked; give its method embed_documents", id="other"
        ),
        pytest.param(hashed_vectors, None, "sequence of strings", id="no texts"),
        pytest.param(hashed_vectors, (text for text in SHORT), "sequence of strings", id="generator"),
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


@pytest.mark.parametrize("dtype", ["int8", "half", 16, np.float16])
def test_a_type_that_nobody_computes_in_is_a_usage_error(dtype: Any) -> None:
    """Only the types whose noise is known can be stated."""
    with pytest.raises(UsageError, match="one of float32, float16, bfloat16"):
        probe(hashed_vectors, SHORT, dtype=dtype)
