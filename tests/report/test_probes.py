"""What is told of probes: faults, doubts and mismatches stand in every form, whether or not texts drifted."""

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from embaudit.embeddings import compare_probes, probe
from embaudit.model.probe import Behaviour, Probe, ServerCheck, ServerMismatch
from embaudit.report.probes import (
    render_drift,
    render_drift_html,
    render_drift_json,
    render_probe,
    render_probe_html,
    render_probe_json,
)
from embaudit.testing.embedding_server import hashed_vectors

TEXTS = ("a", "bb", "ccc")
ANOTHER = ServerCheck(
    compared=("pooling",),
    mismatches=(ServerMismatch(field="pooling", expected="cls", served="mean", why="other direction"),),
    not_compared={"model_sha": "the server does not say\x1b"},
)
PROBE_FORMS: Mapping[str, Callable[..., str]] = {
    "text": render_probe,
    "json": render_probe_json,
    "html": render_probe_html,
}
DRIFT_FORMS: Mapping[str, Callable[..., str]] = {
    "text": render_drift,
    "json": render_drift_json,
    "html": render_drift_html,
}
FORMS = list(PROBE_FORMS)


def broken_in_batches(texts: Sequence[str]) -> np.ndarray:
    """A text has another vector alone."""
    return hashed_vectors(texts) * (1 + (len(texts) == 1))


@pytest.fixture(scope="module")
def sound() -> Probe:
    """A probe without faults."""
    return probe(hashed_vectors, TEXTS)


@pytest.mark.parametrize("form", FORMS)
def test_a_mismatch_is_told_in_every_form(form: str, sound: Probe) -> None:
    """What the server says otherwise than its target is told of a probe and of a drift."""
    drift = compare_probes(sound, sound)

    for told in (PROBE_FORMS[form](sound, ANOTHER), DRIFT_FORMS[form](drift, ANOTHER)):
        assert "other direction" in told
        assert "the server does not say" in told
        assert "\x1b" not in told
        if form == "json":
            check = json.loads(told)["check"]
            assert (check["agrees"], check["compared"]) == (False, ["pooling"])


@pytest.mark.parametrize("form", ["text", "html"])
def test_nothing_compared_is_told(form: str, sound: Probe) -> None:
    """A check that compared nothing says so, which no check at all does not."""
    drift = compare_probes(sound, sound)

    for told in (PROBE_FORMS[form](sound, ServerCheck()), DRIFT_FORMS[form](drift, ServerCheck())):
        assert "Nothing that the server says" in told
    assert "Nothing that the server says" not in PROBE_FORMS[form](sound)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_quick", [False, True])
def test_a_fault_is_told_beside_vectors_that_did_not_drift(form: str, *, is_quick: bool) -> None:
    """A server that is broken is told as such, though its vectors are golden and nobody looked at it then."""
    golden = probe(hashed_vectors, TEXTS, observe=not is_quick)

    told = DRIFT_FORMS[form](compare_probes(golden, probe(broken_in_batches, TEXTS)))

    if form == "json":
        document = json.loads(told)
        assert document["agrees"] is False
        assert document["broken"] == [fault["behaviour"] for fault in document["faults"]] == ["batches"]
        return
    assert "none drifted, 1 fault" in told
    assert "a text has another vector in a batch than alone" in told
    assert "A fault that the golden probe does not have: batches." in told


def test_the_title_of_a_drift_names_what_is_wrong(sound: Probe) -> None:
    """The first line says all that makes the exit code 1."""
    drift = compare_probes(sound, probe(broken_in_batches, TEXTS))

    title = render_drift(drift, ANOTHER).partition("\n")[0]

    assert title == "3 texts, none drifted, 1 fault, otherwise than the target: pooling"


def test_what_a_quick_probe_cannot_tell_is_told(sound: Probe) -> None:
    """Behaviours that one of two probes does not tell are named."""
    told = " ".join(render_drift(compare_probes(sound, probe(hashed_vectors, TEXTS, observe=False))).split())

    assert "Not compared, because one of the probes does not tell: batches, keeps-order, repeats" in told


def test_a_quick_probe_is_not_said_to_have_no_fault() -> None:
    """Nothing was looked at, so that nothing is known of faults."""
    told = render_probe(probe(hashed_vectors, TEXTS, observe=False))

    assert "not looked at for faults" in told
    assert "no fault" not in told


def test_a_doubt_is_told_with_its_size() -> None:
    """What only bfloat16 would explain is marked as a doubt, with the distance and the advice."""
    probed = probe(lambda texts: hashed_vectors(texts) * (1 + 0.006 * (len(texts) == 1)), TEXTS)

    (line,) = [line for line in render_probe(probed).splitlines() if "batches" in line]

    assert probed.does(Behaviour.BATCHES) is None
    assert line.split()[:2] == ["?", "batches"]
    assert "say the dtype" in line
    assert "0.006" in line


def test_one_vector_for_all_is_told_as_a_fault() -> None:
    """A server whose vectors do not come from the texts is a fault in words and in JSON."""
    probed = probe(lambda texts: np.ones((len(texts), 4)), TEXTS)

    told = render_probe(probed)

    assert "1 fault" in told
    assert "most texts have one vector" in told
    assert [each["behaviour"] for each in json.loads(render_probe_json(probed))["faults"]] == ["tells-apart"]
