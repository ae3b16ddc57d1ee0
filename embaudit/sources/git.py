"""The one door to another program: git, reading a local clone, with everything that a clone could abuse shut.

A clone's own configuration can name programs: hooks, a file system monitor, filters, text conversions, a
pager, a signature checker, transports that fetch missing objects. Only plumbing that runs none of them is
called here (`rev-parse`, `symbolic-ref`, `show-ref`, `for-each-ref`, `rev-list`, `ls-tree`, `cat-file`), none
of which looks at the index or the working tree, and the doors are shut one by one as well:

* neither the system's nor the user's configuration is read, and no `GIT_*` variable is passed on;
* `core.fsmonitor`, `core.hooksPath` and the pager are overridden, automatic maintenance is off;
* missing objects of a partial clone are not fetched (`GIT_NO_LAZY_FETCH`, git 2.39.4 and 2.45 on), and no
  transport is allowed (`GIT_ALLOW_PROTOCOL`, `protocol.allow`; older git heeds these);
* replace refs, grafts and the commit-graph file cannot show another history than the objects do;
* the git directory is named, not searched for: a folder above is never taken for the clone, and another
  user's clone can be read without trusting it in general (`safe.directory`, git 2.35.2 on, is for searching);
* every command has a time limit, and a limit on what it may print.

Options and variables: https://git-scm.com/docs/git/2.45.0. This module knows how to run git, not what a
snapshot is.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import attrs

from embaudit.errors import LimitError, SourceError, TargetError
from embaudit.model.limits import Limits
from embaudit.sources.base import shown

_SECONDS = 60.0
"""Time for a command, before the time for what it prints."""
_BYTES_PER_SECOND = 4 * 1024 * 1024
"""The slowest unpacking of a blob that is waited for."""
_CHUNK = 1 << 20
_ERROR_BYTES = 4096
_PASSED_ON = ("PATH", "HOME", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
_SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.commitGraph": "false",
    "core.useReplaceRefs": "false",
    "core.bigFileThreshold": "16m",  # larger blobs are streamed, not held in memory
    "gc.auto": "0",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "protocol.allow": "never",
}


def _environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **passed_on,
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def find_git() -> str:
    """The absolute path of the git program; a relative folder on the search path is not looked into.

    Raises:
        TargetError: If there is none.
    """
    folders = [folder for folder in os.get_exec_path() if Path(folder).is_absolute()]
    program = shutil.which("git", path=os.pathsep.join(folders))
    if program is None or not Path(program).is_absolute():
        raise TargetError("a git clone can only be read where the program git is installed, and it is not")
    return program


@attrs.frozen(kw_only=True)
class Answer:
    """What a git command printed.

    Attributes:
        code: Its exit code; 0 if all went well.
        output: What it printed, unless it went elsewhere.
        problem: The end of its error messages, safe to print.
    """

    code: int
    output: bytes
    problem: str


@attrs.frozen(kw_only=True)
class Git:
    """Git commands on one clone, hardened. Safe to use from several threads.

    Attributes:
        program: Absolute path of git.
        folder: The clone's git directory.
        limits: `git_output_bytes` and `git_blob_bytes` bound what a command may print.
    """

    program: str
    folder: Path
    limits: Limits

    def ask(
        self, *arguments: str, questions: bytes = b"", watch: Callable[[bytes], None] | None = None
    ) -> Answer:
        """Run a command, and keep what it prints.

        Args:
            arguments: The command and its arguments.
            questions: Its standard input.
            watch: Called with each piece of the output as it comes; what it raises ends the command.

        Raises:
            SourceError: If git cannot be started, or takes too long.
            LimitError: If it prints more than `limits.git_output_bytes`.
        """
        chunks: list[bytes] = []

        def keep(chunk: bytes) -> None:
            if watch is not None:
                watch(chunk)
            chunks.append(chunk)

        code, problem = self._run(arguments, questions, keep, ("git_output_bytes", _SECONDS))
        return Answer(code=code, output=b"".join(chunks), problem=problem)

    def demand(
        self, *arguments: str, questions: bytes = b"", watch: Callable[[bytes], None] | None = None
    ) -> bytes:
        """What a command prints that is expected to go well.

        Raises:
            SourceError: As `ask` does, and if the command fails.
            LimitError: As `ask` does.
        """
        answer = self.ask(*arguments, questions=questions, watch=watch)
        if answer.code != 0:
            raise SourceError(f"{self} could not be read: git {arguments[0]}: {answer.problem}")
        return answer.output

    def listing(self, *arguments: str) -> bytes:
        """What a command prints that lists files, each row ended by a zero byte.

        A tree can name itself many times over, so that a kilobyte of objects lists millions of files: the
        rows are counted while they come.

        Raises:
            SourceError: As `demand` does.
            LimitError: If it lists more than `limits.files`, or prints more than `limits.git_output_bytes`.
        """
        n_rows = 0

        def count(chunk: bytes) -> None:
            nonlocal n_rows
            n_rows += chunk.count(b"\0")
            if n_rows > self.limits.files:
                raise LimitError(f"a tree of more than {self.limits.files} files", str(self), "files")

        return self.demand(*arguments, watch=count)

    def spool(self, *arguments: str, size: int) -> int:
        """The open descriptor of a nameless temporary file with the `size` bytes that a command prints.

        Raises:
            SourceError: As `demand` does, and if other than `size` bytes are printed or the disk is full.
            LimitError: If `size` is more than `limits.git_blob_bytes`.
        """
        if size > self.limits.git_blob_bytes:
            raise LimitError(f"a blob of {size} bytes to unpack", str(self), "git_blob_bytes")
        try:
            with tempfile.TemporaryFile() as file:
                bounds = ("git_blob_bytes", _SECONDS + size / _BYTES_PER_SECOND)
                code, problem = self._run(arguments, b"", file.write, bounds)
                file.flush()
                if code != 0 or file.tell() != size:
                    problem = problem or f"{file.tell()} bytes in place of {size}"
                    raise SourceError(f"{self} could not be read: git {arguments[0]}: {problem}")
                return os.dup(file.fileno())
        except OSError as error:
            raise SourceError(f"a blob of {self} could not be unpacked: {error.strerror or error}") from error

    def __str__(self) -> str:
        return f"'{shown(str(self.folder))}'"

    def _run(
        self,
        arguments: tuple[str, ...],
        questions: bytes,
        sink: Callable[[bytes], object],
        bounds: tuple[str, float],
    ) -> tuple[int, str]:
        """Run a command, hand on what it prints, and give its exit code and its error messages."""
        limit, seconds = bounds
        is_late = threading.Event()
        errors: list[bytes] = []
        try:
            with tempfile.TemporaryFile() as asked:
                # A file, not a pipe: git may start to print before it has read all questions.
                asked.write(questions)
                asked.seek(0)
                with self._start(arguments, asked) as process, _deadline(process, seconds, is_late, errors):
                    self._pass_on(process.stdout, sink, limit)
        except OSError as error:
            raise SourceError(f"git {arguments[0]} on {self}: {error.strerror or error}") from error
        if is_late.is_set():
            raise SourceError(f"git {arguments[0]} on {self} took more than {seconds:.0f} seconds")
        return process.returncode, shown(b"".join(errors).decode("utf-8", "replace").strip())

    def _start(self, arguments: tuple[str, ...], asked: IO[bytes]) -> subprocess.Popen[bytes]:
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [self.program, "--no-pager", *settings, f"--git-dir={self.folder}", *arguments]
        return subprocess.Popen(  # noqa: S603 - an absolute program and a list of arguments, no shell
            command,
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=_environment(),
            start_new_session=True,  # so that whatever it starts ends with it
        )

    def _pass_on(self, output: IO[bytes] | None, sink: Callable[[bytes], object], limit: str) -> None:
        most: int = getattr(self.limits, limit)
        n_bytes = 0
        while output is not None and (chunk := os.read(output.fileno(), _CHUNK)):
            n_bytes += len(chunk)
            if n_bytes > most:
                raise LimitError(f"git printed more than {most} bytes", str(self), limit)
            sink(chunk)


@contextlib.contextmanager
def _deadline(
    process: subprocess.Popen[bytes], seconds: float, is_late: threading.Event, errors: list[bytes]
) -> Iterator[None]:
    """Run beside a process: listen to its errors, and end it if it is late or if we fail."""

    def end() -> None:
        is_late.set()
        _kill(process)

    timer = threading.Timer(seconds, end)
    listener = threading.Thread(target=_listen, args=(process.stderr, errors), daemon=True)
    timer.start()
    listener.start()
    try:
        yield
        process.wait()
    except BaseException:
        _kill(process)
        raise
    finally:
        listener.join()  # before the timer is off: what git started may hold the stream open
        timer.cancel()


def _listen(stream: IO[bytes], kept: list[bytes]) -> None:
    """Keep the first error messages, and throw away the rest, so that git never waits."""
    kept.append(stream.read(_ERROR_BYTES))
    while stream.read(_CHUNK):
        pass


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
