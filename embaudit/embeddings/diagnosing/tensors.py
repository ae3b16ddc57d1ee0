"""The tensors of a checkpoint as torch has them: as they are stored, or as candle up to 0.8.4 reads them.

Knows bytes and layouts, through embaudit's own readers; nothing is unpickled. Refuses to know what a model
makes of the names.
"""

import attrs
import numpy as np
import torch
from torch import Tensor

from embaudit.errors import LimitError, TargetError
from embaudit.loaders.candle import BYTES_READER
from embaudit.loaders.candle_reading import read_with_candle
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.files import Reader
from embaudit.model.limits import GIB, Limits
from embaudit.model.prediction import MisreadKey
from embaudit.model.tensors import TensorInfo
from embaudit.values.iterating import iterate_words
from embaudit.values.layout import check_repetition
from embaudit.values.workspace import Workspace, room_within

MOST_MODEL_BYTES = 16 * GIB
"""Bytes of the tensors of one model that is run here, as they are stored: a model of 8 billion parameters."""


def misreadings(checkpoint: Checkpoint) -> dict[str, MisreadKey]:
    """The tensors that candle 0.5.0 to 0.8.4 takes from other bytes, by name; none if it refuses the file."""
    return dict(read_with_candle(checkpoint, BYTES_READER).misread)


def read_tensors(checkpoint: Checkpoint, limits: Limits, *, misread: bool = False) -> dict[str, Tensor]:
    """Every tensor of numbers by the name that a loader sees: without the container that it lies in.

    Args:
        checkpoint: From headers; its reader gives the bytes.
        limits: Bounds on what is read.
        misread: Whether they are read from where candle up to 0.8.4 takes them to begin.

    Raises:
        TargetError: If the checkpoint comes out of a report, or holds packed or quantised elements.
        LimitError: If it is too large.
        FormatError: If a tensor's byte span does not follow from its shape and stride.
        SourceError: If bytes cannot be read.
    """
    reader = checkpoint.reader
    if reader is None:
        raise TargetError(f"`{checkpoint.name}` comes out of a report: its tensors cannot be read")
    if checkpoint.n_bytes > MOST_MODEL_BYTES:
        problem = f"its tensors have {checkpoint.n_bytes} bytes, more than {MOST_MODEL_BYTES}"
        raise LimitError(problem, checkpoint.name, "MOST_MODEL_BYTES")
    check_repetition(limits, [(tensor, reader) for tensor in checkpoint.tensors.values()])
    wrong = misreadings(checkpoint) if misread else {}
    workspace = Workspace(room_within(limits))
    start = f"{checkpoint.state_dict}." if checkpoint.state_dict else ""
    return {
        name.removeprefix(start): _read(_moved(tensor, wrong.get(name)), reader, workspace)
        for name, tensor in checkpoint.tensors.items()
    }


def _moved(tensor: TensorInfo, key: MisreadKey | None) -> TensorInfo:
    """The tensor that a loader reads in place of another: the same layout from another byte on."""
    if key is None:
        return tensor
    stop = key.byte_read + tensor.stop - tensor.start
    return attrs.evolve(tensor, start=key.byte_read, stop=stop, byte_order="little")


def _read(tensor: TensorInfo, reader: Reader, workspace: Workspace) -> Tensor:
    dtype = getattr(torch, str(tensor.dtype), None)
    if dtype is None or dtype.itemsize * tensor.n_elements != tensor.n_bytes:
        raise TargetError(
            f"`{tensor.name}` holds elements of {tensor.dtype}, which no model is run with here"
        )
    content = np.empty(tensor.n_bytes, np.uint8)
    place = 0
    for words in iterate_words(tensor, reader, workspace):
        content[place : place + words.nbytes] = words.reshape(-1).view(np.uint8)
        place += words.nbytes
    if tensor.n_elements == 0:
        return torch.empty(tensor.shape, dtype=dtype)
    return torch.from_numpy(content).view(dtype).reshape(tensor.shape)
