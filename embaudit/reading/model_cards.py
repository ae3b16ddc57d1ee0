"""What the model card of a repository says of its licence: only the head of `README.md` is read."""

from embaudit.errors import WITHHELD, FormatError, LimitError, SourceError
from embaudit.formats.model_cards import MAX_HEAD_BYTES, head_is_whole, parse_model_card
from embaudit.formats.view import ByteView
from embaudit.model.declaration import ModelCard
from embaudit.model.files import Snapshot
from embaudit.model.limits import KIB
from embaudit.reading.files import view_file

CARD = "README.md"
"""The hub knows the card of a repository by this name alone."""

_FIRST = 64 * KIB
"""Bytes asked for first. Most cards are shorter; results of a benchmark take two or three steps more."""


def read_model_card(snapshot: Snapshot) -> ModelCard:
    """The licence that a repository declares; never an error, for why it is not known is in `problem`."""
    if CARD not in snapshot.files:
        return ModelCard(path=CARD, problem="there is no such file")
    try:
        return parse_model_card(_head(view_file(snapshot, CARD)), CARD)
    except WITHHELD:
        raise
    except (SourceError, FormatError, LimitError) as error:
        return ModelCard(path=CARD, problem=getattr(error, "problem", str(error)))


def _head(view: ByteView) -> bytes:
    """The beginning of the card, in steps, until its head is whole or larger than it may be."""
    data, step = b"", _FIRST
    while len(data) < view.size and len(data) <= MAX_HEAD_BYTES and not (data and head_is_whole(data)):
        data += view.read(len(data), min(view.size, len(data) + step))
        step = len(data)
    return data
