"""A model written for candle, as data, and what it takes from a weight file: which names, in which order.

candle has no `from_pretrained`: each model asks the file for its tensors one by one, with the shape that its
configuration gives, and tries other prefixes where one cannot be had. It never looks at what else is stored.
The rows are in the modules of the loaders; this module knows how a row is read.

Source of the manner: https://github.com/huggingface/candle/blob/47713d6/candle-nn/src/var_builder.rs: `get`
fails where the tensor is absent, cannot be read, or has another shape; nothing is ever left at random values.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from embaudit.architectures import complete_config, expected_model
from embaudit.errors import FormatError, LimitError
from embaudit.loaders.candle_reading import CandleRead
from embaudit.loaders.candle_words import cut
from embaudit.model.architecture import Architecture, ExpectedTensor, Role
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON, FrozenMapping, frozen_mapping
from embaudit.model.prediction import MismatchedKey, MisreadKey, Outcome


@attrs.frozen
class Attempt:
    """One way to spell the names of a model's tensors in a file.

    Attributes:
        renames: Beginning of a name in the architecture, to the beginning in the file; of several that fit,
            the first counts. `{model_type}` stands for that field of `config.json`; where the field is
            missing there is no such attempt.
        when_stored: A stored name that decides: if it is there, this attempt is the only one, if not, it is
            none. Empty where nothing decides and the attempt's failure leads to the next one.
    """

    renames: tuple[tuple[str, str], ...] = (("", ""),)
    when_stored: str = ""


def prefixed(*prefixes: str) -> tuple[Attempt, ...]:
    """Attempts that put each of these prefixes, in this order, before every name."""
    return tuple(Attempt((("", prefix),)) for prefix in prefixes)


@attrs.frozen
class Part:
    """The tensors that have to be found under one and the same attempt.

    Attributes:
        attempts: What is tried, in order.
        begins: Beginnings of their names in the architecture; all tensors if it is left out.
    """

    attempts: tuple[Attempt, ...]
    begins: tuple[str, ...] = ("",)


def _restrict_nothing(_config: Mapping[str, JSON]) -> Iterable[str]:
    return ()


@attrs.frozen(kw_only=True)
class CandleModel:
    """One model of a candle-based loader.

    Attributes:
        name: Its name here.
        architecture: The tensors of which it asks for those that embeddings depend on.
        parts: How they are spelled; each tensor belongs to the first part that it fits.
        never_read: Regular expressions; tensors of the architecture in whose name one is found are not asked
            for, though embeddings depend on them.
        optional: Regular expressions, as before; such a tensor is left out without a word if it cannot be
            had, whatever the reason.
        substitutes: Ends of a name that are tried in its place if it cannot be had: end, other end.
        looked_up: Regular expressions; tables whose rows are looked up by their number.
        restrictions: What its configuration makes it refuse, one sentence each.
        source: Where this was read: URL with version or commit.
    """

    name: str
    architecture: Architecture
    parts: tuple[Part, ...] = (Part(prefixed("")),)
    never_read: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    substitutes: tuple[tuple[str, str], ...] = ()
    looked_up: tuple[str, ...] = (r"(_embeddings|embed_tokens|relative_attention_bias)\.weight$",)
    restrictions: Callable[[Mapping[str, JSON]], Iterable[str]] = _restrict_nothing
    source: str


@attrs.frozen(kw_only=True)
class CandleLoad:
    """What one candle model takes from what candle sees of a file.

    Attributes:
        refusals: Why it ends in an error, one sentence each; empty if it loads.
        taken: Name in the architecture to stored name, for all that is taken.
        missing_keys: Names, as asked for in the attempt that comes closest, of tensors that candle does not
            see. One that it sees and cannot read is not among them, though it is an error too.
        mismatched_keys: Those that are stored in another shape, in that attempt: an error.
        unexpected_keys: Stored names that are never asked for; nothing is ever said of them. Where every
            attempt fails, those that the closest one does not ask for.
        neglected_keys: Those of the unexpected that the architecture has and embeddings depend on: without
            them the model is another one.
        omitted_keys: What is asked for, cannot be had, absent or of another shape, and is left out without an
            error: again the model is another one. Those that are absent are among the missing too.
        misread_keys: What is taken and comes out with wrong values.
        doubts: What embaudit cannot decide, one sentence each.
    """

    refusals: tuple[str, ...] = ()
    taken: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    missing_keys: tuple[str, ...] = ()
    mismatched_keys: tuple[MismatchedKey, ...] = ()
    unexpected_keys: tuple[str, ...] = ()
    neglected_keys: tuple[str, ...] = ()
    omitted_keys: tuple[str, ...] = ()
    misread_keys: tuple[MisreadKey, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def renamed_keys(self) -> Mapping[str, str]:
        """Stored name to the architecture's, where they differ."""
        return FrozenMapping({stored: name for name, stored in self.taken.items() if stored != name})

    @property
    def outcome(self) -> Outcome:
        """What comes of it. Wrong values that are certain weigh more than a doubt, and an error does too."""
        if self.refusals:
            return Outcome.REFUSED
        if self.misread_keys:
            return Outcome.CORRUPT
        if self.omitted_keys or self.neglected_keys:
            return Outcome.INCOMPLETE
        return Outcome.UNKNOWN if self.doubts else Outcome.FAITHFUL


