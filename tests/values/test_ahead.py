"""Sampled comparisons over a network: everything is asked for beforehand, neighbours together."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embaudit.model.dtypes import DType
from embaudit.model.files import Span
from embaudit.model.limits import KIB
from embaudit.model.tensor_map import Depth
from embaudit.model.tensors import TensorInfo
from embaudit.values import compare_many
from embaudit.values.ahead import PAIRS_AHEAD, sampled_spans

Store = Callable[..., Any]
NEIGHBOURS = 4 * KIB


class FarReader:
    """A reader over bytes in memory for which every read is a request, unless it was told of it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.fetched: list[tuple[int, int]] = []
        self.unannounced: list[tuple[int, int]] = []

    def fetch(self, spans: Iterable[Span]) -> None:
        """Keep spans, neighbours in one request."""
        joined: list[tuple[int, int]] = []
        for span in sorted(spans, key=lambda span: span.start):
            if joined and span.start <= joined[-1][1] + NEIGHBOURS:
                joined[-1] = joined[-1][0], max(span.stop, joined[-1][1])
            else:
                joined.append((span.start, span.stop))
        self.fetched += joined

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`."""
        assert path == "model.bin"
        if not any(first <= start and stop <= last for first, last in self.fetched):
            self.unannounced.append((start, stop))
        return self.content[start:stop]

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        buffer[:] = self.read(path, start, start + len(buffer))


def far(stored: tuple[TensorInfo, Any]) -> tuple[TensorInfo, FarReader]:
    """The same tensor, behind a network."""
    return stored[0], FarReader(stored[1].content)


def file_of(tensors: Iterable[torch.Tensor]) -> tuple[list[TensorInfo], bytes]:
    """Contiguous float32 tensors side by side in one file."""
    infos, content = [], b""
    for number, tensor in enumerate(tensors):
        data = tensor.numpy().tobytes()
        start, stop = len(content), len(content) + len(data)
        shape = tuple(tensor.shape)
        infos.append(
            TensorInfo(
                name=f"w{number}",
                dtype=DType.FLOAT32,
                shape=shape,
                stride=tensor.stride(),
                storage_offset=0,
                storage=str(number),
                file="model.bin",
                start=start,
                stop=stop,
            )
        )
        content += data
    return infos, content


def test_a_sample_of_many_tensors_takes_a_request_for_each_gap() -> None:
    """Head, middle and tail of each tensor are asked for, the tail with the head of the next."""
    numbers = [torch.randn(100, 100, generator=torch.Generator().manual_seed(seed)) for seed in range(20)]
    infos, content = file_of(numbers)
    left, right = FarReader(content), FarReader(content)

    compare_many([(info, left, info, right) for info in infos], depth=Depth.SAMPLED)

    assert left.unannounced == right.unannounced == []
    assert left.fetched == right.fetched
    assert len(left.fetched) == 2 * len(infos) + 1
    assert sum(stop - start for start, stop in left.fetched) <= len(infos) * 3 * 2 * KIB


def test_pairs_are_told_of_a_few_hundred_at_a_time() -> None:
    """What one reader has to keep is bounded, however many tensors there are."""
    told: list[int] = []

    class Telling(FarReader):
        def fetch(self, spans: Iterable[Span]) -> None:
            spans = tuple(spans)
            told.append(len(spans))
            super().fetch(spans)

    infos, content = file_of([torch.ones(2)] * (2 * PAIRS_AHEAD + 1))
    reader = Telling(content)

    compare_many([(info, reader, info, FarReader(content)) for info in infos], depth=Depth.SAMPLED)

    assert told == [PAIRS_AHEAD, PAIRS_AHEAD, 1]
    assert reader.unannounced == []


@pytest.mark.parametrize("depth", [Depth.HEADERS, Depth.FULL])
def test_other_depths_tell_nothing(depth: Depth, store: Store) -> None:
    """Nothing is asked for where no value is read, and blocks of a full comparison are requests enough."""
    left, right = far(store(torch.ones(5))), far(store(torch.ones(5)))

    compare_many([(*left, *right)], depth=depth)

    assert left[1].fetched == right[1].fetched == []


LAYOUTS = {
    "contiguous": lambda tensor: tensor,
    "column-major": lambda tensor: tensor.t().contiguous().t(),
    "gaps": lambda tensor: torch.stack([tensor, tensor], dim=-1)[..., 0],
    "part": lambda tensor: torch.cat([tensor, tensor])[: len(tensor)],
}


@given(
    shape=st.tuples(st.integers(0, 90), st.integers(0, 90)),
    layouts=st.tuples(st.sampled_from(sorted(LAYOUTS)), st.sampled_from(sorted(LAYOUTS))),
    dtypes=st.tuples(*[st.sampled_from([torch.float32, torch.float16, torch.int64])] * 2),
    change=st.none() | st.integers(0, 8099),
)
def test_a_sample_over_a_network_reads_what_it_told_and_says_what_it_says_on_a_disk(
    shape: tuple[int, int],
    layouts: tuple[str, str],
    dtypes: tuple[torch.dtype, torch.dtype],
    change: int | None,
    store: Store,
) -> None:
    """Of any layout and type, all bytes come from spans told beforehand, and the verdicts are the same."""
    values = torch.arange(shape[0] * shape[1]).reshape(shape) % 1000
    other = values.clone()
    if change is not None and change < other.numel():
        other.view(-1)[change] += 1
    left = store(LAYOUTS[layouts[0]](values.to(dtypes[0])))
    right = store(LAYOUTS[layouts[1]](other.to(dtypes[1])))
    far_left, far_right = far(left), far(right)

    near = compare_many([(*left, *right)], depth=Depth.SAMPLED)

    assert compare_many([(*far_left, *far_right)], depth=Depth.SAMPLED) == near
    assert far_left[1].unannounced == far_right[1].unannounced == []


def test_a_box_with_wide_gaps_is_left_to_the_reads(store: Store) -> None:
    """Nobody asks for megabytes to see the few KiB between which they lie."""
    wide = store(torch.zeros(64, 40_000)[:, :16])
    dense = store(torch.zeros(64, 16))

    spans, dense_spans = sampled_spans((*wide, *dense))

    assert spans == ()
    assert sum(span.stop - span.start for span in dense_spans) == dense[0].n_bytes


def test_what_cannot_be_compared_is_not_told_of(store: Store, store_raw: Store) -> None:
    """Types that never compare, and tensors without elements, need no bytes."""
    raw = store_raw(bytes(8), DType.FLOAT4_E2M1FN_X2, (8,))

    assert sampled_spans((*raw, *store(torch.zeros(8)))) == ((), ())
    assert sampled_spans((*store(torch.zeros(0)), *store(torch.zeros(0)))) == ((), ())
