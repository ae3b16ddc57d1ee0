"""What a real loader was seen to do with a repository, and where a prediction says otherwise.

Whoever has a loader at hand records what it does, as JSON, and holds the prediction against it. Every value
counts: a tensor that is predicted to be loaded must hold, bit for bit, the stored one that the prediction
names, cast to the type that the model computes in; where another one stays random, reported as missing or
not, the outcome must say so. So the files that were read, the renaming and the winner of two candidates are
proven, and not merely told.

torch comes in on demand, where stored values are cast; nothing is unpickled, the files are read by embaudit.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from embaudit.architectures import architectures_of, expected_model
from embaudit.model.architecture import ExpectedModel, Role
from embaudit.model.files import FileKind, kind_of
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.tensors import TensorInfo
from embaudit.reading import open_checkpoint

_WEIGHTS = (FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX)
JOINT = " + "
"""Between the names that one stored tensor is split into, in `PredictedLoad.renamed_keys`."""


@attrs.frozen(kw_only=True)
class ObservedParameter:
    """A parameter after a load.

    Attributes:
        dtype: Its type, in torch's spelling without prefix.
        shape: Sizes in elements, outermost first.
        sha256: The digest of its elements in C order, or None if it was left without any (on torch's meta
            device).
    """

    dtype: str
    shape: tuple[int, ...] = attrs.field(converter=tuple)
    sha256: str | None


@attrs.frozen(kw_only=True)
class ObservedLoad:
    """What a real loader did.

    Attributes:
        error: What it ended in; None if it loaded.
        class_name: Of what class the model is.
        missing_keys: As it tells.
        unexpected_keys: As it tells.
        mismatched_keys: The names, as it tells.
        dtype: In which the model computes.
        parameters: Name to parameter of the loaded model; tied ones under each of their names.
        messages: What it said on its default log level.
        ignoring_sizes: Where it ended in an error, what came of a second load that ignores tensors of another
            shape; None if that ended in an error too.
    """

    error: str | None = None
    class_name: str = ""
    missing_keys: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    unexpected_keys: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    mismatched_keys: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    dtype: str = ""
    parameters: Mapping[str, ObservedParameter] = attrs.field(factory=dict)
    messages: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    ignoring_sizes: "ObservedLoad | None" = None


def parse_observed_load(document: Mapping[str, Any]) -> ObservedLoad:
    """An observed load out of JSON: an object with the fields of `ObservedLoad`; others are ignored."""
    known = {field.name for field in attrs.fields(ObservedLoad)}
    fields = {name: value for name, value in document.items() if name in known}
    parameters = fields.get("parameters", {}).items()
    fields["parameters"] = {name: ObservedParameter(**value) for name, value in parameters}
    if fields.get("ignoring_sizes") is not None:
        fields["ignoring_sizes"] = parse_observed_load(fields["ignoring_sizes"])
    return ObservedLoad(**fields)


def contradictions(predicted: PredictedLoad, observed: ObservedLoad, folder: Path) -> Iterator[str]:
    """Where a prediction says something else than was observed, one line each.

    Args:
        predicted: What was predicted for the very version that was observed.
        observed: What it did.
        folder: The repository.
    """
    if observed.error is None:
        yield from _contradictions_of_a_load(predicted, observed, folder)
        return
    if predicted.outcome is not Outcome.REFUSED:
        yield f"outcome: {predicted.outcome}, but it ended in {observed.error[:200]}"
    elif observed.ignoring_sizes is not None:
        yield from _contradictions_of_keys(predicted, observed.ignoring_sizes)


def _contradictions_of_a_load(
    predicted: PredictedLoad, observed: ObservedLoad, folder: Path
) -> Iterator[str]:
    yield from _contradictions_of_keys(predicted, observed)
    if predicted.outcome in (Outcome.REFUSED, Outcome.UNKNOWN):
        yield f"outcome: {predicted.outcome}, but it loads; {' '.join(predicted.reasons)}"
        return
    yield from _contradictions_of_files(predicted, folder)
    if predicted.dtype != observed.dtype:
        yield f"dtype: {predicted.dtype}, but it is {observed.dtype}"
    expected = _expected(observed.class_name, folder)
    if expected is None:
        yield f"architecture: none is known whose class is {observed.class_name}"
        return
    yield from _listed("architecture lacks", observed.parameters.keys() - expected.tensors.keys())
    yield from _contradictions_of_values(predicted, observed, _StoredValues(folder, predicted, expected))


def _contradictions_of_values(
    predicted: PredictedLoad, observed: ObservedLoad, stored: "_StoredValues"
) -> Iterator[str]:
    loaded = {name for name in observed.parameters if stored.holds(name, observed.parameters[name])}
    without = {key.name for key in predicted.mismatched_keys} | {*predicted.missing_keys}
    claimed = {name for name in observed.parameters if stored.claims(name)}
    yield from _listed("values: not those of the stored tensor", claimed - loaded - without)
    yield from _listed("values: from more than one stored tensor", stored.ambiguous())
    yield from _listed("files: nothing is taken of", stored.unused(observed.parameters))
    random = [name for name in observed.parameters.keys() - loaded if stored.matters(name)]
    if (predicted.outcome is Outcome.FAITHFUL) is not (not random):
        yield f"outcome: {predicted.outcome}, but these are not as stored: {_shortened(random)}"
    if predicted.silent and observed.messages:
        yield f"silent: predicted, but it said {observed.messages[0][:100]!r}"
    if random and not predicted.silent and not observed.messages:
        yield "silent: not predicted, but it said nothing"


def _contradictions_of_files(predicted: PredictedLoad, folder: Path) -> Iterator[str]:
    there = {path.name for path in folder.iterdir() if kind_of(path.name) in _WEIGHTS}
    taken, ignored = {*predicted.files}, {*predicted.ignored_files}
    yield from _listed("files: taken and ignored", taken & ignored)
    yield from _listed("files: neither taken nor ignored", there - taken - ignored)
    yield from _listed("files: not there", (taken | ignored) - there)


def _expected(class_name: str, folder: Path) -> ExpectedModel | None:
    """What the class that was loaded expects; None if no architecture is that class."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    known = architectures_of(config.get("model_type"))
    architecture = next((each for each in known if each.class_name == class_name), None)
    return None if architecture is None else expected_model(architecture, config)