def load_candle_model(
    model: CandleModel, config: Mapping[str, JSON], read: CandleRead, dtype: DType | None = None
) -> CandleLoad:
    """What a candle model takes from a file, and why it refuses if it does.

    Args:
        model: The model.
        config: `config.json`.
        read: What candle makes of the file.
        dtype: What the model computes in. Without it, it is not asked whether tables in column order can be
            looked up.
    """
    refusals = [reason for reason in (read.refusal, *model.restrictions(config)) if reason]
    problem = _too_many_layers(model, config, read)
    if read.refusal or problem:
        return CandleLoad(refusals=(*refusals, *([problem] if problem else [])), doubts=read.doubts)
    try:
        expected = expected_model(model.architecture, config).tensors.values()
    except (FormatError, LimitError) as error:
        unusable = f"The configuration cannot be used: {error}."
        return CandleLoad(refusals=(*refusals, unusable), doubts=read.doubts)
    needed = [tensor for tensor in expected if tensor.role is Role.EMBEDDING]
    asked = [tensor for tensor in needed if not _found(model.never_read, tensor.name)]
    trials = [_try_part(part, tensors, model, config, read) for part, tensors in _by_part(model.parts, asked)]
    left_out = {tensor.name for tensor in needed} - {tensor.name for tensor in asked}
    load = _joined(trials, read)
    return attrs.evolve(
        load,
        refusals=(*refusals, *load.refusals, *_failing_tables(model, load, read, dtype)),
        neglected_keys=tuple(sorted({*load.unexpected_keys} & _spellings(left_out, model, config))),
    )


def _failing_tables(
    model: CandleModel, load: CandleLoad, read: CandleRead, dtype: DType | None
) -> Iterator[str]:
    """Tables in column order, which load, and of which the first lookup fails."""
    for name, stored in load.taken.items():
        if stored in read.columns and read.tensors[stored].dtype == dtype and _found(model.looked_up, name):
            named = f"`{cut(stored)}` is in column order"
            yield f"{named}, in which rows cannot be looked up: index-select fails."


def _too_many_layers(model: CandleModel, config: Mapping[str, JSON], read: CandleRead) -> str:
    """Why no layer needs to be looked at: a hostile configuration may ask for any number of them."""
    complete = complete_config(model.architecture, config)
    for placeholder, field in model.architecture.repeats.items():
        count, each = complete.get(field), _tensors_of_each(model, placeholder)
        if read.refusal or not isinstance(count, int) or count <= _FEWEST:
            continue
        if count * each > len(read.tensors):
            return f"The configuration asks for {_number(count)} layers, and the file has fewer tensors."
    return ""


