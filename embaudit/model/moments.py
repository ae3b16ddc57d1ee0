"""When something happened, as git, the hub and the cache spell it: texts to moments that can be ordered."""

from datetime import datetime, timezone


def moment(text: str) -> datetime | None:
    """The moment that an ISO 8601 date and time names, or None if the text is none; without offset, in UTC.

    The hub writes `Z` for UTC (`2024-05-01T12:00:00.000Z`), which Python understands from 3.11 on.
    """
    whole = text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text
    try:
        found = datetime.fromisoformat(whole)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
