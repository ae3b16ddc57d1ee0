"""Parses any weight file that embaudit reads: sniffs at its first bytes, then calls its format's reader."""

from embaudit.errors import FormatError
from embaudit.formats.fields import inside
from embaudit.formats.pickle_machine import PickleError
from embaudit.formats.pickle_row import PickleRow
from embaudit.formats.safetensors import parse_safetensors
from embaudit.formats.sniff import Container, sniff
from embaudit.formats.torch_legacy import parse_torch_legacy
from embaudit.formats.torch_tar import parse_torch_tar
from embaudit.formats.torch_zip import parse_torch_zip
from embaudit.formats.view import ByteView
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.limits import DEFAULT_LIMITS, Limits

_SHOWN_BYTES = 16
"""Bytes of an unknown file that a message repeats."""

_PARSERS = {
    Container.SAFETENSORS: parse_safetensors,
    Container.ZIP: parse_torch_zip,
    Container.TAR: parse_torch_tar,
    Container.PICKLE: parse_torch_legacy,
}


def parse_checkpoint(view: ByteView, limits: Limits = DEFAULT_LIMITS) -> Checkpoint:
    """The tensor table of a weight file, and all else that its header says, whatever its format.

    Raises:
        FormatError: If the file is of no format that holds tensors, or is malformed; names the file.
        LimitError: If it exceeds a limit; names the file.
    """
    with inside(view.path):
        container = sniff(view)
        parse = _PARSERS.get(container)
        if parse is not None:
            return parse(view, limits)
        if container is Container.UNKNOWN:
            return _parse_unmarked(view, limits)
        raise FormatError(f"is {container}, not a torch or safetensors checkpoint")


def _parse_unmarked(view: ByteView, limits: Limits) -> Checkpoint:
    """A pickle of protocol 0 or 1 has no mark at its start; whatever else there is, is no checkpoint.

    What begins like no pickle at all is told by its first bytes. A pickle that imports something is told as
    one, even if it breaks off: an unpickler would have imported by then.
    """
    try:
        return parse_torch_legacy(view, limits)
    except PickleError as error:
        if error.globals or _begins_with_pickle(view, limits):
            raise
        begins = view.read(0, _SHOWN_BYTES)
        more = "..." if view.size > _SHOWN_BYTES else ""
        raise FormatError(f"begins with {begins!r}{more}: not a torch or safetensors file") from error


def _begins_with_pickle(view: ByteView, limits: Limits) -> bool:
    """Whether a whole pickle comes first, as the magic number does in a legacy file that breaks off later."""
    try:
        PickleRow(view, limits).next()
    except PickleError:
        return False
    return True
