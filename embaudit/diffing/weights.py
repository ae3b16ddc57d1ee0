"""The weight files of two snapshots, compared by tensors.

Knows which file is to be held against which: the same name on both sides, and where a name came or went, the
file beside it in another container that holds the same model (`pytorch_model.bin` before,
`model.safetensors` after). Leaves tensors to `embaudit.mapping`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import attrs

from embaudit.errors import UNANSWERED, EmbauditError
from embaudit.formats.fields import quoted
from embaudit.mapping import map_tensors
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.files import FileKind, HoldingReader, Snapshot, kind_of
from embaudit.model.limits import Limits
from embaudit.model.tensor_map import Depth, TensorMap
from embaudit.model.weights import same_model_pairs
from embaudit.reading import checkpoint_names, read_checkpoint


@attrs.frozen(kw_only=True)
class WeightDiff:
    """The weights of two snapshots, compared.

    Attributes:
        tensors: One map for each two files that were compared.
        differing: Paths in both snapshots whose headers or values prove to differ.
        notes: What could not be compared, and why.
    """

    tensors: tuple[TensorMap, ...] = ()
    differing: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class WeightComparison:
    """How weights are compared.

    Attributes:
        old: The snapshot before.
        new: The snapshot after.
        depth: How much of the tensor data may be read.
        limits: What bounds the reading.
        progress: Told of the bytes of tensor data that are done with.
    """

    old: Snapshot
    new: Snapshot
    depth: Depth
    limits: Limits
    progress: Callable[[int], None] | None = None

    def run(self, touched: AbstractSet[str], not_at_hand: AbstractSet[str]) -> WeightDiff:
        """Compare every checkpoint that has a file among the paths that changed or may have changed.

        A file that the other snapshot may only lack at hand took nobody's place.
        """
        tensors: list[TensorMap] = []
        differing: set[str] = set()
        notes: list[str] = []
        olds = self._names(self.old, not_at_hand)
        news = self._names(self.new, not_at_hand)
        for left, right in _opponents(olds, news, touched):
            try:
                before = self._read(self.old, left)
                after = self._read(self.new, right)
                if left == right and touched.isdisjoint({left, *before.files, *after.files}):
                    continue
                self._hold(self.old, before.files)
                self._hold(self.new, after.files)
                tensors.append(self._map(before, after))
            except UNANSWERED:
                raise
            except EmbauditError as error:
                notes.append(f"{_names(left, right)} could not be compared by tensors: {error}")
                continue
            if left == right:
                differing |= _differing_files(before, after, tensors[-1])
        return WeightDiff(tensors=tuple(tensors), differing=frozenset(differing), notes=tuple(notes))

    def _names(self, snapshot: Snapshot, not_at_hand: AbstractSet[str]) -> tuple[str, ...]:
        names = checkpoint_names(snapshot, limits=self.limits)
        return tuple(name for name in names if name not in not_at_hand)

    def _read(self, snapshot: Snapshot, name: str) -> Checkpoint:
        self._hold(snapshot, (name,))
        return read_checkpoint(snapshot, name, self.limits, exact=self.depth is not Depth.HEADERS)

    def _hold(self, snapshot: Snapshot, files: Iterable[str]) -> None:
        """Have at hand what is read tensor by tensor: over a network each would be a request."""
        if self.depth is Depth.FULL and isinstance(snapshot.reader, HoldingReader):
            snapshot.reader.hold(files)

    def _map(self, old: Checkpoint, new: Checkpoint) -> TensorMap:
        return map_tensors(old, new, depth=self.depth, limits=self.limits, progress=self.progress)


def _names(left: str, right: str) -> str:
    return quoted(left) if left == right else f"{quoted(left)} and {quoted(right)}"


def _opponents(
    olds: Sequence[str], news: Sequence[str], touched: AbstractSet[str]
) -> Iterator[tuple[str, str]]:
    """What is to be compared: names in both first, then files that took each other's place."""
    shared, both = set(olds) & set(news), dict.fromkeys((*olds, *news))
    yield from ((name, name) for name in news if name in shared and _may_differ(name, touched))
    model = {name: name for name in both} | dict(same_model_pairs(both))
    old_files, new_files = _preferred(olds, model), _preferred(news, model)
    came = ((old_files.get(model[name]), name) for name in news if name not in shared)
    went = ((name, new_files.get(model[name])) for name in olds if name not in shared)
    replaced = dict.fromkeys((*came, *went))
    yield from ((old, new) for old, new in replaced if old is not None and new is not None)


def _preferred(names: Sequence[str], model: Mapping[str, str]) -> dict[str, str]:
    """The file of each model that loaders prefer among `names`; names of one `model` hold the same one."""
    preferred = dict(same_model_pairs(names))
    return {model[name]: preferred.get(name, name) for name in names}


def _may_differ(name: str, touched: AbstractSet[str]) -> bool:
    """Whether a checkpoint may have a touched file; which shards an index has is known once it is read."""
    if kind_of(name) is FileKind.WEIGHTS_INDEX:
        return any(kind_of(path) in {FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX} for path in touched)
    return name in touched


def _differing_files(old: Checkpoint, new: Checkpoint, joined: TensorMap) -> set[str]:
    """The files of both whose header tells of other tensors, or in which a value was seen to differ."""
    files = set(old.files) & set(new.files)
    differing = {file for file in files if _header(old, file) != _header(new, file)}
    for pair in joined.changed:
        differing |= {old.tensors[pair.left].file, new.tensors[pair.right].file} & files
    return differing


def _header(checkpoint: Checkpoint, file: str) -> tuple[object, ...]:
    """What the header of one file says, as far as it is known file by file."""
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if tensor.file == file}
    alone = (checkpoint.metadata, checkpoint.pickle) if checkpoint.files == (file,) else ()
    return checkpoint.format, tensors, *alone
