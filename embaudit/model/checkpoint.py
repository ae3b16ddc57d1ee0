"""What the bytes of a weight file are: a table of tensors, and everything else that the file says."""

import enum
from collections.abc import Mapping

import attrs

from embaudit.model.files import Reader
from embaudit.model.frozen import JSON, FrozenMapping, freeze_object, frozen_mapping
from embaudit.model.shown import Tabular
from embaudit.model.tensors import TensorInfo


class CheckpointFormat(str, enum.Enum):
    """The container of a weight file, told by its content, never by its name."""

    SAFETENSORS = "safetensors"
    TORCH_ZIP = "torch-zip"
    TORCH_LEGACY = "torch-legacy"
    TORCH_TAR = "torch-tar"

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class PickleGlobal:
    """One name that a pickle asks its reader to import.

    Attributes:
        module: As written in the stream, before python 2 names are mapped.
        name: As written in the stream; may be dotted.
        position: Byte of the opcode, counted from the start of the file.
        called: Whether the stream calls it or builds an instance of it.
    """

    module: str
    name: str
    position: int
    called: bool = False

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@attrs.frozen(kw_only=True)
class PickleSummary:
    """What a checkpoint's pickle holds, found by reading its opcodes without executing any.

    Attributes:
        protocol: The highest protocol that the stream declares (0 if it declares none).
        globals: Every name that it would import, in order of first appearance.
        tensor_only: Whether it holds nothing but tensors, containers of them, and plain values.
        reasons: Why it is not tensor-only, one sentence each, with the byte.
    """

    protocol: int
    globals: tuple[PickleGlobal, ...] = ()
    tensor_only: bool = True
    reasons: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ShardIndex:
    """A parsed `*.index.json`: which shard holds which tensor, as the repository claims it.

    Attributes:
        path: Path of the index inside the repository.
        weight_map: Tensor name to shard path inside the repository, in file order.
        total_size: Bytes of all tensors as declared, or None.
        metadata: The whole `metadata` object.
        has_metadata: Whether there is such an object, which some readers cannot do without.
    """

    path: str
    weight_map: Mapping[str, str] = attrs.field(converter=frozen_mapping)
    total_size: int | None = None
    metadata: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object)
    has_metadata: bool = True


@attrs.frozen(kw_only=True)
class Oddity:
    """Something in a weight file that its usual writers never write, though it can be read.

    Attributes:
        file: Path inside the repository.
        problem: One sentence.
        position: Byte in the file, if one can be named.
    """

    file: str
    problem: str
    position: int | None = None


@attrs.frozen(kw_only=True)
class Checkpoint(Tabular):
    """One model's weights: a single file, or the shards of an index taken together.

    Attributes:
        name: Path of the file or of the index, inside the repository.
        format: The container; shards all have the same.
        files: Paths of the files that hold the tensors, sorted.
        tensors: Name to tensor, in file order.
        metadata: safetensors' `__metadata__`; for torch files the plain values found beside the tensors
            (`epoch`, ...), as far as JSON can say them.
        tied: Groups of names whose tensors are the very same elements of the same storage.
        pickle: What the pickle holds; None for safetensors. For shards, the summaries are joined.
        state_dict: Dotted path of the container that holds the model's tensors (`state_dict`, `model`), or
            empty when the top level does. Loaders that look only at the top level see nothing below it.
        containers: Keys of the top level whose values are containers with tensors below them, in file order.
        index: The shard index, if there is one.
        missing_files: Shards that the index names and the repository lacks.
        oddities: What the file's usual writers never write.
        inferred: Storages whose place in the file follows from the zip's directory, or from a legacy file's
            pickles and size, and was not looked up in their local headers or counts, as over a network at
            depth headers.
        reader: How values are reached; None for a checkpoint out of a report. Not part of equality.
    """

    name: str
    format: CheckpointFormat
    files: tuple[str, ...]
    tensors: Mapping[str, TensorInfo] = attrs.field(converter=frozen_mapping)
    metadata: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object)
    tied: tuple[frozenset[str], ...] = ()
    pickle: PickleSummary | None = None
    state_dict: str = ""
    containers: tuple[str, ...] = ()
    index: ShardIndex | None = None
    missing_files: tuple[str, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    inferred: int = 0
    reader: Reader | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors, each name counted, as if none were shared."""
        return sum(tensor.n_bytes for tensor in self.tensors.values())