def _tensors_of_each(model: CandleModel, placeholder: str) -> int:
    """The tensors, one at least, that every layer has to have whatever the configuration."""
    spared = (*model.never_read, *model.optional)
    patterns = [each for each in model.architecture.patterns if f"{{{placeholder}}}" in each.name]
    needed = [
        each
        for each in patterns
        if each.role is Role.EMBEDDING
        and not (each.when or each.every or each.first)
        and not _found(spared, each.name.replace(f"{{{placeholder}}}", "0"))
    ]
    return max(len(needed), 1)


_FEWEST = 1000
"""Layers that are looked at one by one, however few tensors there are."""


def _number(count: int) -> str:
    """A number, or its size if it is one that no configuration means."""
    return f"{count:,}" if count < 10**9 else "more than 10**9"


def _joined(trials: Sequence["_Trial"], read: CandleRead) -> CandleLoad:
    """What all parts come to."""
    taken = {name: stored for trial in trials for name, stored in trial.taken.items()}
    omitted = {name for trial in trials for name in trial.omitted}
    mismatched = tuple(key for trial in trials for key in trial.mismatched)
    stored = {*read.tensors, *read.dropped, *read.skipped}
    missing = {name for trial in trials for name in trial.missing} | (omitted - stored)
    asked = {*taken.values(), *missing, *omitted, *(key.name for key in mismatched)}
    asked.update(name for trial in trials for name in trial.unreadable)
    return CandleLoad(
        refusals=tuple(trial.message for trial in trials if trial.message),
        taken=taken,
        missing_keys=tuple(sorted(missing)),
        mismatched_keys=mismatched,
        unexpected_keys=tuple(sorted(stored - asked)),
        omitted_keys=tuple(sorted(omitted)),
        misread_keys=tuple(read.misread[name] for name in sorted(taken.values()) if name in read.misread),
        doubts=read.doubts,
    )


@attrs.define
class _Trial:
    """What one attempt finds of one part.

    Attributes:
        taken: Name in the architecture to stored name.
        missing: Names asked for that candle does not see.
        unreadable: Those that it sees and cannot read.
        mismatched: Those that have another shape.
        omitted: Names that cannot be had and are left out.
        error: What candle says of the first that cannot be had.
        message: Why no attempt goes well; empty if this one does.
    """

    taken: dict[str, str] = attrs.field(factory=dict)
    missing: list[str] = attrs.field(factory=list)
    unreadable: list[str] = attrs.field(factory=list)
    mismatched: list[MismatchedKey] = attrs.field(factory=list)
    omitted: list[str] = attrs.field(factory=list)
    error: str = ""
    message: str = ""

    @property
    def n_problems(self) -> int:
        """Tensors that cannot be had and that it does not do without."""
        return len(self.missing) + len(self.unreadable) + len(self.mismatched)


def _by_part(
    parts: Sequence[Part], tensors: Iterable[ExpectedTensor]
) -> Iterator[tuple[Part, list[ExpectedTensor]]]:
    """Every part with its tensors: each tensor goes to the first part that it fits."""
    left = list(tensors)
    for part in parts:
        yield part, [tensor for tensor in left if tensor.name.startswith(part.begins)]
        left = [tensor for tensor in left if not tensor.name.startswith(part.begins)]


def _try_part(
    part: Part,
    tensors: Iterable[ExpectedTensor],
    model: CandleModel,
    config: Mapping[str, JSON],
    read: CandleRead,
) -> _Trial:
    """The first attempt that finds everything; if none does, the one that comes closest, and why it fails.

    The error that candle shows is that of the first attempt, which need not be the one that was meant.
    """
    listed = list(tensors)
    trials = [_try(listed, attempt, model, read) for attempt in _attempts(part, config, read)]
    whole = next((trial for trial in trials if not trial.n_problems), None)
    if whole is not None:
        return whole
    closest = min(trials, key=lambda trial: trial.n_problems)
    closest.message = f"It ends in the error: {trials[0].error}."
    return closest


