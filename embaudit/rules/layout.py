"""EMB110 to EMB119: how a torch file lays out its tensors, and which loaders stumble over it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from embaudit.loaders.candle_reading import CandleReader, Offsets, read_pickle
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.facts import WeightFiles
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.frozen import JSON
from embaudit.model.prediction import MisreadKey
from embaudit.model.tensors import TensorInfo
from embaudit.model.words import plural
from embaudit.rules.evidence import MAX_LISTED, be, listed, some
from embaudit.rules.formats import has_safetensors
from embaudit.rules.registry import rule

_OFFSET_IN_BYTES = (
    "candle 0.3.3 to 0.8.4, and with it text-embeddings-inference 1.0.0 to 1.6.1, skip `storage_offset` bytes"
    " where they should skip elements"
)
"""From https://github.com/huggingface/candle/pull/1546 (2024-01-08) to
https://github.com/huggingface/candle/pull/2824 (2025-03-23), by the dates of the releases; the revisions that
text-embeddings-inference pins are in its Cargo.lock at each tag."""

_READER = CandleReader(offsets=Offsets.BYTES)


@rule("EMB110", Severity.ERROR)
def tensors_begin_inside_storage(checkpoint: Checkpoint, files: WeightFiles) -> Iterator[Observation]:
    """Tensors begin inside their storage, and some loaders read them from the wrong byte.

    torch saves views as they are: many tensors may lie in one flat storage, each at its
    `storage_offset` in elements. candle, the reader inside text-embeddings-inference, refused such files
    before 0.3.3, skips that many *bytes* in 0.3.3 to 0.8.4, and reads them right from 0.9.0 on. In the middle
    period it loads without an error and the model gives unrelated vectors. A warning where safetensors lie
    beside the file, because loaders prefer those, and where other tensors of the file have strides that
    candle refuses.
    """
    if checkpoint.format is CheckpointFormat.SAFETENSORS:
        return
    read = read_pickle(checkpoint, _READER)
    offset = [key for key in read.misread.values() if key.byte_read != key.byte_to_read]
    if not offset:
        return
    yield Observation(
        message=(
            f"{len(offset):,} of {plural(len(checkpoint.tensors), 'tensor')} begin inside a storage."
            f" {_OFFSET_IN_BYTES}: {_consequence(read.failing)}."
            f" `{offset[0].name}` begins at byte {offset[0].byte_to_read:,};"
            f" they read it from {offset[0].byte_read:,} on."
        ),
        where=Where(path=checkpoint.name, tensor=offset[0].name),
        evidence={
            "n_tensors": len(offset),
            "n_storages": len({_storage(key, checkpoint) for key in offset}),
            "affected": ["candle>=0.3.3,<=0.8.4", "text-embeddings-inference>=1.0.0,<=1.6.1"],
            "refuse": ["candle<0.3.3", "text-embeddings-inference>=0.2.0,<1.0.0"],
            "tensors": [_misread(key, checkpoint) for key in offset[:MAX_LISTED]],
        },
        remedy=(
            "Serve a revision with model.safetensors, convert the file (save contiguous clones),"
            " or upgrade to text-embeddings-inference 1.7.0 or candle 0.9."
        ),
        severity=Severity.WARNING if read.failing or has_safetensors(checkpoint.name, files) else None,
    )


def _consequence(failing: Mapping[str, str]) -> str:
    if failing:
        return f"unless they refuse the file for `{next(iter(failing))}`, they give wrong vectors"
    return "they load this file without an error and give wrong vectors"


def _storage(key: MisreadKey, checkpoint: Checkpoint) -> tuple[str, str]:
    return key.file, checkpoint.tensors[key.name].storage


def _misread(key: MisreadKey, checkpoint: Checkpoint) -> JSON:
    return {
        "name": key.name,
        "storage": checkpoint.tensors[key.name].storage,
        "storage_offset": checkpoint.tensors[key.name].storage_offset,
        "byte_to_read": key.byte_to_read,
        "byte_read": key.byte_read,
    }


@rule("EMB111", Severity.INFO)
def tensors_share_a_flat_storage(checkpoint: Checkpoint) -> Iterator[Observation]:
    """Several tensors are views into one flat storage.

    Such files come from flat-buffer optimisers, from `chunk` and `split`, and from slices. torch restores the
    sharing; `safetensors.torch.save_file` refuses to write tensors that share memory; readers that handle
    offsets or shared storages wrongly misread them.
    """
    views: dict[tuple[str, str], list[TensorInfo]] = defaultdict(list)
    for tensor in checkpoint.tensors.values():
        views[tensor.file, tensor.storage].append(tensor)
    for (_, storage), tensors in views.items():
        if len({(tensor.start, tensor.stop) for tensor in tensors}) > 1:
            yield Observation(
                message=f"{plural(len(tensors), 'tensor')} are views into storage {storage!r}.",
                where=Where(path=tensors[0].file, tensor=tensors[0].name),
                evidence={
                    "storage": storage,
                    "n_tensors": len(tensors),
                    "start": min(tensor.start for tensor in tensors),
                    "stop": max(tensor.stop for tensor in tensors),
                    "tensors": listed(tensor.name for tensor in tensors),
                },
                remedy="Save clones: {name: tensor.clone() for name, tensor in state_dict.items()}.",
            )


@rule("EMB112", Severity.WARNING)
def tensors_are_not_contiguous(checkpoint: Checkpoint) -> Iterator[Observation]:
    """Tensors are stored with strides that are not contiguous.

    The elements do not lie in the order of their indices. candle refuses such tensors. Transposed ones it
    reads, but an embedding table among them fails on the first lookup. burn read the bytes as if they were
    contiguous (https://github.com/tracel-ai/burn/issues/5383), and so gave scrambled weights without an
    error.
    """
    strided = [tensor for tensor in checkpoint.tensors.values() if not tensor.is_contiguous]
    if strided:
        names = some([one.name for one in strided])
        yield Observation(
            message=(
                f"{plural(len(strided), 'tensor')} {be(len(strided))} stored with strides that are not"
                f" contiguous: {names}."
            ),
            where=Where(path=checkpoint.name, tensor=strided[0].name),
            evidence={
                "tensors": [
                    {"name": one.name, "shape": one.shape, "stride": one.stride}
                    for one in strided[:MAX_LISTED]
                ],
                "n_tensors": len(strided),
            },
            remedy="Save contiguous clones, or read the file with torch only.",
        )


@rule("EMB113", Severity.WARNING)
def legacy_format(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The file has torch's legacy format, five pickles in a row.

    torch.save wrote it up to 1.5 and writes it still with `_use_new_zipfile_serialization=False`. torch reads
    it; readers of the zip format (candle, text-embeddings-inference) refuse it.
    """
    if checkpoint.format is CheckpointFormat.TORCH_LEGACY:
        yield Observation(
            message=f"`{checkpoint.name}` is a legacy torch file; candle-based loaders refuse it.",
            where=Where(path=checkpoint.name),
            evidence={"format": str(checkpoint.format)},
            remedy="Convert it to safetensors.",
        )


@rule("EMB114", Severity.ERROR)
def pickle_holds_more_than_tensors(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The pickle holds more than tensors and plain values.

    Each name in the evidence is imported, and may be called, by a reader that unpickles the file without
    `weights_only=True`; torch from 2.6 on refuses such files by default. Nothing of it was executed here.
    """
    summary = checkpoint.pickle
    if summary is None or summary.tensor_only:
        return
    yield Observation(
        message=f"`{checkpoint.name}` is not made of tensors only: {summary.reasons[0]}.",
        where=Where(path=checkpoint.name),
        evidence={
            "reasons": listed(summary.reasons),
            "globals": [
                {"name": str(one), "byte": one.position, "called": one.called}
                for one in summary.globals[:MAX_LISTED]
            ],
        },
        remedy="Do not unpickle it. Use the safetensors file, or ask for one.",
    )


@rule("EMB115", Severity.WARNING)
def state_dict_is_nested(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The model's tensors lie below the top level of the file.

    A training checkpoint keeps them under a key such as `state_dict` or `model`. Loaders that look at the top
    level only find none of them: candle's `VarBuilder::from_pth` sees zero tensors, transformers 4.57 treats
    the wrapper's keys as unexpected and starts every parameter at random values, transformers 5.23 refuses.
    """
    if checkpoint.state_dict:
        yield Observation(
            message=f"The state dict of `{checkpoint.name}` is under `{checkpoint.state_dict}`.",
            where=Where(path=checkpoint.name, field=checkpoint.state_dict),
            evidence={"state_dict": checkpoint.state_dict},
            remedy="Save the inner state dict alone.",
        )


@rule("EMB116", Severity.WARNING)
def tar_format(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The file has the tar format of torch's first releases.

    Only torch reads it, and only without `weights_only=True`.
    """
    if checkpoint.format is CheckpointFormat.TORCH_TAR:
        yield Observation(
            message=f"`{checkpoint.name}` is a tar file of torch 0.1.",
            where=Where(path=checkpoint.name),
            evidence={"format": str(checkpoint.format)},
            remedy="Convert it to safetensors in an isolated environment.",
        )


@rule("EMB117", Severity.WARNING)
def big_endian(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The file was written on a big-endian machine.

    torch swaps the bytes when it reads; candle ignores the file's `byteorder` record
    (candle-core/src/pickle.rs at 63810239) and reads garbage; transformers 4.57 and 5.23 crash the process,
    because they load through `map_location="meta"`, where torch 2.13 swaps bytes that are not there.
    """
    swapped = [tensor.name for tensor in checkpoint.tensors.values() if tensor.byte_order == "big"]
    if swapped:
        yield Observation(
            message=(
                f"{plural(len(swapped), 'tensor')} {be(len(swapped))} in big-endian order: {some(swapped)}."
            ),
            where=Where(path=checkpoint.name, tensor=swapped[0]),
            evidence={"n_tensors": len(swapped)},
            remedy="Load it with torch and save it again on a little-endian machine.",
        )


@rule("EMB118", Severity.WARNING)
def file_is_odd(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The file can be read, but holds what its usual writers never write.

    Unreferenced records, trailing bytes, extra fields, wrong checksums: readers may disagree about such a
    file, and it may have been made to make them disagree.
    """
    for odd in checkpoint.oddities:
        yield Observation(
            message=f"`{odd.file}`: {odd.problem}.",
            where=Where(path=odd.file),
            evidence={"problem": odd.problem, "byte": odd.position},
            remedy="Find out which program wrote the file; save it again with torch or safetensors.",
        )


@rule("EMB119", Severity.ERROR)
def name_belies_the_container(checkpoint: Checkpoint) -> Iterator[Observation]:
    """A file is called like one format and holds another.

    Loaders choose their reader by the name: the safetensors library refuses a torch file called
    `model.safetensors`, and `torch.load` refuses safetensors called `pytorch_model.bin`.
    """
    for path in checkpoint.files:
        is_called_safetensors = path.lower().endswith(".safetensors")
        if is_called_safetensors != (checkpoint.format is CheckpointFormat.SAFETENSORS):
            yield Observation(
                message=f"`{path}` is a {checkpoint.format} file, which its name denies: loaders refuse it.",
                where=Where(path=path),
                evidence={"format": str(checkpoint.format)},
                remedy="Rename the file, or convert it.",
            )
