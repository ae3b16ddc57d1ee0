"""Which files text-embeddings-inference opens, and what it makes of files that it cannot read."""

from typing import Any

import attrs
import pytest

from embaudit.loaders.tei.models import CPU, CUDA
from embaudit.model.facts import UnreadableFile
from embaudit.model.files import FileState
from embaudit.model.frozen import FrozenMapping
from embaudit.model.prediction import Outcome
from embaudit.testing.facts import make_entry

INDEX, SHARD = "model.safetensors.index.json", "model-00001-of-00001.safetensors"
SAFE, TORCH = "model.safetensors", "pytorch_model.bin"


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        ("0.1.0", (SAFE, TORCH), (SAFE,)),
        ("0.1.0", (TORCH,), ()),
        ("0.2.0", (TORCH,), (TORCH,)),
        ("1.2.3", (INDEX,), ()),
        ("1.3.0", (INDEX,), (SHARD, INDEX)),
        ("1.9.3", (SAFE, INDEX, TORCH), (SAFE,)),
        ("1.9.3", (INDEX, TORCH), (TORCH,)),
        ("1.9.3", (), ()),
    ],
)
def test_order_of_loading(tei: Any, version: str, files: Any, expected: Any) -> None:
    """From a folder: safetensors, then `pytorch_model.bin`, then shards, as far as the version knows them."""
    config, shapes = tei.bert()
    made = [tei.shards(shapes) if name == INDEX else tei.file(name, shapes) for name in files]

    load = tei.load(tei.repository(config, *made), version)

    assert load.files == expected
    assert load.outcome is (Outcome.FAITHFUL if expected else Outcome.REFUSED)
    everything = {path for each in made for path in (each.name, *each.files)}
    assert set(load.ignored_files) == everything - set(expected)


def test_order_of_downloading(tei: Any) -> None:
    """Of a named model with shards and `pytorch_model.bin` either is loaded, and both are told apart."""
    config, shapes = tei.bert()
    repository = tei.repository(config, tei.shards(shapes), tei.file(TORCH, shapes), repo_id="org/name")

    folder, name = tei.loads(repository)

    assert (folder.files, name.files) == ((TORCH,), (SHARD, INDEX))
    assert "folder" in folder.reasons[-1]
    assert "name" in name.reasons[-1]


def test_shards_that_do_not_exist(tei: Any) -> None:
    """An index that names a shard too many is an error from a folder, and passed over under a name."""
    config, shapes = tei.bert()
    shards = tei.shards(shapes, missing_files=("model-00002-of-00002.safetensors",))
    named = tei.repository(config, shards, tei.file(TORCH, shapes), repo_id="org/name")

    assert tei.load(tei.repository(config, shards)).outcome is Outcome.REFUSED
    assert {load.files for load in tei.loads(named)} == {(TORCH,)}


@pytest.mark.parametrize("path", ["model.onnx", "onnx/model.onnx"])
@pytest.mark.parametrize("version", ["1.5.0", "1.6.0", "1.9.3"])
def test_onnx_goes_first_on_cpu(tei: Any, version: str, path: str) -> None:
    """Where a CPU image finds an ONNX file the vectors come from that, and embaudit cannot tell which."""
    config, shapes = tei.bert()
    repository = tei.repository(config, tei.file(SAFE, shapes), files=(path, f"{path}_data"))

    load = tei.load(repository, version, CPU)

    assert (load.outcome, load.files) == (Outcome.UNKNOWN, (path, f"{path}_data"))
    assert load.ignored_files == (SAFE,)
    assert path in load.reasons[0]
    assert tei.load(repository, version, CUDA).outcome is Outcome.FAITHFUL


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        ("1.4.0", Outcome.FAITHFUL),
        ("1.5.0", Outcome.REFUSED),
        ("1.5.1", Outcome.REFUSED),
        ("1.6.0", Outcome.FAITHFUL),
    ],
)
def test_cpu_without_onnx(tei: Any, version: str, outcome: Outcome) -> None:
    """The CPU images of 1.5 have nothing but ONNX Runtime; before and after, candle computes in float32."""
    config, shapes = tei.bert()

    load = tei.load(tei.repository(config, tei.file(SAFE, shapes)), version, CPU)

    assert load.outcome is outcome
    assert load.dtype == ("float32" if outcome is Outcome.FAITHFUL else None)


