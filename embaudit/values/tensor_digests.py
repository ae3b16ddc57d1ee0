"""A digest of what a tensor holds, whatever file, format, stride or byte order holds it."""

import hashlib
from collections.abc import Callable

from embaudit.model.files import Reader
from embaudit.model.limits import Limits
from embaudit.model.tensors import TensorInfo
from embaudit.values.iterating import iterate_words
from embaudit.values.layout import check_repetition
from embaudit.values.workspace import Workspace, room_within


def digest_tensor(
    tensor: TensorInfo, reader: Reader, limits: Limits, advance: Callable[[int], None] | None = None
) -> str:
    """See `embaudit.values.tensor_digest`; `advance` is called with the bytes of each block, once read."""
    check_repetition(limits, [(tensor, reader)])
    sizes = ",".join(str(size) for size in tensor.shape)
    digest = hashlib.sha256(f"{tensor.dtype}[{sizes}]\n".encode("ascii"))
    for words in iterate_words(tensor, reader, Workspace(room_within(limits))):
        digest.update(words.astype(words.dtype.newbyteorder("<"), copy=False).data)
        if advance is not None:
            advance(words.nbytes)
    return digest.hexdigest()
