"""Files: told apart by digests where both sides know them, else by reading where that is allowed."""

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.diffing.completing import Completed
from embaudit.diffing.files import FileDiff, diff_files
from embaudit.model.files import FileEntry, FileState, Snapshot
from embaudit.model.limits import Limits
from embaudit.model.tensor_map import Depth
from embaudit.sources import MemorySource, metered

SMALL, WEIGHTS, FOREIGN = "notes.txt", "model.safetensors", "onnx/model.onnx"
ALPHA, BRAVO, LONGER = b"alpha", b"bravo", b"alphabet"


def without_digests(snapshot: Snapshot) -> Snapshot:
    """As a plain folder lists it."""
    return with_entries(
        snapshot, (attrs.evolve(each, sha256=None, git_sha1=None) for each in snapshot.files.values())
    )


def with_entries(snapshot: Snapshot, entries: Iterable[FileEntry]) -> Snapshot:
    """The same bytes under another listing."""
    return attrs.evolve(snapshot, files={entry.path: entry for entry in entries})


def listed(files: Mapping[str, bytes], digests: bool) -> Snapshot:
    """Files in memory, by a source that knows digests or does not."""
    snapshot = MemorySource(files).snapshot()
    return snapshot if digests else without_digests(snapshot)


def diff(old: Snapshot, new: Snapshot, depth: Depth = Depth.HEADERS, **limits: int) -> FileDiff:
    """The stage under test."""
    return diff_files(Completed(snapshot=old), Completed(snapshot=new), depth, Limits(**limits))


def verdict(result: FileDiff, path: str) -> str:
    """What a diff says of a path that both snapshots hold."""
    if path in result.uncompared:
        return "uncompared"
    return "modified" if path in {change.path for change in result.modified} else "same"


# path, old content, new content, depth, then the verdicts where both, one or none of the sources know digests
SCENARIOS = {
    "small, same": (SMALL, ALPHA, ALPHA, Depth.HEADERS, ("same", "same", "same")),
    "small, same size": (SMALL, ALPHA, BRAVO, Depth.HEADERS, ("modified", "modified", "modified")),
    "small, other size": (SMALL, ALPHA, LONGER, Depth.HEADERS, ("modified", "modified", "modified")),
    "weights, same": (WEIGHTS, ALPHA, ALPHA, Depth.HEADERS, ("same", "uncompared", "uncompared")),
    "weights, same size": (WEIGHTS, ALPHA, BRAVO, Depth.HEADERS, ("modified", "uncompared", "uncompared")),
    "weights, other size": (WEIGHTS, ALPHA, LONGER, Depth.HEADERS, ("modified", "modified", "modified")),
    "weights, same size, sampled": (
        WEIGHTS,
        ALPHA,
        BRAVO,
        Depth.SAMPLED,
        ("modified", "uncompared", "uncompared"),
    ),
    "weights, same, full": (WEIGHTS, ALPHA, ALPHA, Depth.FULL, ("same", "same", "same")),
    "weights, same size, full": (WEIGHTS, ALPHA, BRAVO, Depth.FULL, ("modified", "modified", "modified")),
    "other weights, same": (FOREIGN, ALPHA, ALPHA, Depth.HEADERS, ("same", "uncompared", "uncompared")),
    "training state, same": (
        "optimizer.pt",
        ALPHA,
        ALPHA,
        Depth.HEADERS,
        ("same", "uncompared", "uncompared"),
    ),
    "training log, same": ("trainer_state.json", ALPHA, ALPHA, Depth.HEADERS, ("same", "same", "same")),
    "empty, same": (SMALL, b"", b"", Depth.HEADERS, ("same", "same", "same")),
}
KNOWLEDGE = {"both": ((True, True),), "one": ((True, False), (False, True)), "none": ((False, False),)}


@pytest.mark.parametrize("known", KNOWLEDGE)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_file_of_both_snapshots_is_judged(
    scenario: tuple[str, bytes, bytes, Depth, tuple[str, str, str]], known: str
) -> None:
    """The verdict of each scenario, whichever side knows digests; doubt is not called the same."""
    path, old, new, depth, verdicts = scenario

    for old_known, new_known in KNOWLEDGE[known]:
        result = diff(listed({path: old}, old_known), listed({path: new}, new_known), depth)
        assert verdict(result, path) == verdicts[list(KNOWLEDGE).index(known)]
        assert result.added == result.removed == result.renamed == ()


MOVES = {
    "moved": ({"a.txt": ALPHA}, {"b.txt": ALPHA}, {("a.txt", "b.txt")}),
    "changed while moving": ({"a.txt": ALPHA}, {"b.txt": BRAVO}, set()),
    "an empty file": ({"a.txt": b""}, {"b.txt": b""}, set()),
    "copied": ({"a.txt": ALPHA}, {"a.txt": ALPHA, "b.txt": ALPHA}, set()),
    "one to one": (
        {"a.txt": ALPHA, "b.txt": ALPHA},
        {"c.txt": ALPHA},
        {("a.txt", "c.txt")},
    ),
    "the same name first": (
        {"a.txt": ALPHA, "b.txt": ALPHA},
        {"old/b.txt": ALPHA, "old/c.txt": ALPHA},
        {("b.txt", "old/b.txt"), ("a.txt", "old/c.txt")},
    ),
    "two contents of one size": (
        {"a.txt": ALPHA, "b.txt": BRAVO},
        {"c.txt": BRAVO, "d.txt": ALPHA},
        {("a.txt", "d.txt"), ("b.txt", "c.txt")},
    ),
}


