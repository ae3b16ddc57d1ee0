"""The head of a model card, YAML between two lines of three dashes, and the licence that it declares.

Knows which lines the head is, as huggingface_hub finds it, and the keys of a licence. Nothing of the YAML is
made into objects: its events are walked, so that an alias is never followed and cannot multiply, a tag never
means a type, and most of a card is passed over. Refuses to know which licence is a good one.
Sources: https://github.com/huggingface/huggingface_hub/blob/v1.0.1/src/huggingface_hub/repocard.py
(`REGEX_YAML_BLOCK`); https://huggingface.co/docs/hub/model-cards#model-card-metadata.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped] # its stubs are a package of their own, for this one import

from embaudit.errors import FormatError, LimitError
from embaudit.formats.fields import quoted
from embaudit.model.declaration import ModelCard

MAX_HEAD_BYTES = 1024 * 1024
"""Bytes of the head of a card. The results of a large benchmark make heads of some 200 KB."""

MAX_HEAD_DEPTH = 32
"""Arrays and objects inside one another. The results of a benchmark are nested 7 deep."""

MAX_LICENCES = 20
"""Entries of `license`: more of them are no declaration."""

_BEGIN = re.compile(rb"\s*---(?:\r\n|\r|\n)")
_END = re.compile(rb"(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|\Z)")
_SURE_END = re.compile(rb"(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n)")
_MERGE = "<<"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
"""How YAML writes that there is nothing, without quotes."""

# libyaml's parser where PyYAML was built with it: the same events, faster.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Events = Iterator[Any]


def head_is_whole(data: bytes) -> bool:
    """Whether the beginning of a card, which may go on, holds all of its head, or shows it has none."""
    begin = _BEGIN.match(data)
    if begin is None:
        return bool(data.strip())
    return _SURE_END.search(data, begin.end()) is not None


def parse_model_card(data: bytes, path: str) -> ModelCard:
    """The licence that a card declares.

    Args:
        data: The card, at least to the end of its head.
        path: Where it lies in the repository.

    Raises:
        FormatError: If the head does not end, is no YAML object, or what it says of the licence is no text.
        LimitError: If it is too large or nests too deep.
    """
    begin = _BEGIN.match(data)
    if begin is None:
        return ModelCard(path=path)
    end = _END.search(data, begin.end())
    head = data[begin.end() : len(data) if end is None else end.start()]
    if len(head) > MAX_HEAD_BYTES:
        raise LimitError(f"the head has more than {MAX_HEAD_BYTES:,} bytes", path)
    if end is None:
        raise FormatError("the head has no end, a line of three dashes", path)
    try:
        declared = _declared(_bounded(yaml.parse(head.decode("utf-8"), Loader=_LOADER), path), path)
    except UnicodeDecodeError:
        raise FormatError("the head is not UTF-8", path) from None
    except yaml.YAMLError:
        raise FormatError("the head is not YAML", path) from None
    names = declared.get("license_name", ())
    return ModelCard(path=path, licences=declared.get("license", ()), licence_name=names[0] if names else "")


def _bounded(events: Events, path: str) -> Events:
    """The events inside the document, as long as they do not nest too deep."""
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_HEAD_DEPTH:
            raise LimitError(f"the head nests deeper than {MAX_HEAD_DEPTH}", path)
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield event


def _declared(events: Events, path: str) -> dict[str, tuple[str, ...]]:
    """What the top level says of the licence, by key."""
    declared: dict[str, tuple[str, ...]] = {}
    if not isinstance(next(events, None), yaml.MappingStartEvent):
        raise FormatError("the head is not a YAML object", path)
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            return declared
        name = event.value if isinstance(event, yaml.ScalarEvent) else None
        if name is None:
            _pass_over(event, events)
        value = next(events)
        if name == _MERGE:
            raise FormatError("the head takes keys from elsewhere (`<<`), maybe that of a licence", path)
        if name not in {"license", "license_name"}:
            _pass_over(value, events)
        elif name in declared:
            raise FormatError(f"the head holds {quoted(name)} twice", path)
        else:
            declared[name] = _texts(value, events, f"{path}: {name}")
    return declared


def _pass_over(event: Any, events: Events) -> None:
    """Take the rest of the node that begins with `event`."""
    depth = int(isinstance(event, yaml.CollectionStartEvent))
    while depth:
        inner = next(events)
        depth += isinstance(inner, yaml.CollectionStartEvent) - isinstance(inner, yaml.CollectionEndEvent)


def _texts(event: Any, events: Events, where: str) -> tuple[str, ...]:
    """A text, or those of an array; nothing where there is nothing."""
    if isinstance(event, yaml.ScalarEvent):
        return () if event.implicit[0] and event.value in _NULL else (str(event.value),)
    if not isinstance(event, yaml.SequenceStartEvent):
        raise FormatError("expected a text or an array of texts", where)
    texts: list[str] = []
    for inner in events:
        if isinstance(inner, yaml.SequenceEndEvent):
            break
        if not isinstance(inner, yaml.ScalarEvent) or len(texts) == MAX_LICENCES:
            raise FormatError(f"expected an array of at most {MAX_LICENCES} texts", where)
        texts.append(str(inner.value))
    return tuple(texts)
