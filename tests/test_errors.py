"""embaudit's errors: one family, places that grow outwards, and travel between processes."""

import pickle

import pytest

from embaudit import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_of_the_family(kind: type[Exception]) -> None:
    """Whoever catches `EmbauditError` catches them all."""
    assert issubclass(kind, errors.EmbauditError)


@pytest.mark.parametrize(
    "error",
    [
        errors.TargetError("there is nothing"),
        errors.FormatError("it ends early", "a.bin"),
        errors.LimitError("too many", "a.bin", "tensors").inside("folder"),
        errors.BudgetError("too many", "a.bin", "requests").inside("folder"),
        errors.UnknownCommitError("no such commit", "a" * 40),
    ],
    ids=["plain", "format", "limit", "budget", "commit"],
)
def test_errors_travel_between_processes(error: errors.EmbauditError) -> None:
    """An error that was pickled and read back says the same, with the same attributes."""
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_the_place_grows_outwards() -> None:
    """Each container that an error passes stands before the place inside it."""
    error = errors.LimitError("too long", "name", "name_bytes").inside("data.pkl").inside("model.bin")

    assert str(error) == "model.bin: data.pkl: name: too long"
    assert error.limit == "name_bytes"
    assert str(errors.FormatError("odd")) == "odd"
    assert str(errors.FormatError("odd").inside("a.json")) == "a.json: odd"


def test_what_ends_an_audit_stays_that() -> None:
    """A budget that is used up is told as such, whichever reader the error passed on its way."""
    error = errors.BudgetError("too many", "", "requests").inside("model.bin")

    assert isinstance(error, errors.UNANSWERED)
    assert not isinstance(errors.LimitError("too many"), errors.UNANSWERED)


def test_a_wrong_argument_is_a_value_error_too() -> None:
    """Code that knows nothing of embaudit catches a wrong argument as python's own error."""
    assert issubclass(errors.UsageError, ValueError)
