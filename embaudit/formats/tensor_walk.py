"""Walks over the value of a torch pickle and notes every tensor and plain value under its dotted path."""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from math import isfinite

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.formats.pickle_nodes import Call, DictNode, PersistentId, PickleValue, SetNode
from embaudit.formats.torch_globals import MAPPINGS, PLAIN_CALLS, SET, SIZE, called_key
from embaudit.formats.torch_tensors import Dense, Parts, Places, flags_of, has_hooks, read_call, tensor_info
from embaudit.model.checkpoint import Oddity
from embaudit.model.frozen import JSON
from embaudit.model.limits import Limits
from embaudit.model.tensors import TensorInfo

_SCALARS = {type(None), bool, int, float, str}
_KEYS = {*_SCALARS, bytes}
_FIRST_LARGE = 2**60
"""Integers below it are their own hashes, or nearly."""
_MAX_METADATA = 1000
"""Plain values kept beside the tensors; optimizers and trainers store them by the thousand."""
_MAX_ITEMS = 100
"""Items of one array of plain values."""
_MAX_TEXT = 1000
"""Characters of one text among them."""
_MAX_REASONS = 100
"""Reasons of one value that are told one by one."""
_MAX_ODDITIES = 20
"""Oddities of one kind that are told one by one."""


@attrs.define
class Branch:
    """A container that holds tensors.

    Attributes:
        key: Its key in the container above.
        direct: Tensors that stand in it.
        total: Tensors in it and below.
        branches: The containers below that hold tensors.
    """

    key: str
    direct: int = 0
    total: int = 0
    branches: list["Branch"] = attrs.field(factory=list)


