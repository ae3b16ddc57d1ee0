"""Locks as text, and back: every lock, later ones, and what is none."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError, SourceError, TargetError, UsageError
from embaudit.locking import load_lock, lock, verify
from embaudit.model.checkpoint import CheckpointFormat
from embaudit.model.dtypes import DType
from embaudit.model.files import FileKind
from embaudit.model.limits import Limits
from embaudit.model.lock import Lock, LockedCheckpoint, LockedCode, LockedFile, LockedProbe, LockedTensor
from embaudit.model.policy import Policy, Waiver
from embaudit.model.prediction import Outcome
from embaudit.model.tensor_map import Depth
from embaudit.report.locks import lock_schema, parse_lock, render_lock

DIGEST = "0" * 64

FULL = Lock(
    tool_version="0.1.0",
    created="2026-01-01T00:00:00+00:00",
    target="org/name@main",
    source="hub",
    repo_id="org/name",
    revision="main",
    commit="a" * 40,
    depth=Depth.FULL,
    files={"model.safetensors": LockedFile(size=10, sha256=DIGEST, kind=FileKind.WEIGHTS)},
    checkpoints={
        "model.safetensors": LockedCheckpoint(
            format=CheckpointFormat.SAFETENSORS,
            files=("model.safetensors",),
            tensors={"b": LockedTensor(dtype=DType.FLOAT32, shape=(2, 3), sha256=DIGEST)},
            tied=(frozenset({"b", "c"}),),
        )
    },
    settings={"config.json": {"model_type": "bert", "layers": (1, 2.5, None, True)}},
    tokenizer=DIGEST,
    remote_code=(LockedCode(where="config.json: auto_map.A", reference="a/b--c.D", repo_id="a/b"),),
    loads={"tei==1.5.0": Outcome.FAITHFUL},
    policy=Policy(waivers=(Waiver(code="EMB101", reason="ours", expires=date(2027, 1, 1)),)),
    probe=LockedProbe(path="golden.safetensors", sha256=DIGEST, backend="a server", n_texts=3, dimension=4),
    problems={"old.bin": "is malformed"},
)


def test_a_lock_survives_its_text() -> None:
    """Every field comes back equal, and the text follows the published schema."""
    text = render_lock(FULL)

    assert parse_lock(text) == FULL
    assert render_lock(parse_lock(text)) == text
    jsonschema.Draft202012Validator(lock_schema()).validate(json.loads(text))


@given(st.dictionaries(st.text(), st.integers(0, 2**60), max_size=5))
def test_any_name_survives(sizes: dict[str, int]) -> None:
    """Paths of every script, with quotes, newlines and halves of surrogate pairs, come back as they were."""
    files = {path: LockedFile(size=size, sha256=None, kind=FileKind.OTHER) for path, size in sizes.items()}
    locked = attrs.evolve(FULL, files=files)

    assert parse_lock(render_lock(locked)) == locked


def test_bytes_of_names_survive() -> None:
    """A name that is not UTF-8, as the file system gives it, comes back."""
    files = {"caf\udce9.bin": LockedFile(size=1, sha256=None, kind=FileKind.OTHER)}

    assert parse_lock(render_lock(attrs.evolve(FULL, files=files))).files.keys() == files.keys()


def test_the_order_of_what_is_given_does_not_matter() -> None:
    """Files and tensors are listed by name, in whatever order they were found."""
    entries = {name: LockedFile(size=1, sha256=None, kind=FileKind.OTHER) for name in "cab"}

    assert list(attrs.evolve(FULL, files=entries).files) == ["a", "b", "c"]


def changed(**members: Any) -> str:
    """The text of the lock with other members."""
    return json.dumps({**json.loads(render_lock(FULL)), **members})


def test_members_of_a_newer_minor_version_are_ignored() -> None:
    """A lock that says more can be read, as what is known of it."""
    assert parse_lock(changed(schema_version="1.7", hologram={"a": 1})).files == FULL.files


NO_LOCKS = {
    "newer": (changed(schema_version="2.0"), "schema 2.0, and this embaudit reads 1"),
    "no version": ("{}", "no schema_version"),
    "an array": ("[]", "no schema_version"),
    "a conflict": ("{\n<<<<<<< HEAD\n}", "line 2"),
    "empty": ("", "not JSON"),
    "deep": ("[" * 100_000, "not JSON"),
    "a wrong type": (changed(files={"a": {"size": "10", "sha256": None, "kind": "other"}}), "files.a.size"),
    "an unknown depth": (changed(depth="abyssal"), "depth"),
    "a missing member": (changed(files={"a": {"size": 1}}), "files.a.sha256"),
}


@pytest.mark.parametrize("what", NO_LOCKS)
def test_what_is_no_lock_is_refused(what: str, tmp_path: Path) -> None:
    """The error names the file, and the place in it."""
    text, words = NO_LOCKS[what]
    place = tmp_path / "embaudit.lock"
    place.write_text(text)

    with pytest.raises(FormatError, match=words) as caught:
        load_lock(place)

    assert str(place) in str(caught.value)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """No file, a folder, and more bytes than allowed, each have an error of their own."""
    place = tmp_path / "embaudit.lock"
    with pytest.raises(TargetError, match="embaudit lock"):
        load_lock(place)
    with pytest.raises(SourceError):
        load_lock(tmp_path)

    place.write_text(render_lock(FULL))
    with pytest.raises(LimitError):
        load_lock(place, limits=Limits(json_bytes=10))


def test_a_sample_is_no_lock(tmp_path: Path) -> None:
    """Depth sampled has no digests, for locking and for verifying."""
    with pytest.raises(UsageError, match="full or headers"):
        lock(tmp_path, depth="sampled")
    with pytest.raises(UsageError, match="full or headers"):
        verify(FULL, tmp_path, depth="sampled")