@pytest.mark.parametrize("known", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize(("old", "new", "moves"), MOVES.values(), ids=MOVES)
def test_a_file_that_moved_is_recognised(
    old: dict[str, bytes], new: dict[str, bytes], moves: set[tuple[str, str]], known: tuple[bool, bool]
) -> None:
    """Same content and size under another path; whichever side knows digests."""
    result = diff(listed(old, known[0]), listed(new, known[1]))

    assert {(each.old_path, each.new_path) for each in result.renamed} == moves
    assert {entry.path for entry in result.removed} == set(old) - set(new) - {before for before, _ in moves}
    assert {entry.path for entry in result.added} == set(new) - set(old) - {after for _, after in moves}


def test_moved_weights_without_digests_are_recognised_at_depth_full_only() -> None:
    """At less depth no weights are read, and a removed and an added file are not guessed to be one."""
    old, new = (
        listed({"a.safetensors": ALPHA}, digests=False),
        listed({"b.safetensors": ALPHA}, digests=False),
    )

    assert diff(old, new).renamed == ()
    assert [each.new_path for each in diff(old, new, Depth.FULL).renamed] == ["b.safetensors"]


def test_a_digest_of_lfs_and_one_of_git_are_bridged_by_reading_the_one_file() -> None:
    """A cache may know a file as LFS object that a clone knows as git blob: one side is read, not both."""
    snapshot = MemorySource({SMALL: ALPHA}).snapshot()
    as_lfs = MemorySource({WEIGHTS: ALPHA}).snapshot().files[WEIGHTS]
    other = with_entries(snapshot, [attrs.evolve(snapshot.files[SMALL], git_sha1=None, sha256=as_lfs.sha256)])
    (old, old_meter), (new, new_meter) = metered(snapshot), metered(other)

    assert verdict(diff(old, new), SMALL) == "same"
    assert old_meter.bytes_read + new_meter.bytes_read == len(ALPHA)


def test_nothing_is_read_where_digests_or_sizes_decide() -> None:
    """Below depth full two listings with digests are compared without a read; so are files of other sizes."""
    files = {SMALL: ALPHA, WEIGHTS: ALPHA}
    (old, old_meter), (new, new_meter) = (
        metered(listed(files, digests=True)),
        metered(listed(files, digests=True)),
    )
    (bare, bare_meter), (longer, longer_meter) = (
        metered(listed(files, digests=False)),
        metered(listed(dict.fromkeys(files, LONGER), digests=False)),
    )

    diff(old, new, Depth.SAMPLED)
    diff(bare, longer, Depth.FULL)

    meters = (old_meter, new_meter, bare_meter, longer_meter)
    assert [meter.requests for meter in meters] == [0, 0, 0, 0]


@pytest.mark.parametrize("path", [SMALL, WEIGHTS])
def test_full_depth_checks_what_listings_claim(path: str) -> None:
    """Bytes that changed under the digest that both listings claim are a difference at depth full only."""
    sound = listed({path: ALPHA}, digests=True)
    damaged = attrs.evolve(sound, reader=listed({path: ALPHA[::-1]}, digests=True).reader)

    assert verdict(diff(sound, damaged), path) == "same"
    assert verdict(diff(sound, damaged, Depth.FULL), path) == "modified"


def test_files_larger_than_the_limit_are_not_read_before_depth_full() -> None:
    """A large file of any kind stays uncompared where its digest is not known."""
    old, new = listed({SMALL: ALPHA}, digests=False), listed({SMALL: ALPHA}, digests=False)

    assert verdict(diff(old, new, json_bytes=4), SMALL) == "uncompared"
    assert verdict(diff(old, new, json_bytes=5), SMALL) == "same"
    assert verdict(diff(old, new, Depth.FULL, json_bytes=4), SMALL) == "same"


def test_a_file_that_cannot_be_read_is_uncompared() -> None:
    """A broken link, a report without bytes or a failing source proves nothing; failures are told."""
    whole = listed({SMALL: ALPHA}, digests=False)
    broken = with_entries(whole, [attrs.evolve(whole.files[SMALL], state=FileState.BROKEN_LINK)])
    report = attrs.evolve(whole, reader=None)
    failing = attrs.evolve(whole, reader=MemorySource({}).snapshot().reader)

    assert verdict(diff(whole, broken), SMALL) == "uncompared"
    assert verdict(diff(report, whole), SMALL) == "uncompared"
    result = diff(whole, failing)
    assert verdict(result, SMALL) == "uncompared"
    assert len(result.notes) == 1
    assert SMALL in result.notes[0]


contents = st.sampled_from([b"", ALPHA, BRAVO, LONGER])
repositories = st.dictionaries(
    st.sampled_from(["a.txt", "b.json", "x/a.txt", "model.bin", "model.safetensors"]), contents
)


@given(repositories, repositories, st.booleans(), st.booleans(), st.sampled_from(list(Depth)))
def test_every_path_is_told_once_and_truly(
    old: dict[str, bytes], new: dict[str, bytes], old_known: bool, new_known: bool, depth: Depth
) -> None:
    """Added, removed, moved, modified and uncompared do not overlap, and no verdict contradicts the bytes."""
    result = diff(listed(old, old_known), listed(new, new_known), depth)

    gone = [entry.path for entry in result.removed] + [move.old_path for move in result.renamed]
    come = [entry.path for entry in result.added] + [move.new_path for move in result.renamed]
    assert Counter(gone) == Counter(set(old) - set(new))
    assert Counter(come) == Counter(set(new) - set(old))
    for path in set(old) & set(new):
        said = verdict(result, path)
        assert said in {"uncompared", "same" if old[path] == new[path] else "modified"}
        assert said != "uncompared" or (depth is not Depth.FULL and not (old_known and new_known))
    assert all(old[move.old_path] == new[move.new_path] != b"" for move in result.renamed)
