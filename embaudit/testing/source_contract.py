"""What every source of bytes must do, as tests that a new source inherits.

pytest is not imported: the class works with any runner that calls methods named `test_...`.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from embaudit.errors import SourceError
from embaudit.model.files import FileState
from embaudit.sources.base import Source

_MISSING = "no such folder/no such file"
_THREADS = 8
_ROUNDS = 4


class SourceContract:
    """The tests of a source. Subclass it, name the class `Test...`, and say how the source is opened.

        class TestMySource(SourceContract):
            def opened(self):
                return MySource(...), {"config.json": b"{}", "onnx/model.onnx": b"..."}

    The source must hold at least one file that is not empty. Files that it lists and that cannot be read are
    left out of the mapping.
    """

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """A source, opened afresh, and what its readable files hold."""
        raise NotImplementedError

    def test_listing_is_sorted_and_complete(self) -> None:
        """The listing holds every file, sorted by path, under its own name."""
        source, contents = self.opened()

        files = source.snapshot().files

        _hold(list(files) == sorted(files), "files are sorted by path")
        _hold(all(path == entry.path for path, entry in files.items()), "each entry knows its path")
        readable = {path for path, entry in files.items() if entry.state is FileState.PRESENT}
        _hold(readable == set(contents), "the readable files are those that were put in")

    def test_sizes_are_true(self) -> None:
        """The size of a readable file is the number of its bytes."""
        source, contents = self.opened()

        files = source.snapshot().files

        sizes = {path: files[path].size for path in contents}
        _hold(sizes == {path: len(content) for path, content in contents.items()}, "sizes are true")

    def test_snapshot_reads_through_its_source(self) -> None:
        """The snapshot of a source carries a reader that gives the same bytes."""
        source, contents = self.opened()

        reader = source.snapshot().reader

        _hold(reader is not None, "the snapshot has a reader")
        for path, content in contents.items():
            same = reader is not None and reader.read(path, 0, len(content)) == content
            _hold(same, f"{path} reads the same through the snapshot")

    def test_ranges_are_exact_at_both_ends(self) -> None:
        """A span begins with the byte at its start and ends before the byte at its stop."""
        source, contents = self.opened()

        for path, content in contents.items():
            for start, stop in _spans(len(content)):
                got = source.read(path, start, stop)
                _hold(got == content[start:stop], f"{path} from {start} to {stop}")

    def test_read_into_equals_read(self) -> None:
        """Filling a buffer gives what reading gives, and touches nothing around the buffer."""
        source, contents = self.opened()

        for path, content in contents.items():
            for start, stop in _spans(len(content)):
                frame = bytearray(b"\xa5" * (stop - start + 2))
                source.read_into(path, start, memoryview(frame)[1:-1])
                _hold(bytes(frame) == b"\xa5" + content[start:stop] + b"\xa5", f"{path} into a buffer")

    def test_empty_read_is_empty(self) -> None:
        """A span without bytes is empty anywhere in the file, its very end included."""
        source, contents = self.opened()

        for path, content in contents.items():
            for position in {0, len(content) // 2, len(content)}:
                _hold(source.read(path, position, position) == b"", f"{path} at {position}")
                source.read_into(path, position, memoryview(bytearray()))

    def test_reading_past_the_end_is_refused(self) -> None:
        """A span that is not wholly inside the file is an error, never a shorter answer."""
        source, contents = self.opened()

        for path, content in contents.items():
            size = len(content)
            for start, stop in ((0, size + 1), (size, size + 1), (size + 1, size + 1), (-1, 0), (1, 0)):
                _refuses(partial(source.read, path, start, stop), f"{path}: {start} to {stop}")
            too_long = memoryview(bytearray(size + 1))
            _refuses(partial(source.read_into, path, 0, too_long), f"{path}: a buffer too long")

    def test_unknown_path_is_refused(self) -> None:
        """A path that is not listed is an error, however little is asked of it."""
        source, _ = self.opened()

        _refuses(partial(source.read, _MISSING, 0, 0), "an unknown path")
        _refuses(partial(source.read, "", 0, 0), "an empty path")
        _refuses(partial(source.read_into, _MISSING, 0, memoryview(bytearray(1))), "an unknown path")

    def test_threads_agree(self) -> None:
        """Reads from several threads at once give what one thread gets."""
        source, contents = self.opened()
        wanted = [
            (path, start, stop) for path, content in contents.items() for start, stop in _spans(len(content))
        ] * _ROUNDS

        with ThreadPoolExecutor(_THREADS) as threads:
            got = list(threads.map(lambda span: source.read(*span), wanted))

        _hold(got == [contents[path][start:stop] for path, start, stop in wanted], "threads agree")

    def test_snapshot_is_the_same_each_time(self) -> None:
        """Asking for the snapshot twice, or opening the source twice, gives equal snapshots."""
        source, _ = self.opened()
        again, _ = self.opened()

        _hold(source.snapshot() == source.snapshot(), "one source, one snapshot")
        _hold(source.snapshot() == again.snapshot(), "the same place, the same snapshot")


def _spans(size: int) -> list[tuple[int, int]]:
    """Spans of a file that tell whether the ends are right: whole, halves, the first and last bytes."""
    middle = size // 2
    spans = {(0, size), (0, middle), (middle, size), (0, min(1, size)), (max(size - 1, 0), size)}
    return sorted(spans)


def _hold(truth: bool, promise: str) -> None:
    if not truth:
        raise AssertionError(f"broken promise: {promise}")


def _refuses(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except SourceError:
        return
    raise AssertionError(f"not refused with a SourceError: {what}")
