"""Weight files as HTML: their tables of tensors, and the maps from one to another."""

from collections.abc import Iterator, Mapping, Sequence

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.tensor_map import TensorMap, TensorPair
from embaudit.model.tensors import TensorInfo
from embaudit.model.words import plural
from embaudit.report.html.parts import (
    Bounds,
    Cell,
    Column,
    bullets,
    code,
    fold,
    number,
    paragraph,
    prose,
    table,
    text,
)
from embaudit.report.text import container, is_notable, map_summary, pair_row
from embaudit.report.wording import as_json, dtypes, size, value_notes

_PAIR_COLUMNS = ("left", "right", "renamed by", "dtype", "shape", "values")
_RENAMED_BY = 2


def weights_tables(checkpoints: Mapping[str, Checkpoint], bounds: Bounds) -> str:
    """A row for each weight file, and below the tensors of each."""
    columns = (
        Column("file", "name"),
        Column("format"),
        Column("tensors", "number"),
        Column("dtype"),
        Column("size", "number"),
        Column("container", "told"),
    )
    rows = (
        (
            code(each.name),
            text(each.format),
            number(len(each.tensors)),
            text(dtypes(each)),
            Cell(text(size(each.n_bytes)), each.n_bytes),
            text(container(each)),
        )
        for each in checkpoints.values()
    )
    overview = table(columns, rows, "weight files", most=bounds.rows, total=len(checkpoints))
    most = max(1, bounds.tensors // max(1, len(checkpoints)))
    shown = list(checkpoints.values())[: bounds.items]
    return overview + "".join(_about_tensors(each, most, bounds) for each in shown)


def _about_tensors(checkpoint: Checkpoint, most: int, bounds: Bounds) -> str:
    summary = f"{plural(len(checkpoint.tensors), 'tensor')} of {code(checkpoint.name)}"
    return fold(summary, tensor_table(checkpoint, most)) + _peculiarities(checkpoint, bounds)


def tensor_table(checkpoint: Checkpoint, most: int) -> str:
    """A row for each tensor, `most` at most; of columns only those that say something of this checkpoint."""
    tensors = checkpoint.tensors.values()
    shared = any(each.storage != each.name or each.storage_offset for each in tensors)
    strided = any(not each.is_contiguous for each in tensors)
    sharded = len(checkpoint.files) > 1
    columns = [Column("tensor", "name"), Column("dtype"), Column("shape")]
    columns += [Column("stride")] if strided else []
    columns += [Column("file", "name")] if sharded else []
    columns += [Column("storage", "name"), Column("offset", "number")] if shared else []
    columns += [Column("first byte", "number"), Column("bytes", "number")]

    def row(tensor: TensorInfo) -> Iterator[str | Cell]:
        yield code(tensor.name)
        yield text(tensor.dtype)
        yield Cell(_shape(tensor.shape), tensor.n_elements)
        if strided:
            yield _shape(tensor.stride)
        if sharded:
            yield code(tensor.file)
        if shared:
            yield code(tensor.storage)
            yield number(tensor.storage_offset)
        yield number(tensor.start)
        yield number(tensor.n_bytes)

    rows = (tuple(row(tensor)) for tensor in tensors)
    return table(columns, rows, f"tensors of {checkpoint.name}", most=most, total=len(tensors))


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"


def _peculiarities(checkpoint: Checkpoint, bounds: Bounds) -> str:
    """What is not usual about the file: why it is not tensor-only, ties, oddities; and its metadata."""
    reasons = () if checkpoint.pickle is None else checkpoint.pickle.reasons
    lists = (
        ("not tensor-only", [prose(reason) for reason in reasons[: bounds.items]], len(reasons)),
        (
            "tied tensors",
            [
                " = ".join(map(code, sorted(group)[: bounds.items]))
                for group in checkpoint.tied[: bounds.items]
            ],
            len(checkpoint.tied),
        ),
        (
            "odd",
            [f"{code(odd.file)}: {prose(odd.problem)}" for odd in checkpoint.oddities[: bounds.items]],
            len(checkpoint.oddities),
        ),
        (
            "metadata",
            [f"{code(name)}: {code(as_json(value))}" for name, value in checkpoint.metadata.items()],
            len(checkpoint.metadata),
        ),
    )
    return "".join(
        fold(f"{title} ({total:,}) in {code(checkpoint.name)}", bullets(items, total, bounds))
        for title, items, total in lists
    )


def map_part(tensors: TensorMap, bounds: Bounds) -> str:
    """One map: the counts, the names without a partner, and the pairs, those that differ first."""
    lonely = (
        (f"only in {code(tensors.left)}", tensors.only_left),
        (f"only in {code(tensors.right)}", tensors.only_right),
    )
    pairs = sorted(tensors.pairs, key=is_notable, reverse=True)
    shown = [at for at in range(len(_PAIR_COLUMNS)) if at != _RENAMED_BY or tensors.renamed]
    rows = table(
        [Column(_PAIR_COLUMNS[at], "name" if at < _RENAMED_BY else "brief") for at in shown],
        ([cells[at] for at in shown] for cells in map(_pair, pairs)),
        f"pairs of {tensors.left} and {tensors.right}",
        most=bounds.rows,
        total=len(pairs),
    )
    tied = [f"{code(each.name)} is {code(each.tied_to)}" for each in tensors.tied]
    return "".join(
        (
            paragraph(text(map_summary(tensors), 4 * bounds.items + 1_000)),
            *(
                fold(f"{title} ({len(names):,})", bullets(map(code, names), len(names), bounds))
                for title, names in lonely
            ),
            fold(f"tied ({len(tied):,})", bullets(tied, len(tied), bounds)),
            fold(plural(len(pairs), "pair"), rows),
        )
    )


def _pair(pair: TensorPair) -> tuple[str, ...]:
    left, right, renamed_by, *others = pair_row(pair)
    return (code(left), code(right), text(renamed_by), *map(text, others))


def maps_part(maps: Sequence[TensorMap], bounds: Bounds) -> str:
    """Some maps, and what their verdicts prove."""
    shown = "".join(map_part(tensors, bounds) for tensors in maps[: bounds.items])
    return shown + "".join(paragraph(text(note, len(note)), "note") for note in value_notes(maps))
