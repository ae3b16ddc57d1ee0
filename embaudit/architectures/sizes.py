"""Numbers and truths of a configuration, checked before a shape or a count is made of them.

Knows which values torch and transformers would take for a size; refuses to know what any field means.
"""

from collections.abc import Mapping

from embaudit.errors import FormatError
from embaudit.formats.fields import FLAG, INTEGER, take
from embaudit.model.frozen import JSON

LARGEST_SIZE = 2**63 - 1
"""torch holds sizes and counts of elements in 64 bits, with a sign."""
_PRINTED_BITS = 64


def take_integer(config: Mapping[str, JSON], field: str, *, least: int = -LARGEST_SIZE) -> int:
    """The integer `field`; true and false are none.

    Raises:
        FormatError: If it is missing, no integer, under `least`, or beyond 64 bits.
    """
    number = take(config, field, INTEGER)
    if not least <= number <= LARGEST_SIZE:
        # Python refuses to print integers of thousands of digits.
        found = str(number) if number.bit_length() <= _PRINTED_BITS else "one beyond 64 bits"
        raise FormatError(f"expected an integer from {least} to {LARGEST_SIZE}, found {found}", field)
    return number


def take_size(config: Mapping[str, JSON], field: str) -> int:
    """The whole number `field`, from 0 on.

    Raises:
        FormatError: If it is missing or anything else.
    """
    return take_integer(config, field, least=0)


def take_truth(config: Mapping[str, JSON], field: str) -> bool:
    """Whether `field` is true or above 0.

    Raises:
        FormatError: If it is missing, null, or neither a truth nor a whole number from 0 on.
    """
    if FLAG.holds(config.get(field)):
        return bool(config[field])
    return take_size(config, field) > 0
