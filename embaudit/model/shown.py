"""Values that show themselves: in a notebook, and as tables of pandas.

Knows that there are notebooks and tables, by the names of the methods that they look for. Refuses to know how
anything is rendered: that is asked of whoever was named to `show_with`, and until somebody was, a value shows
itself as any other object does.
"""

from typing import Any, Protocol

from embaudit.errors import UsageError


class Shower(Protocol):
    """Renders values."""

    def html_of(self, value: object) -> str:
        """A value as a piece of HTML."""
        ...

    def text_of(self, value: object) -> str:
        """A value as lines of text."""
        ...

    def frame_of(self, value: object) -> Any:
        """A value as a `pandas.DataFrame`."""
        ...


_SHOWERS: list[Shower] = []
"""The one that was named, if one was."""


def show_with(shower: Shower) -> None:
    """Let values be rendered by `shower` from now on."""
    _SHOWERS[:] = [shower]


class Shown:
    """A value that a notebook shows."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        """What a notebook shows; None lets it take the `repr`.

        https://ipython.readthedocs.io/en/stable/config/integrating.html#rich-display, version 9.
        """
        return _SHOWERS[0].html_of(self) if _SHOWERS else None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What IPython prints in a terminal, and stores in a notebook beside the HTML: not the whole `repr`.

        `_repr_pretty_` would not do: IPython prefers a `__repr__` of the class itself to one that is
        inherited, and attrs makes one.
        """
        return {"text/plain": _SHOWERS[0].text_of(self)} if _SHOWERS else {}


class Tabular(Shown):
    """A value that is a table, too."""

    __slots__ = ()

    def to_frame(self) -> Any:
        """The rows as a `pandas.DataFrame`, one column for each field.

        Raises:
            UsageError: If pandas is not installed; `pip install 'embaudit[notebook]'` brings it.
        """
        if not _SHOWERS:
            raise UsageError("nothing renders values: import embaudit, and take the name from there")
        return _SHOWERS[0].frame_of(self)
