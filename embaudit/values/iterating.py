"""The values of one tensor, from first to last in C order, a block at a time."""

from collections.abc import Iterator

from embaudit.model.files import Reader
from embaudit.model.tensors import TensorInfo
from embaudit.values.encodings import Words
from embaudit.values.layout import row_grid
from embaudit.values.tiles import open_sources, read_box
from embaudit.values.workspace import Workspace


def iterate_words(tensor: TensorInfo, reader: Reader, workspace: Workspace) -> Iterator[Words]:
    """The stored words of a tensor in C order, whatever its stride, dense, in the machine's byte order.

    Each array lies in the workspace and is overwritten by the next. A layout far from C order, of a tensor
    larger than a block, is read in many short runs: right, and never more memory, but slow.

    Raises:
        FormatError: If the tensor's byte span does not follow from its shape and stride.
        SourceError: If its bytes cannot be read.
    """
    if tensor.n_elements == 0:
        return
    (source,) = open_sources((tensor, reader))
    grid = row_grid(source.shape, workspace.room.block_bytes // source.encoding.unit_bytes)
    for number in range(grid.n_boxes):
        yield read_box(source, grid.box(number), workspace, "left")