def _contradictions_of_keys(predicted: PredictedLoad, observed: ObservedLoad) -> Iterator[str]:
    mismatched = {key.name for key in predicted.mismatched_keys}
    pairs = (
        ("missing_keys", {*predicted.missing_keys}, observed.missing_keys),
        ("unexpected_keys", {*predicted.unexpected_keys}, observed.unexpected_keys),
        ("mismatched_keys", mismatched, observed.mismatched_keys),
    )
    for field, said, told in pairs:
        yield from _listed(f"{field}, predicted only", said - told)
        yield from _listed(f"{field}, real only", told - said)


def _listed(what: str, names: Iterable[str]) -> Iterator[str]:
    listed = sorted(names)
    if listed:
        yield f"{what}: {_shortened(listed)}"


def _shortened(names: Iterable[str], n_shown: int = 4) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - n_shown} more" if len(listed) > n_shown else ""
    return ", ".join(listed[:n_shown]) + more


class _StoredValues:
    """The tensors of the files that a prediction names, under the names that it says they are loaded to."""

    def __init__(self, folder: Path, predicted: PredictedLoad, expected: ExpectedModel) -> None:
        self._folder = folder
        self._expected = expected.tensors
        self._tied = {name: group for group in expected.architecture.tied for name in group}
        self._losers = {
            (key.name, loser) for key in predicted.duplicate_keys for loser in {*key.stored} - {key.winner}
        }
        self._candidates: dict[str, list[_Candidate]] = defaultdict(list)
        for file in predicted.files:
            self._add(file, predicted)

    def _add(self, file: str, predicted: PredictedLoad) -> None:
        if file.endswith(".json"):
            return
        left_out = {*predicted.unexpected_keys} - predicted.renamed_keys.keys()
        for name, tensor in open_checkpoint(self._folder, file).tensors.items():
            parts = tuple(predicted.renamed_keys.get(name, name).split(JOINT))
            for place, part in enumerate(parts):
                if name not in left_out and (part, name) not in self._losers:
                    self._candidates[part].append(_Candidate(tensor, place, len(parts)))

    def ambiguous(self) -> Iterator[str]:
        """Names to which several stored names are loaded, of which the prediction names no winner."""
        for name, candidates in self._candidates.items():
            if len({candidate.tensor.name for candidate in candidates}) > 1:
                yield name

    def unused(self, parameters: Mapping[str, ObservedParameter]) -> Iterator[str]:
        """The files that were predicted to give values and gave none, where another one did."""
        offered = {each.tensor.file for name in parameters for each in self._candidates.get(name, ())}
        given = {
            each.tensor.file
            for name, parameter in parameters.items()
            for each in self._given(name, parameter)
        }
        yield from offered - given if given else ()

    def matters(self, name: str) -> bool:
        """Whether embeddings depend on a parameter."""
        return name in self._expected and self._expected[name].role is Role.EMBEDDING

    def claims(self, name: str) -> bool:
        """Whether the prediction says that a stored tensor is loaded to a parameter, or to a tied one."""
        return any(self._candidates.get(each) for each in self._tied.get(name, (name,)))

    def holds(self, name: str, parameter: ObservedParameter) -> bool:
        """Whether a parameter has the values of a stored tensor loaded to its name, or to a tied one."""
        return any(True for _ in self._given(name, parameter))

    def _given(self, name: str, parameter: ObservedParameter) -> Iterator["_Candidate"]:
        """The stored tensors that a parameter has the values of."""
        for each in self._tied.get(name, (name,)):
            for candidate in self._candidates.get(each, ()):
                if self._digest(candidate, parameter) == parameter.sha256:
                    yield candidate

    def _digest(self, candidate: "_Candidate", parameter: ObservedParameter) -> str:
        """The digest of a stored tensor, or of its part, cast to the type of the parameter."""
        import torch  # noqa: PLC0415 - on demand

        tensor = candidate.tensor
        content = bytearray((self._folder / tensor.file).read_bytes()[tensor.start : tensor.stop])
        if not content:
            return hashlib.sha256().hexdigest()
        flat = torch.frombuffer(content, dtype=getattr(torch, str(tensor.dtype)))
        part = candidate.part_of(flat.as_strided(tensor.shape, tensor.stride), parameter.shape)
        cast = part.to(getattr(torch, parameter.dtype)).contiguous().reshape(-1)
        return hashlib.sha256(cast.view(torch.uint8).numpy()).hexdigest()


@attrs.frozen
class _Candidate:
    """A stored tensor that may be loaded to a name, whole or as one of the parts that it is split into."""

    tensor: TensorInfo
    place: int
    n_parts: int

    def part_of(self, whole: Any, shape: tuple[int, ...]) -> Any:
        """The part along the first dimension, of as many rows as the shape has."""
        if self.n_parts == 1:
            return whole
        rows = shape[0]
        return whole[self.place * rows : (self.place + 1) * rows]
