"""What a report says of values that were looked at in part, or not at all, and of places not looked up."""

import attrs
import pytest

from embaudit.model.diff import SnapshotDiff
from embaudit.model.record import Cost
from embaudit.model.tensor_map import Agreement, Depth, TensorMap
from embaudit.report import AuditReport
from embaudit.report.text import render_checkpoint, render_diff, render_map
from embaudit.report.wording import CHECKSUM_NOTE, SAMPLE_NOTE
from embaudit.testing.facts import make_checkpoint, make_pair, make_snapshot

COST = Cost(requests=1, bytes_read=2, seconds=0.5)
SAMPLED = TensorMap(
    left="l",
    right="r",
    depth=Depth.SAMPLED,
    pairs=(make_pair("plainly_same", values=Agreement.IDENTICAL_IN_SAMPLE),),
)
BY_CHECKSUM = attrs.evolve(
    SAMPLED,
    depth=Depth.HEADERS,
    pairs=(make_pair("plainly_same", values=Agreement.IDENTICAL_BY_CHECKSUM),),
)
UNSEEN = attrs.evolve(BY_CHECKSUM, pairs=(make_pair("a", values=Agreement.DIFFERENT),))
FULL = attrs.evolve(
    SAMPLED, depth=Depth.FULL, pairs=(make_pair("a", values=Agreement.DIFFERENT, n_different=3),)
)
CASES = {
    "sampled": (SAMPLED, {SAMPLE_NOTE}),
    "same by checksum": (BY_CHECKSUM, {CHECKSUM_NOTE}),
    "different by checksum": (UNSEEN, {CHECKSUM_NOTE}),
    "both": (attrs.evolve(BY_CHECKSUM, depth=Depth.SAMPLED), {SAMPLE_NOTE, CHECKSUM_NOTE}),
    "sampled without pairs": (attrs.evolve(SAMPLED, pairs=()), set()),
    "compared in full": (FULL, set()),
}


def shown(tensors: TensorMap) -> dict[str, str]:
    """Everything that shows a map: as itself, in a diff, and in a report in each form."""
    diff = SnapshotDiff(old=make_snapshot(), new=make_snapshot(), tensors=(tensors,))
    report = AuditReport(
        target="t",
        source="folder",
        depth=tensors.depth,
        created="",
        tool_version="0",
        cost=COST,
        mappings=(tensors,),
    )
    changed = attrs.evolve(report, mappings=(), diff=diff)
    texts = {"map": render_map(tensors), "diff": render_diff(diff)}
    for form in ("text", "html"):
        texts |= {f"mapping, {form}": report.render(form), f"change, {form}": changed.render(form)}
    return {name: text.replace("&#x27;", "'") for name, text in texts.items()}


@pytest.mark.parametrize("case", CASES)
def test_what_verdicts_prove_is_said_once_wherever_they_are_shown(case: str) -> None:
    """A sample and a checksum each come with a sentence; a full comparison needs none."""
    tensors, expected = CASES[case]

    for where, text in shown(tensors).items():
        assert {note for note in (SAMPLE_NOTE, CHECKSUM_NOTE) if note in text} == expected, where
        assert all(text.count(note) == 1 for note in expected), where


@pytest.mark.parametrize("tensors", [SAMPLED, BY_CHECKSUM], ids=["sample", "checksum"])
def test_pairs_without_a_difference_have_no_row(tensors: TensorMap) -> None:
    """Pairs that are the same in the sample or by checksum are counted, not listed."""
    assert "plainly_same" not in render_map(tensors)


@pytest.mark.parametrize("number", [0, 1, 199])
def test_places_that_were_not_looked_up_are_told(number: int) -> None:
    """A checkpoint says of how many storages the place was inferred, wherever it is shown."""
    checkpoint = make_checkpoint(("w",), inferred=number)
    report = AuditReport(
        target="t",
        source="hub",
        depth=Depth.HEADERS,
        created="",
        tool_version="0",
        cost=COST,
        checkpoints={checkpoint.name: checkpoint},
    )

    for text in (render_checkpoint(checkpoint), report.render("text"), report.render("html")):
        assert (f"places of {number} storage" in text) == bool(number)
        assert ("not looked up" in text) == bool(number)