@pytest.mark.parametrize(
    ("path", "limit", "outcome"),
    [
        (SAFE, "", Outcome.REFUSED),
        (SAFE, "tensors", Outcome.UNKNOWN),
        (TORCH, "", Outcome.UNKNOWN),
        (INDEX, "", Outcome.REFUSED),
    ],
)
def test_unreadable_weights(tei: Any, path: str, limit: str, outcome: Outcome) -> None:
    """A weight file that embaudit cannot read is an error where it breaks its format, else not known."""
    config, _ = tei.bert()
    unreadable = UnreadableFile(path=path, problem="the header ends early", limit=limit)
    repository = tei.repository(config, files=(path,))

    load = tei.load(attrs.evolve(repository, unreadable={path: unreadable}))

    assert (load.outcome, load.files) == (outcome, (path,))
    assert "the header ends early" in load.reasons[0]


NOWHERE = (FileState.BROKEN_LINK, FileState.LOOPING_LINK)


def listing(repository: Any, path: str, state: FileState) -> Any:
    """The repository with one more file that is in this state."""
    files = FrozenMapping({**repository.snapshot.files, path: make_entry(path, state=state)})
    return attrs.evolve(repository, snapshot=attrs.evolve(repository.snapshot, files=files))


@pytest.mark.parametrize("state", NOWHERE, ids=str)
def test_links_that_lead_nowhere(tei: Any, state: FileState) -> None:
    """A link that leads nowhere is as good as no file, for weights and for ONNX files."""
    config, shapes = tei.bert()
    repository = listing(tei.repository(config, tei.file(TORCH, shapes)), SAFE, state)

    assert tei.load(repository).files == (TORCH,)
    assert tei.load(listing(repository, "model.onnx", state), backend=CPU).outcome is Outcome.FAITHFUL


OPENED = [state for state in FileState if state not in {FileState.PRESENT, *NOWHERE}]


@pytest.mark.parametrize("others", [(TORCH,), ()], ids=["beside another", "alone"])
@pytest.mark.parametrize("state", OPENED, ids=str)
def test_files_that_are_there_and_not_at_hand(tei: Any, state: FileState, others: Any) -> None:
    """What stands at the path is opened, a pointer too: the file beside it is not, and nothing is known."""
    config, shapes = tei.bert()
    made = [tei.file(name, shapes) for name in others]

    load = tei.load(listing(tei.repository(config, *made), SAFE, state))

    assert (load.outcome, load.files, load.ignored_files) == (Outcome.UNKNOWN, (SAFE,), others)
    assert str(state) in load.reasons[0]


@pytest.mark.parametrize("state", OPENED, ids=str)
def test_onnx_files_that_are_not_at_hand(tei: Any, state: FileState) -> None:
    """An ONNX file that is a pointer is found and opened like any other, and the reasons say what it is."""
    config, shapes = tei.bert()
    repository = listing(tei.repository(config, tei.file(SAFE, shapes)), "model.onnx", state)

    load = tei.load(repository, backend=CPU)

    assert (load.outcome, load.files) == (Outcome.UNKNOWN, ("model.onnx",))
    assert any(str(state) in reason for reason in load.reasons)


def test_a_weight_file_that_was_not_read(tei: Any) -> None:
    """A file that is there and whose header nobody read is never taken to be right."""
    config, _ = tei.bert()

    assert tei.load(tei.repository(config, files=(SAFE,))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("state", OPENED, ids=str)
def test_a_tokenizer_that_is_not_at_hand(tei: Any, state: FileState) -> None:
    """The server does not start with a pointer for a tokenizer: good weights alone are not faithful."""
    config, shapes = tei.bert()

    load = tei.load(listing(tei.repository(config, tei.file(SAFE, shapes)), "tokenizer.json", state))

    assert load.outcome is Outcome.UNKNOWN
    assert "tokenizer.json" in load.reasons[0]
