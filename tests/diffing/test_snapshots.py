"""Snapshots: the whole diff of two repositories, from files to tensors and commits."""

import io
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.numpy import save

from embaudit.diffing import diff_snapshots
from embaudit.diffing.snapshots import MAX_NOTES
from embaudit.errors import UsageError
from embaudit.model.files import FileKind, Snapshot
from embaudit.model.tensor_map import Agreement
from embaudit.sources import MemorySource

VALUES = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, dtype=np.float32)}
OTHER = {**VALUES, "b": np.array([1, 2, 1], dtype=np.float32)}
CONFIG = {"model_type": "bert", "hidden_size": 3, "transformers_version": "4.30.0"}


def torch_file(values: Mapping[str, np.ndarray]) -> bytes:
    """A `.bin` as torch writes it."""
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(value) for name, value in values.items()}, buffer)
    return buffer.getvalue()


def text(document: Any) -> bytes:
    """A JSON file."""
    return json.dumps(document).encode()


def snapshot(files: Mapping[str, bytes], **fields: Any) -> Snapshot:
    """Files in memory."""
    return MemorySource(files, **fields).snapshot()


def bare(files: Mapping[str, bytes]) -> Snapshot:
    """Files in memory, of which no digest is known."""
    known = snapshot(files)
    entries = {path: attrs.evolve(entry, sha256=None, git_sha1=None) for path, entry in known.files.items()}
    return attrs.evolve(known, files=entries)


def test_equal_snapshots_have_no_differences() -> None:
    """Nothing is told of what did not change, and no tensor is read."""
    files = {"config.json": text(CONFIG), "model.safetensors": save(VALUES)}

    diff = diff_snapshots(snapshot(files), snapshot(files), depth="full")

    told = (diff.added, diff.removed, diff.modified, diff.renamed, diff.uncompared, diff.field_changes)
    assert not any((*told, diff.tensors, diff.commits, diff.notes))


def test_a_diff_tells_files_settings_and_tensors() -> None:
    """What an update of a repository changed, each at its place."""
    old = snapshot(
        {"config.json": text(CONFIG), "model.safetensors": save(VALUES), "README.md": b"old", "a/x.txt": b"x"}
    )
    new = snapshot(
        {
            "config.json": text(CONFIG | {"hidden_size": 4, "transformers_version": "5.0.0"}),
            "model.safetensors": save(OTHER),
            "x.txt": b"x",
            "modeling.py": b"pass",
        }
    )

    diff = diff_snapshots(old, new, depth="full")

    assert [(change.path, change.kind) for change in diff.modified] == [
        ("config.json", FileKind.CONFIG),
        ("model.safetensors", FileKind.WEIGHTS),
    ]
    assert [entry.path for entry in diff.added] == ["modeling.py"]
    assert [entry.path for entry in diff.removed] == ["README.md"]
    assert [(move.old_path, move.new_path) for move in diff.renamed] == [("a/x.txt", "x.txt")]
    assert [(change.field, change.affects_embeddings) for change in diff.field_changes] == [
        ("hidden_size", True),
        ("transformers_version", False),
    ]
    assert [pair.left for joined in diff.tensors for pair in joined.changed] == ["b"]
    assert diff.notes == ()


ARRIVALS = {
    "safetensors beside the bin": (
        {"pytorch_model.bin": torch_file(VALUES)},
        {"pytorch_model.bin": torch_file(VALUES), "model.safetensors": save(VALUES)},
        [("pytorch_model.bin", "model.safetensors")],
    ),
    "safetensors in place of the bin": (
        {"pytorch_model.bin": torch_file(VALUES)},
        {"model.safetensors": save(VALUES)},
        [("pytorch_model.bin", "model.safetensors")],
    ),
    "the bin is dropped": (
        {"pytorch_model.bin": torch_file(VALUES), "model.safetensors": save(VALUES)},
        {"model.safetensors": save(VALUES)},
        [("pytorch_model.bin", "model.safetensors")],
    ),
    "the bin is back": (
        {"model.safetensors": save(VALUES)},
        {"model.safetensors": save(VALUES), "pytorch_model.bin": torch_file(VALUES)},
        [("model.safetensors", "pytorch_model.bin")],
    ),
    "in the folder of a module": (
        {"2_Dense/pytorch_model.bin": torch_file(VALUES), "model.safetensors": save(VALUES)},
        {"2_Dense/model.safetensors": save(VALUES), "model.safetensors": save(VALUES)},
        [("2_Dense/pytorch_model.bin", "2_Dense/model.safetensors")],
    ),
    "shards in place of one file": (
        {"model.safetensors": save(VALUES), "pytorch_model.bin": torch_file(VALUES)},
        {
            "model-00001-of-00002.safetensors": save({"a": VALUES["a"]}),
            "model-00002-of-00002.safetensors": save({"b": VALUES["b"]}),
            "model.safetensors.index.json": text(
                {
                    "metadata": {"total_size": 36},
                    "weight_map": {
                        "a": "model-00001-of-00002.safetensors",
                        "b": "model-00002-of-00002.safetensors",
                    },
                }
            ),
            "pytorch_model.bin": torch_file(VALUES),
        },
        [("model.safetensors", "model.safetensors.index.json")],
    ),
    "another model arrives": (
        {"model.safetensors": save(VALUES)},
        {"model.safetensors": save(VALUES), "adapter_model.safetensors": save(VALUES)},
        [],
    ),
}


