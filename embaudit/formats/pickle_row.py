"""Reads pickles that stand one after another in a file, with raw bytes between them that are left unread."""

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.formats.pickle_machine import TruncatedPickleError
from embaudit.formats.pickle_nodes import Pickled
from embaudit.formats.torch_pickles import read_torch_pickle
from embaudit.formats.view import ByteView
from embaudit.model.limits import Limits

_GROWTH = 4


@attrs.define
class PickleRow:
    """A row of pickles. Where one ends is known only once it is read, so the file is read in growing steps.

    Attributes:
        view: The file; the row ends with it.
        limits: What bounds the reading.
        first_step: Bytes that are read first.
        origin: Byte of the file where `data` begins.
        at: Byte of the file where the next pickle, or what stands between, begins.
        data: What has been read, from `origin` on.
    """

    view: ByteView
    limits: Limits
    first_step: int = 65536
    origin: int = 0
    at: int = 0
    data: bytes = b""

    def next(self) -> Pickled:
        """The next pickle of the row.

        Raises:
            FormatError: If it is broken, or there is none.
            LimitError: If it has more than `pickle_bytes`.
        """
        while True:
            try:
                pickled = read_torch_pickle(self.data, self.at - self.origin, self.origin, self.limits)
            except TruncatedPickleError:
                if self.origin + len(self.data) >= self.view.size:
                    raise
                self._grow()
            else:
                self.at = self.origin + pickled.stop
                return pickled

    def take(self, n_bytes: int) -> bytes:
        """The next bytes of the row, which are no pickle.

        Raises:
            FormatError: If there are fewer.
        """
        if self.at + n_bytes > self.view.size:
            raise FormatError(f"the file is cut short at byte {self.at}, where {n_bytes} bytes should follow")
        start = self.at - self.origin
        taken = self.data[start : start + n_bytes]
        if len(taken) < n_bytes:
            taken = self.view.read(self.at, self.at + n_bytes)
        self.skip(n_bytes)
        return taken

    def skip(self, n_bytes: int) -> None:
        """Leave out the next bytes of the row; what lies beyond what has been read is not read."""
        self.at += n_bytes
        if self.at > self.origin + len(self.data):
            self.origin, self.data = self.at, b""

    def _grow(self) -> None:
        allowed = self.limits.pickle_bytes
        used = self.at - self.origin
        if len(self.data) - used >= allowed:
            raise LimitError(
                f"the pickle at byte {self.at} has more than {allowed} bytes", "", "pickle_bytes"
            )
        step = min(max(self.first_step, (len(self.data) - used) * _GROWTH), allowed)
        more = self.view.read(self.origin + len(self.data), self.at + step)
        self.origin, self.data = self.at, self.data[used:] + more
