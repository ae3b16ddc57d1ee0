"""What huggingface_hub leaves in a folder when it is killed, and then cannot do with.

Both from the sources of huggingface_hub 0.34.0, 0.36.2 and 1.0.1; 1.33.0 does neither:
- a note on a file that breaks off, or is empty: `read_download_metadata` in `_local_folder.py` removes it,
  and then ends in `UnboundLocalError`.
- an empty file `tmp_<uuid>`, which `_chmod_and_move` in `file_download.py` makes two folders above the file
  that it moves, to learn the user's umask. A loader would not open it; we take it for a stray.

Knows what may go without a loss. Refuses to know what belongs into the folder otherwise.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from embaudit.model.files import FileEntry, FileState, Snapshot
from embaudit.sources.notes import place_of_note, read_note

_PROBE = re.compile(r"(?:.*/)?tmp_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.DOTALL)
"""`uuid.uuid4` as text: https://docs.python.org/3/library/uuid.html"""


def clear_leftovers(folder: Path, placed: Snapshot, audited: Mapping[str, FileEntry]) -> frozenset[str]:
    """Remove broken notes on the audited files, and the empty files of a download that was killed.

    Args:
        folder: Where was, and will be, downloaded to. Nobody else downloads there meanwhile.
        placed: What lies in it.
        audited: The files of the commit, by path: none of them is removed.

    Returns:
        Which of the placed files are gone now.
    """
    for path in audited:
        # What cannot be read or removed is left to the download, and so is telling it.
        with suppress(OSError):
            note = folder / place_of_note(path)
            if read_note(note) is None:
                note.unlink()
    return frozenset(
        path
        for path, entry in placed.files.items()
        if path not in audited and _is_probe(entry) and _is_removed(folder / path)
    )


def _is_probe(entry: FileEntry) -> bool:
    is_empty = entry.state is FileState.PRESENT and entry.size == 0
    return is_empty and _PROBE.fullmatch(entry.path) is not None


def _is_removed(file: Path) -> bool:
    try:
        file.unlink()
    except OSError:
        return False
    return True