@pytest.mark.parametrize(("old", "new", "compared"), ARRIVALS.values(), ids=ARRIVALS)
def test_files_that_took_each_others_place_are_compared_by_tensors(
    old: dict[str, bytes], new: dict[str, bytes], compared: list[tuple[str, str]]
) -> None:
    """The weights loaders read before against those they read now, across containers."""
    diff = diff_snapshots(snapshot(old), snapshot(new), depth="full")

    assert [(joined.left, joined.right) for joined in diff.tensors] == compared
    assert all(pair.values is Agreement.IDENTICAL for joined in diff.tensors for pair in joined.pairs)
    assert all(joined.same_model for joined in diff.tensors)
    assert diff.notes == ()


def test_one_shard_that_changed_is_found_through_its_index() -> None:
    """A shard is compared as part of its checkpoint, though the index itself is the same."""
    index = text({"metadata": {}, "weight_map": {"a": "m-00001-of-00001.safetensors"}})
    old = {"m.safetensors.index.json": index, "m-00001-of-00001.safetensors": save({"a": VALUES["a"]})}
    new = old | {"m-00001-of-00001.safetensors": save({"a": VALUES["a"] + 1})}

    diff = diff_snapshots(snapshot(old), snapshot(new), depth="full")

    assert [change.path for change in diff.modified] == ["m-00001-of-00001.safetensors"]
    assert [(joined.left, len(joined.changed)) for joined in diff.tensors] == [
        ("m.safetensors.index.json", 1)
    ]


def test_shards_that_did_not_change_are_not_compared_for_the_sake_of_another_file() -> None:
    """Where only a file beside the shards changed, the shards are no part of the diff."""
    index = text({"metadata": {}, "weight_map": {"a": "m-00001-of-00001.safetensors"}})
    old = {"m.safetensors.index.json": index, "m-00001-of-00001.safetensors": save({"a": VALUES["a"]})}

    diff = diff_snapshots(
        snapshot(old | {"other.safetensors": save(VALUES)}),
        snapshot(old | {"other.safetensors": save(OTHER)}),
    )

    assert [joined.left for joined in diff.tensors] == ["other.safetensors"]


# old values, new values, depth, and what is told of weights of equal size whose digests nobody knows
SAME_SIZE = {
    "headers cannot tell values": (VALUES, OTHER, "headers", "uncompared"),
    "headers tell names": (VALUES, {"a": VALUES["a"], "c": VALUES["b"]}, "headers", "modified"),
    "headers tell shapes": (
        VALUES,
        {"a": VALUES["a"].reshape(3, 2), "b": VALUES["b"]},
        "headers",
        "modified",
    ),
    "samples tell values": (VALUES, OTHER, "sampled", "modified"),
    "samples cannot prove equality": (VALUES, VALUES, "sampled", "uncompared"),
    "depth full tells values": (VALUES, OTHER, "full", "modified"),
    "depth full proves equality": (VALUES, VALUES, "full", "same"),
}