@attrs.define
class TensorWalk:
    """One walk over a value. The steps are bounded, since shared containers can be met over and over.

    Attributes:
        places: Where the storages lie.
        limits: What bounds the walk.
        visits_left: Items that may still be met.
        characters_left: Characters of dotted paths that may still be made.
        tensors: Name to tensor, so far.
        metadata: Dotted path to plain value, so far.
        reasons: Why the value is more than tensors, so far.
        oddities: What torch never writes, so far.
        repeats: Dotted path that several tensors have, to how many.
        above: Identities of the containers that the walk is in.
        barren: Identities of the containers that were found to hold no tensor.
        kept: Calls taken apart, kept so that no identity is ever given to another value.
    """

    places: Places
    limits: Limits
    visits_left: int
    characters_left: int
    tensors: dict[str, TensorInfo] = attrs.field(factory=dict)
    metadata: dict[str, JSON] = attrs.field(factory=dict)
    reasons: list[str] = attrs.field(factory=list)
    oddities: list[Oddity] = attrs.field(factory=list)
    repeats: dict[str, int] = attrs.field(factory=dict)
    above: set[int] = attrs.field(factory=set)
    barren: set[int] = attrs.field(factory=set)
    kept: list[Parts] = attrs.field(factory=list)

    def container(self, branch: Branch, path: str, value: PickleValue, depth: int) -> None:
        """Note what `value`, at `path`, holds; a container without tensors is looked at once only."""
        identity = id(value)
        if identity in self.barren:
            return
        if identity in self.above:
            self.odd(f"the container {path!r} holds itself")
            return
        self.check_depth(depth)
        self.above.add(identity)
        for key, item in self.children(path, value):
            self.item(branch, path, key, item, depth)
        self.above.discard(identity)
        if not branch.total:
            self.barren.add(identity)

    def item(self, branch: Branch, above: str, key: str, item: PickleValue, depth: int) -> None:
        """Note one item of the container `branch`, whose path is `above`."""
        kind = type(item)
        if kind is Call:
            built = read_call(item)
            if isinstance(built, Dense):
                self.dense(branch, self.path(above, key), built, item.position)
                return
            if built is not None:
                self.parts(branch, self.path(above, key), built, item.position, depth)
                return
        elif kind is PersistentId and isinstance(item.storage, Dense):
            # The tar format refers to whole tensors where the later ones refer to storages.
            self.dense(branch, self.path(above, key), item.storage, item.position)
            return
        if _is_plain(item):
            if len(self.metadata) < _MAX_METADATA:
                self.plain(self.path(above, key), item)
        elif kind in _CONTAINERS:
            child = Branch(key)
            self.container(child, self.path(above, key), item, depth + 1)
            if child.total:
                branch.branches.append(child)
                branch.total += child.total

    def path(self, above: str, key: str) -> str:
        """The dotted path of `key` in the container at `above`.

        Raises:
            LimitError: If it is too long, or all paths together are longer than any pickle.
        """
        path = f"{above}.{key}" if above else key
        self.characters_left -= len(path)
        if len(path) > self.limits.name_bytes or self.characters_left < 0:
            raise LimitError(f"a name of {len(path)} characters, or too many such names", "", "name_bytes")
        return path

    def check_depth(self, depth: int) -> None:
        """Hold the number of containers above the present one against its limit.

        Raises:
            LimitError: If it is larger.
        """
        if depth > self.limits.pickle_depth:
            problem = f"containers deeper in one another than {self.limits.pickle_depth}"
            raise LimitError(problem, "", "pickle_depth")

    def children(self, path: str, value: PickleValue) -> Iterable[tuple[str, PickleValue]]:
        """The items of a container, with their keys as text."""
        kind = type(value)
        if kind is DictNode:
            return self.pairs(path, value.pairs)
        if kind is Call:
            return self.inside_call(path, value)
        if kind is SetNode:
            return self.numbered(value.items)
        return self.numbered(value) if kind in {list, tuple} else ()

    def inside_call(self, path: str, call: Call) -> Iterable[tuple[str, PickleValue]]:
        """The items of what a call gives: of a dict its pairs, of any other object all that it was given."""
        set_later = call.pairs or ()
        if called_key(call) in MAPPINGS:
            return self.pairs(path, [*_initial_pairs(call.arguments), *set_later])
        if called_key(call) == SET and len(call.arguments) == 1 and type(call.arguments[0]) is list:
            return self.numbered(call.arguments[0])
        states = call.state if type(call.state) is tuple else (call.state,)
        attributes = [state.pairs for state in states if type(state) is DictNode]
        return chain(
            self.pairs(path, set_later),
            ((f"args.{key}", item) for key, item in self.numbered(call.arguments)),
            self.numbered(call.items or ()),
            *(self.pairs(path, pairs) for pairs in attributes),
        )

    def numbered(self, items: Sequence[PickleValue]) -> Iterable[tuple[str, PickleValue]]:
        """Items keyed by their positions."""
        self.spend(len(items))
        return ((str(index), item) for index, item in enumerate(items))

    def pairs(self, path: str, pairs: Sequence[PickleValue]) -> Iterable[tuple[str, PickleValue]]:
        """Keys and values in turn, keys as text; of a repeated key the last value, as in python."""
        self.spend(len(pairs))
        keys, values = pairs[::2], pairs[1::2]
        if set(map(type, keys)) <= {str} and "".join(keys).isascii():
            texts: Collection[tuple[str, PickleValue]] = dict(zip(keys, values, strict=True)).items()
        else:
            slots = dict(zip(map(slot_of, keys), zip(map(_key_text, keys), values, strict=True), strict=True))
            texts = slots.values()
        if len(texts) < len(keys):
            self.odd(f"the dict {path!r} sets {len(keys) - len(texts)} keys again; the last value counts")
        return texts

    def parts(self, branch: Branch, path: str, built: Parts, position: int, depth: int) -> None:
        """Note the tensor or tensors that a call at byte `position` builds out of others."""
        self.check_depth(depth)
        self.kept.append(built)
        if built.note:
            self.odd(f"tensor {path!r} {built.note}", position)
        for suffix, part in built.items:
            if isinstance(part, Dense):
                self.dense(branch, path + suffix, part, position)
            else:
                self.item(branch, "", path + suffix, part, depth + 1)

    def dense(self, branch: Branch, path: str, dense: Dense, position: int) -> None:
        """Note one tensor of one storage."""
        if path in self.tensors:
            path = self.another(path, position)
        tensor = tensor_info(dense, path, self.places, position)
        if tensor is None:
            self.reason(f"tensor {path!r} at byte {position} has no storage in the file")
            return
        if dense.hooks is not None and has_hooks(dense):
            self.reason(f"tensor {path!r} at byte {position} brings backward hooks")
        if dense.flags is not None:
            for flag in flags_of(dense):
                self.odd(f"tensor {path!r} is stored before its lazy operation {flag!r}", position)
        self.tensors[path] = tensor
        branch.direct += 1
        branch.total += 1
        if len(self.tensors) > self.limits.tensors:
            raise LimitError(f"more tensors than {self.limits.tensors}", "", "tensors")

    def another(self, path: str, position: int) -> str:
        """A free name for a second tensor whose path is spelled like that of a first."""
        number = self.repeats.get(path, 1) + 1
        while f"{path}#{number}" in self.tensors:
            number += 1
        self.repeats[path] = number
        self.odd(f"two tensors are called {path!r}; the second is listed as {path}#{number}", position)
        return f"{path}#{number}"

    def plain(self, path: str, value: PickleValue) -> None:
        """Note a plain value, if JSON can say it and it is short."""
        if called_key(value) == SIZE and len(value.arguments) == 1:
            value = value.arguments[0]
        if type(value) in {list, tuple} and all(map(_is_json, value)):
            self.metadata.setdefault(path, tuple(map(_json, value)))
        elif _is_json(value):
            self.metadata.setdefault(path, _json(value))

    def odd(self, problem: str, position: int | None = None) -> None:
        """Note what torch never writes."""
        if len(self.oddities) < _MAX_ODDITIES:
            self.oddities.append(Oddity(file=self.places.file, problem=problem, position=position))

    def reason(self, text: str) -> None:
        """Note what makes the value more than tensors."""
        if len(self.reasons) < _MAX_REASONS:
            self.reasons.append(text)

    def spend(self, n_items: int) -> None:
        """Count items met.

        Raises:
            LimitError: If containers are shared so often that the walk would not end.
        """
        self.visits_left -= n_items
        if self.visits_left < 0:
            raise LimitError("the containers of the pickle hold one another too often", "", "pickle_opcodes")