def _attempts(part: Part, config: Mapping[str, JSON], read: CandleRead) -> Sequence[Attempt]:
    """The attempts that are made, given the configuration and what is stored."""
    for attempt in part.attempts:
        if attempt.when_stored in read.tensors:
            return (attempt,)
    filled = [_filled(each, config) for each in part.attempts if not each.when_stored]
    return [each for each in filled if each is not None and not _is_hopeless(each, read)]


def _is_hopeless(attempt: Attempt, read: CandleRead) -> bool:
    """Whether a prefix is so long that its names might fill the memory, and nothing is stored under it."""
    prefixes = tuple(stored for _, stored in attempt.renames)
    return max(map(len, prefixes)) > _LONGEST_PREFIX and not any(
        name.startswith(prefixes) for name in read.tensors
    )


_LONGEST_PREFIX = 200
"""Characters of a prefix up to which it is tried without looking at what is stored."""


def _filled(attempt: Attempt, config: Mapping[str, JSON]) -> Attempt | None:
    """The attempt with the model type put in, or None if the configuration has none."""
    model_type = config.get("model_type")
    if not any("{model_type}" in stored for _, stored in attempt.renames):
        return attempt
    if not isinstance(model_type, str):
        return None
    return Attempt(tuple((name, text.replace("{model_type}", model_type)) for name, text in attempt.renames))


def _try(tensors: Iterable[ExpectedTensor], attempt: Attempt, model: CandleModel, read: CandleRead) -> _Trial:
    trial = _Trial()
    for tensor in tensors:
        name = _spelled(tensor.name, attempt)
        stored = next((each for each in _candidates(name, model) if _can_be_had(each, tensor, read)), None)
        if stored is not None:
            trial.taken[tensor.name] = stored
        elif _found(model.optional, tensor.name):
            trial.omitted.append(name)
        else:
            _note_problem(trial, name, tensor, read)
    return trial


def _note_problem(trial: _Trial, name: str, tensor: ExpectedTensor, read: CandleRead) -> None:
    """Note why a tensor cannot be had under its first name, which is what candle says."""
    stored = read.tensors.get(name)
    if stored is None:
        why = read.dropped.get(name) or read.skipped.get(name)
        error = f"cannot find tensor {cut(name)}" + (f" ({why})" if why else "")
        trial.missing.append(name)
    elif name in read.failing:
        error = f"`{cut(name)}`: {read.failing[name]}"
        trial.unreadable.append(name)
    else:
        expected, got = cut(str(list(tensor.shape))), cut(str(list(stored.shape)))
        error = f"shape mismatch for {cut(name)}, expected {expected}, got {got}"
        trial.mismatched.append(
            MismatchedKey(name=name, stored_shape=stored.shape, expected_shape=tensor.shape)
        )
    trial.error = trial.error or error


def _candidates(name: str, model: CandleModel) -> Iterator[str]:
    """The name and its substitutes."""
    yield name
    for end, other in model.substitutes:
        if name.endswith(end):
            yield name.removesuffix(end) + other


def _can_be_had(name: str, tensor: ExpectedTensor, read: CandleRead) -> bool:
    stored = read.tensors.get(name)
    return stored is not None and stored.shape == tensor.shape and name not in read.failing


def _spelled(name: str, attempt: Attempt) -> str:
    """A name of the architecture as the attempt has it in the file."""
    for begins, becomes in attempt.renames:
        if name.startswith(begins):
            return becomes + name.removeprefix(begins)
    return name


def _spellings(names: Iterable[str], model: CandleModel, config: Mapping[str, JSON]) -> set[str]:
    """Every spelling of names of the architecture that some attempt gives them."""
    filled = [_filled(attempt, config) for part in model.parts for attempt in part.attempts]
    return {_spelled(name, attempt) for name in names for attempt in filled if attempt is not None}


def _found(patterns: Iterable[str], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)
