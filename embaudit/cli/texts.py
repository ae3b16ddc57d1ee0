"""Texts out of a file that somebody names on the command line."""

from pathlib import Path

from embaudit.errors import FormatError, LimitError, TargetError
from embaudit.formats.documents import decode_json
from embaudit.formats.fields import ARRAY, TEXT, expect, inside
from embaudit.model.limits import DEFAULT_LIMITS, Limits

_DEPTH = 2


def read_texts(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """The texts of a file in UTF-8: a JSON array of strings if it ends in `.json`, else one a line.

    A last line without an end is a text, too; an empty line is an empty text.

    Raises:
        TargetError: If the file cannot be read.
        FormatError: If it is not UTF-8, or not such an array.
        LimitError: If it is larger than `limits.json_bytes`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limits.json_bytes + 1)
    except OSError as error:
        raise TargetError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > limits.json_bytes:
        raise LimitError(f"has more than {limits.json_bytes:,} bytes", str(path), "json_bytes")
    with inside(str(path)):
        if path.suffix.lower() == ".json":
            array = expect(decode_json(data, max_depth=_DEPTH), ARRAY)
            return tuple(expect(text, TEXT, f"text {row}") for row, text in enumerate(array))
        try:
            lines = data.decode("utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            raise FormatError(f"is not UTF-8 at byte {error.start}") from error
    if lines[-1] == "":
        lines.pop()
    return tuple(line.removesuffix("\r") for line in lines)
