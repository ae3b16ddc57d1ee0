"""Where a policy lies on this disk, and its bytes. Refuses to know what is in it."""

import os
from pathlib import Path

from embaudit.errors import UsageError
from embaudit.model.policy import Policy
from embaudit.policies.parsing import POLICY_FILE, PROJECT_FILE, parse_if_any, parse_policy
from embaudit.sources import shown
from embaudit.sources.local import open_regular

MAX_POLICY_BYTES = 256 * 1024
"""Bytes of a policy, or of a pyproject.toml with one. The largest of large projects have about 100 KB."""

_GIT = ".git"


def read_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in a file: all of it, or the table `[tool.embaudit]` of a `pyproject.toml`.

    Links are followed, since whoever asks named the file. Only regular files are read.

    Raises:
        UsageError: If the file cannot be read, is too large, not UTF-8, not TOML, or not a policy; names the
            file, the line and the key, what was expected, and the nearest right name.
    """
    place = _place(path)
    return parse_policy(_text(place), str(place))


def find_policy(folder: str | os.PathLike[str] = ".") -> Policy | None:
    """The policy that holds for a folder, or None.

    In the folder and then in each one above it `embaudit.toml` is looked for, and `pyproject.toml` with a
    table `[tool.embaudit]`; the first one counts, and nothing is joined. The last folder is the root of the
    git repository, if there is one.

    Raises:
        UsageError: If there is no such folder, or a file on the way cannot be read: whether it holds a policy
            is then not known. As `read_policy` otherwise.
    """
    begin = Path(os.path.abspath(_place(folder)))  # noqa: PTH100 - `resolve` would follow links
    if not begin.is_dir():
        raise UsageError(f"'{shown(str(begin))}' is not a folder")
    for each in (begin, *begin.parents):
        for name in (POLICY_FILE, PROJECT_FILE):
            place = each / name
            if os.path.lexists(place):
                policy = parse_if_any(_text(place), str(place))
                if policy is not None:
                    return policy
        if os.path.lexists(each / _GIT):
            return None
    return None


def _place(path: str | os.PathLike[str]) -> Path:
    try:
        text = os.fspath(path)
        os.fsencode(text)
        place = Path(text).expanduser()
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"{path!r} cannot be the name of a policy's file") from None
    if "\0" in str(place):
        raise UsageError(f"{path!r} cannot be the name of a policy's file: it holds a NUL character")
    return place


def _text(place: Path) -> str:
    name = shown(str(place))
    try:
        opened, listed = open_regular(Path(os.path.realpath(place)))
        if listed.size > MAX_POLICY_BYTES:
            raise UsageError(f"{name} has {listed.size:,} bytes; a policy has at most {MAX_POLICY_BYTES:,}")
        content = bytearray(listed.size)
        content = content[: opened.fill(0, memoryview(content))]
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{name}, line {line}: is not UTF-8, which TOML is") from None
