"""Many tensors at once: what the public functions of `embaudit.values` do once numpy is wanted."""

from collections.abc import Sequence
from functools import partial

from embaudit.model.files import Reader
from embaudit.model.limits import Limits
from embaudit.model.tensor_map import Comparison, Depth
from embaudit.model.tensors import TensorInfo
from embaudit.model.values import ValueScan
from embaudit.values.ahead import tell_ahead
from embaudit.values.comparing import Job, comparison_of
from embaudit.values.layout import check_repetition
from embaudit.values.scanning import scan_of
from embaudit.values.workers import Progress, run_all
from embaudit.values.workspace import room_within


def compare_jobs(
    jobs: Sequence[Job], depth: Depth, limits: Limits, workers: int | None, progress: Progress | None
) -> tuple[Comparison, ...]:
    """See `embaudit.values.compare_many`."""
    room = room_within(limits)
    places: dict[tuple[object, ...], int] = {}
    # Tied names share their bytes: what is compared once holds for all of them.
    first_of = [places.setdefault((*_content(*job[:2]), *_content(*job[2:])), len(places)) for job in jobs]
    distinct = _distinct(jobs, first_of)
    if depth is Depth.FULL:
        check_repetition(limits, [job[:2] for job in distinct], [job[2:] for job in distinct])
    makers = (partial(comparison_of, job, depth, room) for job in tell_ahead(distinct, depth))
    results = run_all(makers, room, workers=workers, progress=progress)
    if progress is not None and depth is not Depth.HEADERS:
        progress(_n_bytes(jobs) - _n_bytes(distinct))
    return tuple(results[place] for place in first_of)


def scan_jobs(
    tensors: Sequence[tuple[TensorInfo, Reader]],
    limits: Limits,
    workers: int | None,
    progress: Progress | None,
) -> tuple[ValueScan, ...]:
    """See `embaudit.values.scan_many`."""
    room = room_within(limits)
    check_repetition(limits, tensors)
    makers = (partial(scan_of, tensor, reader, room) for tensor, reader in tensors)
    return tuple(run_all(makers, room, workers=workers, progress=progress))


def _distinct(jobs: Sequence[Job], first_of: Sequence[int]) -> list[Job]:
    distinct: list[Job] = []
    for job, place in zip(jobs, first_of, strict=True):
        if place == len(distinct):
            distinct.append(job)
    return distinct


def _content(tensor: TensorInfo, reader: Reader) -> tuple[object, ...]:
    """What decides a tensor's values; equal for tied names."""
    layout = (tensor.dtype, tensor.shape, tensor.stride, tensor.byte_order)
    return id(reader), tensor.file, tensor.start, tensor.stop, layout


def _n_bytes(jobs: Sequence[Job]) -> int:
    return sum(left.n_bytes + right.n_bytes for left, _, right, _ in jobs)
