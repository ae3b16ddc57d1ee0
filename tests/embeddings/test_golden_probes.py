"""Golden probes: what is kept comes back, a damaged file says so, and drift names the texts and how far."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from embaudit.embeddings import PROBE_TEXTS, compare_probes, load_probe, probe, save_probe
from embaudit.embeddings.rounding import noise_limit
from embaudit.errors import FormatError, LimitError, TargetError, UsageError
from embaudit.model.comparison import Relation
from embaudit.model.dtypes import DType
from embaudit.model.limits import Limits
from embaudit.model.probe import Behaviour, Observation, Probe
from embaudit.testing.embedding_server import EmbeddingServer, hashed_vectors


@pytest.fixture(scope="module")
def golden() -> Probe:
    """A probe of a server, with refusals and everything that a server says."""
    with EmbeddingServer(
        model_id="org/model", model_sha="a" * 40, too_long=lambda text: len(text) > 2000
    ) as server:
        return probe(f"{server.tei}?truncate=false")


def with_vectors(golden: Probe, vectors: np.ndarray) -> Probe:
    """The same probe with other vectors."""
    return attrs.evolve(golden, vectors=vectors.astype(np.float32))


def test_what_is_kept_comes_back(golden: Probe, tmp_path: Path) -> None:
    """A probe that was saved and loaded is equal, to the bit, and nothing else lies beside it."""
    collapsed = Observation(behaviour=Behaviour.TELLS_APART, holds=False, rows=(1, 2), is_widespread=True)
    golden = attrs.evolve(golden, dtype=DType.BFLOAT16, observations=(*golden.observations[:-1], collapsed))
    save_probe(golden, tmp_path / "golden.safetensors")

    loaded = load_probe(tmp_path / "golden.safetensors")

    assert loaded == golden
    assert loaded.vectors.tobytes() == golden.vectors.tobytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["golden.safetensors"]
    assert loaded != with_vectors(golden, golden.vectors * 2)


def test_a_kept_probe_is_plain_safetensors(golden: Probe, tmp_path: Path) -> None:
    """Any reader of safetensors reads the vectors, under the name `vectors`."""
    save_probe(golden, tmp_path / "golden.safetensors")

    stored = load_file(tmp_path / "golden.safetensors")

    assert list(stored) == ["vectors"]
    assert np.array_equal(stored["vectors"], golden.vectors)


def test_a_place_that_cannot_be_written_is_told(golden: Probe, tmp_path: Path) -> None:
    """A folder that is not there is a TargetError."""
    (tmp_path / "file").touch()

    for folder in ("nowhere", "file"):
        with pytest.raises(TargetError, match="cannot be written"):
            save_probe(golden, tmp_path / folder / "golden.safetensors")


VECTORS = np.ones((2, 3), np.float32)
DOCUMENT: Mapping[str, Any] = {
    "backend": "a function",
    "texts": ["a", "b"],
    "texts_version": None,
    "observations": [{"behaviour": "repeats", "holds": True, "worst": 0.0, "rows": []}],
    "refused": [],
    "server": None,
}
SERVER = {"wire": "tei", "document": {}}


def kept(document: Any, vectors: np.ndarray = VECTORS, layout: str = "probe 1") -> Callable[[Path], None]:
    """Writes a file as `save_probe` lays it out."""
    metadata = {"embaudit": layout, "probe": json.dumps(document)}
    return lambda path: save_file({"vectors": vectors}, path, metadata)


def with_rows(row: int) -> Mapping[str, Any]:
    """The document with one observation that names a row."""
    return {**DOCUMENT, "observations": [{**DOCUMENT["observations"][0], "rows": [row]}]}


def test_an_unknown_behaviour_is_passed_over(tmp_path: Path) -> None:
    """A probe of a later embaudit is read, without what this one does not know."""
    other = {"behaviour": "sings", "holds": True, "worst": None, "rows": []}
    kept({**DOCUMENT, "observations": [*DOCUMENT["observations"], other], "more": 1})(tmp_path / "g")

    loaded = load_probe(tmp_path / "g")

    assert [each.behaviour for each in loaded.observations] == [Behaviour.REPEATS]


DAMAGED: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is too small"),
    "no probe": (lambda path: save_file({"vectors": VECTORS}, path), "is no probe that embaudit kept"),
    "newer layout": (kept(DOCUMENT, layout="probe 9"), "was kept by a newer embaudit, as 'probe 9'"),
    "other layout": (kept(DOCUMENT, layout="lock 1"), "is no probe that embaudit kept"),
    "a text twice": (kept({**DOCUMENT, "texts": ["a", "a"]}), "texts: 'a' stands twice"),
    "taken and refused": (
        kept({**DOCUMENT, "refused": [{"text": "b", "reason": "no"}]}),
        "texts: 'b' stands twice",
    ),
    "an observation twice": (
        kept({**DOCUMENT, "observations": DOCUMENT["observations"] * 2}),
        "observations: 'repeats' stands twice",
    ),
    "a row beyond the texts": (kept(with_rows(10**9)), "observations: repeats names row 1000000000 of 2"),
    "a row before the texts": (kept(with_rows(-1)), "observations: repeats names row -1 of 2"),
    "an unknown type": (kept({**DOCUMENT, "dtype": "int8"}), "dtype: is none of float32, float16, bfloat16"),
    "other tensors": (
        lambda path: save_file({"v": VECTORS}, path, {"embaudit": "probe 1"}),
        "is no probe that embaudit kept",
    ),
    "no document": (
        lambda path: save_file({"vectors": VECTORS}, path, {"embaudit": "probe 1"}),
        "probe: is missing",
    ),
    "no object": (kept([1]), "probe: expected an object"),
    "no texts": (kept({**DOCUMENT, "texts": "ab"}), "texts: expected an array"),
    "texts of numbers": (kept({**DOCUMENT, "texts": [1, 2]}), "text 0: expected a string"),
    "too few texts": (kept({**DOCUMENT, "texts": ["a"]}), "texts: has 1 texts"),
    "three axes": (kept(DOCUMENT, np.ones((2, 3, 1), np.float32)), "has the shape"),
    "one axis": (kept(DOCUMENT, np.ones(2, np.float32)), "has the shape"),
    "nan": (kept(DOCUMENT, VECTORS * np.nan), "row 0, column 0 is nan"),
    "zeros": (kept(DOCUMENT, VECTORS * 0), "all zeros"),
    "flags": (kept(DOCUMENT, VECTORS > 0), "holds bool"),
    "an observation of nothing": (kept({**DOCUMENT, "observations": [{}]}), "behaviour: is missing"),
    "an observation of text": (
        kept({**DOCUMENT, "observations": ["a"]}),
        "observation 0: expected an object",
    ),
    "an unknown wire": (
        kept({**DOCUMENT, "server": {**SERVER, "wire": "grpc"}}),
        "wire: is none of tei, openai",
    ),
    "a server of text": (kept({**DOCUMENT, "server": "tei"}), "server: expected an object"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_probe_is_a_format_error(case: str, tmp_path: Path) -> None:
    """Whatever is wrong with a kept probe is a FormatError that names the file and the place in it."""
    write, message = DAMAGED[case]
    write(tmp_path / "golden.safetensors")

    with pytest.raises(FormatError, match=message) as raised:
        load_probe(tmp_path / "golden.safetensors")

    assert str(raised.value).startswith(str(tmp_path / "golden.safetensors"))


def test_a_probe_that_is_not_there_or_too_large_is_told(golden: Probe, tmp_path: Path) -> None:
    """A file that does not exist is a TargetError, one over the limits a LimitError."""
    save_probe(golden, tmp_path / "golden.safetensors")

    with pytest.raises(TargetError, match="no such file"):
        load_probe(tmp_path / "nowhere.safetensors")
    with pytest.raises(LimitError):
        load_probe(tmp_path / "golden.safetensors", limits=Limits(safetensors_header_bytes=100))


def test_the_same_probe_does_not_drift(golden: Probe) -> None:
    """A probe against itself agrees, and says nothing."""
    drift = compare_probes(golden, golden)

    assert drift.agrees
    assert drift.comparison.relation is Relation.IDENTICAL
    assert (drift.drifted, drift.only_golden, drift.only_current, drift.behaviours, drift.server) == ((),) * 5


def test_drift_names_the_texts_and_how_far(golden: Probe) -> None:
    """Texts whose vectors moved are named, the farthest first, with their distances."""
    vectors = golden.vectors.copy()
    vectors[3] *= 1.5
    vectors[7] = hashed_vectors(["something else"])

    drift = compare_probes(golden, with_vectors(golden, vectors))

    assert not drift.agrees
    assert [each.row for each in drift.drifted] == [7, 3]
    assert drift.drifted[0].text == golden.texts[7]
    assert drift.drifted[1].l2 == pytest.approx(0.5, rel=1e-5)
    assert drift.drifted[1].distance == pytest.approx(1 / 3, rel=1e-5)
    assert drift.drifted[1].cosine == pytest.approx(1)


def test_noise_is_no_drift_and_the_tolerance_decides(golden: Probe) -> None:
    """What float32 may differ by is no drift of a float32 server; a tolerance may be wider or narrower."""
    moved = with_vectors(golden, golden.vectors * (1 + 1e-4))
    noisy = with_vectors(golden, golden.vectors * (1 + 1e-6))

    assert compare_probes(golden, noisy).agrees
    assert compare_probes(golden, noisy).tolerance == noise_limit(DType.FLOAT32)
    assert not compare_probes(golden, noisy, tolerance=1e-8).agrees
    assert not compare_probes(golden, moved).agrees
    assert compare_probes(golden, moved, tolerance=1e-3).agrees


def test_the_tolerance_follows_the_golden_server(golden: Probe) -> None:
    """Of a server that says it computes in bfloat16, the noise of bfloat16 is no drift."""
    assert golden.server is not None
    half = attrs.evolve(golden, server=attrs.evolve(golden.server, dtype="bfloat16"))

    stated = attrs.evolve(golden, dtype=DType.FLOAT16)

    assert compare_probes(half, golden).tolerance == noise_limit(DType.BFLOAT16)
    assert compare_probes(stated, golden).tolerance == noise_limit(DType.FLOAT16)


def test_texts_are_matched_by_what_they_say(golden: Probe) -> None:
    """Probes of other texts, or in another order, are compared over the texts of both."""
    fewer = probe(hashed_vectors, PROBE_TEXTS[5::-1])

    drift = compare_probes(golden, fewer)
    back = compare_probes(fewer, golden)

    assert drift.texts == PROBE_TEXTS[:6]
    assert drift.comparison.relation is Relation.IDENTICAL
    assert drift.only_golden == golden.texts[6:]
    assert not drift.agrees
    assert back.only_current == golden.texts[6:]
    assert back.agrees


def test_another_dimension_is_drift_of_every_text(golden: Probe) -> None:
    """Vectors that were cut short have all drifted, and the relation says how."""
    drift = compare_probes(golden, with_vectors(golden, golden.vectors[:, :16]))

    assert len(drift.drifted) == len(golden.texts)
    assert drift.comparison.relation is Relation.TRUNCATED


def test_what_the_server_says_otherwise_is_told(golden: Probe) -> None:
    """Another commit or version is told with both values; by itself it is no drift of vectors."""
    assert golden.server is not None
    current = attrs.evolve(golden, server=attrs.evolve(golden.server, model_sha="b" * 40, version=None))

    drift = compare_probes(golden, current)

    assert {each.field: (each.expected[:2], each.served[:2]) for each in drift.server} == {
        "model_sha": ("aa", "bb"),
        "version": ("1.", "no"),
    }
    assert drift.agrees


def test_a_required_behaviour_that_is_lost_is_drift(golden: Probe) -> None:
    """A server that begins to mix up batches has drifted, though its golden vectors are the same."""
    current = attrs.evolve(
        golden,
        observations=tuple(
            attrs.evolve(each, holds=False) if each.behaviour is Behaviour.BATCHES else each
            for each in golden.observations
        ),
    )

    drift = compare_probes(golden, current)

    assert drift.behaviours == drift.broken == (Behaviour.BATCHES,)
    assert [each.behaviour for each in drift.faults] == [Behaviour.BATCHES]
    assert not drift.agrees
    assert compare_probes(current, current).agrees
    assert compare_probes(current, current).faults == drift.faults


def test_a_fault_that_was_repaired_is_no_drift(golden: Probe) -> None:
    """A server that mixed up batches when it was kept, and no more, agrees; the change is told."""
    broken = attrs.evolve(
        golden, observations=(Observation(behaviour=Behaviour.BATCHES, holds=False, rows=(0,)),)
    )

    drift = compare_probes(broken, golden)

    assert drift.behaviours == (Behaviour.BATCHES,)
    assert (drift.agrees, drift.broken, drift.faults) == (True, (), ())


def test_a_fault_that_nobody_looked_for_is_drift(golden: Probe) -> None:
    """A golden probe without observations says nothing of batches: what is broken now is told."""
    quick = attrs.evolve(golden, observations=())
    fault = Observation(behaviour=Behaviour.BATCHES, holds=False, rows=(0,))

    drift = compare_probes(quick, attrs.evolve(golden, observations=(fault,)))

    assert (drift.agrees, drift.broken, drift.faults) == (False, (Behaviour.BATCHES,), (fault,))
    assert drift.not_compared == tuple(Behaviour)
    assert compare_probes(golden, quick).not_compared == tuple(Behaviour)


def test_another_model_with_the_same_vectors_agrees(golden: Probe) -> None:
    """What the server says of itself is told, and does not count: vectors do."""
    assert golden.server is not None
    renamed = attrs.evolve(golden, server=attrs.evolve(golden.server, model_id="org/other"))

    drift = compare_probes(golden, renamed)

    assert [each.field for each in drift.server] == ["model_id"]
    assert drift.agrees


def test_probes_that_cannot_be_compared_are_told(golden: Probe) -> None:
    """Probes without a common text, and a tolerance below 0, are UsageErrors."""
    with pytest.raises(UsageError, match="no text in common"):
        compare_probes(golden, probe(hashed_vectors, ["something else"]))
    wrong: Any
    for wrong in (-1e-3, float("nan"), "1", True):
        with pytest.raises(UsageError, match="tolerance"):
            compare_probes(golden, golden, tolerance=wrong)
    for wrong in (3, None, "golden.safetensors"):
        with pytest.raises(UsageError, match="not a Probe"):
            compare_probes(golden, wrong)
        with pytest.raises(UsageError, match="not a Probe"):
            compare_probes(wrong, golden)
        with pytest.raises(UsageError, match="not a Probe"):
            save_probe(wrong, "nowhere.safetensors")
    for wrong in (5, None, b"golden.safetensors", "", "a\0b"):
        with pytest.raises(UsageError, match="path"):
            load_probe(wrong)
        with pytest.raises(UsageError, match="path"):
            save_probe(golden, wrong)
