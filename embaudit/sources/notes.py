"""The notes that huggingface_hub leaves on files downloaded to a plain folder.

`hf download --local-dir` (or `local_dir=`) writes one for each file, to
`.cache/huggingface/download/<path>.metadata`: three lines, commit, ETag, time in seconds
(huggingface_hub 2.4.0, `_local_folder.py`, `read_download_metadata`).

Knows their place and their form. Refuses to know whether a note still holds.
"""

import math
import re
from pathlib import Path

import attrs

from embaudit.sources.local import open_regular

FOLDER = ".cache/huggingface/download"
"""Where the notes lie, inside the folder that was downloaded to."""
NOTE_BYTES = 4096
"""More than a commit, an ETag and a time ever take."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


@attrs.frozen
class Note:
    """What huggingface_hub wrote down about one downloaded file.

    Attributes:
        commit: 40 hexadecimal digits.
        etag: The digest that the hub knows the file by.
        time: Seconds since 1970, when the note was written.
    """

    commit: str
    etag: str
    time: float


def place_of_note(path: str) -> str:
    """Where the note on a file lies, relative to the folder that was downloaded to."""
    return f"{FOLDER}/{path}.metadata"


def read_note(location: Path) -> Note | None:
    """The note in a file; None if it holds no whole note.

    Raises:
        OSError: If there is no file, or it cannot be read.
    """
    opened, _ = open_regular(location)
    content = bytearray(NOTE_BYTES)
    n_read = opened.fill(0, memoryview(content))
    lines = [line.strip() for line in content[:n_read].decode("utf-8", "replace").split("\n")[:3]]
    if len(lines) != len(attrs.fields(Note)) or _COMMIT.fullmatch(lines[0]) is None:
        return None
    try:
        time = float(lines[2])
    except ValueError:
        return None
    return Note(lines[0], lines[1], time) if math.isfinite(time) else None
