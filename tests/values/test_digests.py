"""Digests of tensors and files, held against hashlib over what torch and git say."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import LimitError, SourceError
from embaudit.model.dtypes import DType
from embaudit.model.limits import KIB, Limits
from embaudit.values import file_digest, git_blob_sha1, tensor_digest

Store = Callable[..., tuple[object, object]]

SMALL = Limits(work_bytes=64 * KIB)

TYPES = [
    torch.float64,
    torch.float32,
    torch.bfloat16,
    torch.int16,
    torch.uint8,
    torch.complex64,
    torch.complex128,
]


@hypothesis.settings(max_examples=100, deadline=None)
@given(
    dtype=st.sampled_from(TYPES),
    shape=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    order=st.sampled_from(["little", "big"]),
    data=st.data(),
)
def test_a_digest_is_of_logical_values(
    dtype: torch.dtype, shape: tuple[int, ...], order: str, data: st.DataObject, store: Store
) -> None:
    """Whatever the layout and byte order, the digest is of dtype, shape and the values in C order."""
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    content = np.random.default_rng(n_bytes).integers(0, 256, n_bytes, np.uint8)
    tensor = torch.empty(shape, dtype=dtype)
    tensor.untyped_storage().copy_(torch.from_numpy(content).untyped_storage())
    back = data.draw(st.permutations(range(len(shape))))
    strided = tensor.permute(tuple(back)).contiguous().permute(tuple(np.argsort(back).tolist()))

    digest = tensor_digest(*store(strided, byte_order=order), limits=SMALL)

    header = f"{str(dtype).removeprefix('torch.')}[{','.join(map(str, shape))}]\n".encode()
    assert digest == hashlib.sha256(header + content.tobytes()).hexdigest()


def test_a_slice_has_the_digest_of_its_copy(store: Store) -> None:
    """Offset, gaps and overlap leave no trace in the digest."""
    matrix = torch.randn(300, 200)
    views = [matrix[7:, 3::5], matrix[:, 199], matrix[5], matrix[:1].expand(50, 200), matrix.t()]
    views.append(matrix.reshape(-1)[:150].unfold(0, 100, 1))

    for view in views:
        assert tensor_digest(*store(view), limits=SMALL) == tensor_digest(*store(view.contiguous()))


def test_shape_and_type_are_part_of_the_digest(store: Store) -> None:
    """The same bytes under another shape or type are another tensor."""
    tensor = torch.arange(6, dtype=torch.int32)
    others = [tensor.reshape(2, 3), tensor.reshape(6, 1), tensor.view(torch.float32), torch.tensor(0)]

    digests = {tensor_digest(*store(other)) for other in [tensor, *others]}

    assert len(digests) == 5


def test_sub_byte_types_are_digested_as_packed(store_raw: Store) -> None:
    """Four 6-bit elements in three bytes are those three bytes."""
    digest = tensor_digest(*store_raw(b"\1\2\3", DType.FLOAT6_E2M3FN, (4,)))

    assert digest == hashlib.sha256(b"float6_e2m3fn[4]\n\1\2\3").hexdigest()


def test_endless_tensors_have_no_digest(store: Store) -> None:
    """Four bytes that expand to exabytes are refused before the first is read."""
    tensor, reader = store(torch.zeros(1).expand(2**30, 2**30))

    with pytest.raises(LimitError):
        tensor_digest(tensor, reader)

    assert reader.reads == []


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1, 3 * 2**20 + 5])
def test_files_have_the_digests_that_hubs_and_git_give_them(size: int, store: Store, tmp_path: Path) -> None:
    """SHA-256 as Git LFS names objects, and the blob id of git itself, each byte read once."""
    content = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    _, reader = store(torch.zeros(0))
    reader = type(reader)(content)
    (tmp_path / "file").write_bytes(content)
    git = subprocess.run(
        ["git", "hash-object", "file"], cwd=tmp_path, check=True, capture_output=True, text=True
    )

    assert file_digest(reader, "file", size) == hashlib.sha256(content).hexdigest()
    assert git_blob_sha1(reader, "file", size) == git.stdout.strip()
    assert reader.n_bytes == 2 * size


def test_a_file_shorter_than_said_has_no_digest(store: Store) -> None:
    """A digest over fewer bytes than listed would prove nothing."""
    _, reader = store(torch.zeros(4))

    with pytest.raises(SourceError):
        file_digest(reader, "model.bin", 10**6)