_CONTAINERS = {DictNode, SetNode, Call, list, tuple}


def slot_of(key: PickleValue) -> object:
    """What tells two keys of a dict apart: slots are equal where python's dicts see one key, as 1 and 1.0.

    Of a key that holds others it is the identity, since those never hash. Of a large integer it is the text:
    python's hash of a number is its remainder by 2**61 - 1, so that whoever writes a file can give all its
    keys one hash, while the hash of a text differs from process to process.
    Source: https://docs.python.org/3.13/library/stdtypes.html#hashing-of-numeric-types
    """
    kind = type(key)
    if kind is float and abs(key) >= _FIRST_LARGE and key.is_integer():
        kind, key = int, int(key)
    if kind is int and abs(key) >= _FIRST_LARGE:
        return "integer", hex(key)
    return key if kind in _KEYS else ("identity", id(key))


def _key_text(key: PickleValue) -> str:
    """A key as a part of a dotted path; lone surrogates, which no report could hold, are written out."""
    if type(key) is str:
        return key.encode("utf-8", "backslashreplace").decode()
    if type(key) is bytes:
        return key.decode("utf-8", "backslashreplace")
    if type(key) in _SCALARS:
        return str(key)
    return f"<{type(key).__name__}>"


def _is_plain(value: PickleValue) -> bool:
    """Whether a value is a scalar, a call that gives a plain value, or a short array of scalars."""
    kind = type(value)
    if kind in {list, tuple}:
        return len(value) <= _MAX_ITEMS and all(type(item) in _SCALARS for item in value)
    return kind in _SCALARS or called_key(value) in PLAIN_CALLS


def _is_json(value: PickleValue) -> bool:
    return type(value) in _SCALARS and not (type(value) is str and len(value) > _MAX_TEXT)


def _json(value: PickleValue) -> JSON:
    """A scalar as JSON; what JSON has no word for, NaN and the infinities, as text."""
    if type(value) is str:
        return _key_text(value)
    if type(value) is float and not isfinite(value):
        return str(value)
    scalar: JSON = value
    return scalar


def _initial_pairs(arguments: Sequence[PickleValue]) -> list[PickleValue]:
    """The keys and values in turn with which a dict is made: those of a dict, or of a list of pairs.

    python 2 wrote an OrderedDict as a call with a list of lists.
    """
    flat: list[PickleValue] = []
    for argument in arguments:
        if type(argument) is DictNode:
            flat += argument.pairs
        elif type(argument) in {list, tuple}:
            for pair in argument:
                if type(pair) not in {list, tuple} or len(pair) != 2:  # noqa: PLR2004 - a key and a value
                    raise FormatError("a dict is made of something other than pairs")
                flat += pair
    return flat