@pytest.mark.parametrize(("old", "new", "depth", "told"), SAME_SIZE.values(), ids=SAME_SIZE)
def test_weights_without_digests_are_told_apart_as_far_as_the_depth_reaches(
    old: dict[str, np.ndarray], new: dict[str, np.ndarray], depth: str, told: str
) -> None:
    """Sizes, headers, samples, bytes: each depth proves what it can, and claims no more."""
    before, after = bare({"model.safetensors": save(old)}), bare({"model.safetensors": save(new)})
    assert before.files["model.safetensors"].size == after.files["model.safetensors"].size

    diff = diff_snapshots(before, after, depth=depth)

    modified = [change.path for change in diff.modified]
    assert modified == (["model.safetensors"] if told == "modified" else [])
    assert diff.uncompared == (("model.safetensors",) if told == "uncompared" else ())
    assert bool(diff.tensors) == (told != "same")


def test_what_cannot_be_parsed_is_a_note() -> None:
    """A malformed document or weight file stops nothing, and is named."""
    old = snapshot({"config.json": text(CONFIG), "model.safetensors": save(VALUES), "x.json": b"1"})
    new = snapshot({"config.json": b"{", "model.safetensors": b"\xff" * 20, "x.json": b"2"})

    diff = diff_snapshots(old, new, depth="full")

    assert len(diff.modified) == 3
    assert [change.file for change in diff.field_changes] == ["x.json"]
    assert diff.tensors == ()
    assert sorted(note.split()[0] for note in diff.notes) == ["'config.json'", "'model.safetensors'"]


def test_a_crowd_of_broken_files_does_not_bury_the_report() -> None:
    """Notes are counted beyond a number that a person reads."""
    paths = [f"{number}.json" for number in range(MAX_NOTES + 5)]

    diff = diff_snapshots(snapshot(dict.fromkeys(paths, b"{")), snapshot(dict.fromkeys(paths, b"[")))

    assert len(diff.notes) == MAX_NOTES + 1
    assert diff.notes[-1] == "5 more notes are not told"


def test_only_the_formatting_of_a_document_differs() -> None:
    """A file written anew with the same content is modified, and no field of it changed."""
    diff = diff_snapshots(
        snapshot({"config.json": json.dumps(CONFIG).encode()}),
        snapshot({"config.json": json.dumps(CONFIG, indent=2).encode()}),
    )

    assert [change.path for change in diff.modified] == ["config.json"]
    assert diff.field_changes == ()


def test_a_depth_that_is_none_is_refused() -> None:
    """A caller's mistake, said before anything is opened."""
    with pytest.raises(UsageError, match="headers, sampled, full"):
        diff_snapshots("./nowhere", "./nowhere", depth="deep")


def run_git(clone: Path, *arguments: str) -> str:
    """What git prints."""
    identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    command = ["git", "-C", str(clone), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A git repository of three commits, the last of which adds weights."""
    run_git(tmp_path, "init", "-q")
    for number, title in enumerate(("first", "second", "third")):
        (tmp_path / "config.json").write_bytes(text(CONFIG | {"hidden_size": number}))
        run_git(tmp_path, "add", ".")
        run_git(tmp_path, "commit", "-q", "-m", title)
    return tmp_path


def test_the_commits_between_two_revisions_of_a_clone_are_told(clone: Path) -> None:
    """Oldest first, from the one after the old to the new one; on the way back the same ones are lost."""
    there = diff_snapshots(f"{clone}@HEAD~2", f"{clone}@HEAD")
    back = diff_snapshots(f"{clone}@HEAD", f"{clone}@HEAD~2")

    assert [commit.title for commit in there.commits] == ["second", "third"]
    assert there.commits[-1].commit == run_git(clone, "rev-parse", "HEAD")
    assert (back.commits, back.lost_commits) == ((), there.commits)
    assert [(change.old, change.new) for change in there.field_changes] == [(0, 2)]


def test_a_commit_that_the_clone_does_not_know_is_told(clone: Path) -> None:
    """Two snapshots whose histories do not meet are compared all the same."""
    stranger = snapshot({"config.json": text(CONFIG)}, commit="0" * 40)

    diff = diff_snapshots(stranger, f"{clone}@HEAD")

    assert diff.commits == ()
    assert len(diff.modified) == 1
    assert diff.unknown_commit == "0" * 40
    assert diff.notes == ()


def test_the_working_folder_equals_the_commit_that_is_checked_out(clone: Path) -> None:
    """A folder knows no digest and a clone does; the contents are compared nevertheless."""
    diff = diff_snapshots(f"{clone}@HEAD", clone)

    assert diff.modified == diff.added == diff.removed == diff.uncompared == ()
