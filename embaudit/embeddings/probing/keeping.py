"""Golden probes: a probe in a `.safetensors` file, and back.

The file holds one tensor, `vectors`, float32, shape `(texts, dimension)`, and in its metadata `embaudit` with
the version of this layout, and `probe` with everything else as JSON. Any reader of safetensors can read it.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors.numpy import save as to_safetensors

from embaudit.embeddings.accepting import problem_of
from embaudit.embeddings.files import open_safetensors, read_tensor
from embaudit.errors import FormatError, TargetError, UsageError
from embaudit.formats.documents import parse_json
from embaudit.formats.fields import (
    ARRAY,
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    expect,
    inside,
    quoted,
    take,
    take_as,
    take_as_optional,
    take_optional,
)
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON
from embaudit.model.limits import Limits
from embaudit.model.probe import (
    COMPUTED_IN,
    Behaviour,
    Observation,
    Probe,
    RefusedText,
    ServerInfo,
    Wire,
)
from embaudit.version import VERSION

LAYOUT = "probe 1"
"""Name and version of the layout, under the metadata's key `embaudit`."""

_LAYOUTS = re.compile(r"probe [0-9]{1,9}")
"""What this layout and those that come after it are called."""
_TENSOR = "vectors"


def save(probe: Probe, path: str | os.PathLike[str]) -> None:
    """As `embaudit.embeddings.save_probe`. The file is there whole, or not at all."""
    target = _path_of(path)
    if not isinstance(probe, Probe):
        raise UsageError(f"the probe is of type {type(probe).__name__}, not a Probe")
    document = {
        "backend": probe.backend,
        "texts": list(probe.texts),
        "texts_version": probe.texts_version,
        "observations": [
            {
                "behaviour": each.behaviour.value,
                "holds": each.holds,
                "worst": each.worst,
                "rows": list(each.rows),
                "is_widespread": each.is_widespread,
            }
            for each in probe.observations
        ],
        "refused": [{"text": each.text, "reason": each.reason} for each in probe.refused],
        "server": None if probe.server is None else _server_document(probe.server),
        "dtype": None if probe.dtype is None else probe.dtype.value,
    }
    metadata = {"embaudit": LAYOUT, "probe": json.dumps(document, ensure_ascii=False)}
    data = to_safetensors({_TENSOR: np.ascontiguousarray(probe.vectors, np.float32)}, metadata)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(target)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise TargetError(f"{target}: cannot be written: {error.strerror or error}") from error


def _path_of(path: object) -> Path:
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str) or not name or "\0" in name:
        raise UsageError("the path of a probe must be a text, and the name of a file")
    return Path(name)


def _server_document(server: ServerInfo) -> dict[str, JSON]:
    known = {
        "wire": server.wire.value,
        "model_id": server.model_id,
        "model_sha": server.model_sha,
        "dtype": server.dtype,
        "pooling": server.pooling,
        "version": server.version,
        "max_input_length": server.max_input_length,
        "max_batch": server.max_batch,
    }
    return {**known, "document": _thawed(server.document)}


def _thawed(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return [_thawed(item) for item in value] if isinstance(value, tuple) else value


def load(path: str | os.PathLike[str], limits: Limits) -> Probe:
    """As `embaudit.embeddings.load_probe`."""
    file = _path_of(path)
    with inside(str(file)):
        checkpoint = open_safetensors(file, limits)
        _check_layout(checkpoint.metadata.get("embaudit"))
        if set(checkpoint.tensors) != {_TENSOR}:
            raise FormatError(f"is no probe that embaudit kept: its only tensor must be '{_TENSOR}'")
        document = parse_json(take(checkpoint.metadata, "probe", TEXT).encode(), limits=limits)
        vectors = np.array(read_tensor(file, checkpoint.tensors[_TENSOR]), np.float32)
        with inside("probe"):
            return _probe_of(expect(document, cast("Any", OBJECT)), vectors)


def _check_layout(layout: object) -> None:
    if layout == LAYOUT:
        return
    if isinstance(layout, str) and _LAYOUTS.fullmatch(layout):
        raise FormatError(
            f"was kept by a newer embaudit, as '{layout}'; this one, {VERSION}, reads '{LAYOUT}'"
        )
    raise FormatError(f"is no probe that embaudit kept: the metadata does not say '{LAYOUT}'")


def _probe_of(document: Mapping[str, JSON], vectors: "np.ndarray[Any, np.dtype[np.float32]]") -> Probe:
    texts = take_as(document, "texts", ARRAY, _texts)
    problem = problem_of(vectors)
    if problem is not None:
        raise FormatError(problem, _TENSOR)
    if len(vectors) != len(texts):
        raise FormatError(f"has {len(texts)} texts, and vectors of the shape {vectors.shape}", "texts")
    vectors.flags.writeable = False
    observations = take_as(document, "observations", ARRAY, _observations)
    _check_rows(observations, len(texts))
    refused = take_as(document, "refused", ARRAY, _refused)
    _check_once("texts", [*texts, *(each.text for each in refused)])
    return Probe(
        backend=take(document, "backend", TEXT),
        texts=texts,
        vectors=vectors,
        texts_version=take_optional(document, "texts_version", TEXT),
        observations=observations,
        refused=refused,
        server=take_as_optional(document, "server", OBJECT, _server),
        dtype=take_as_optional(document, "dtype", TEXT, _dtype),
    )


def _check_once(where: str, words: Sequence[str]) -> None:
    twice = next((word for word, number in Counter(words).items() if number > 1), None)
    if twice is not None:
        raise FormatError(f"{quoted(twice)} stands twice", where)


def _check_rows(observations: Sequence[Observation], n_texts: int) -> None:
    _check_once("observations", [each.behaviour.value for each in observations])
    for each in observations:
        outside = [row for row in each.rows if not 0 <= row < n_texts]
        if outside:
            raise FormatError(f"{each.behaviour} names row {outside[0]} of {n_texts}", "observations")


def _dtype(name: str) -> DType:
    found = next((each for each in COMPUTED_IN if each == name), None)
    if found is None:
        raise FormatError(f"is none of {', '.join(COMPUTED_IN)}")
    return found


def _texts(items: Any) -> tuple[str, ...]:
    return tuple(expect(item, TEXT, f"text {at}") for at, item in enumerate(items))


def _observations(items: Any) -> tuple[Observation, ...]:
    """The observations of behaviours that this version knows."""
    known = {behaviour.value for behaviour in Behaviour}
    documents = [expect(item, OBJECT, f"observation {at}") for at, item in enumerate(items)]
    return tuple(_observation(each) for each in documents if take(each, "behaviour", TEXT) in known)


def _observation(document: Mapping[str, JSON]) -> Observation:
    return Observation(
        behaviour=Behaviour(take(document, "behaviour", TEXT)),
        holds=take_optional(document, "holds", FLAG),
        worst=take_optional(document, "worst", NUMBER),
        rows=tuple(expect(row, INTEGER, "rows") for row in take(document, "rows", ARRAY)),
        is_widespread=take_optional(document, "is_widespread", FLAG) or False,
    )


def _refused(items: Any) -> tuple[RefusedText, ...]:
    documents = [expect(item, OBJECT, f"text {at}") for at, item in enumerate(items)]
    return tuple(
        RefusedText(text=take(each, "text", TEXT), reason=take(each, "reason", TEXT)) for each in documents
    )


def _server(document: Mapping[str, JSON]) -> ServerInfo:
    wire = take(document, "wire", TEXT)
    if wire not in {each.value for each in Wire}:
        raise FormatError(f"is none of {', '.join(Wire)}", "wire")
    return ServerInfo(
        wire=Wire(wire),
        model_id=take_optional(document, "model_id", TEXT),
        model_sha=take_optional(document, "model_sha", TEXT),
        dtype=take_optional(document, "dtype", TEXT),
        pooling=take_optional(document, "pooling", TEXT),
        version=take_optional(document, "version", TEXT),
        max_input_length=take_optional(document, "max_input_length", INTEGER),
        max_batch=take_optional(document, "max_batch", INTEGER),
        document=take(document, "document", OBJECT),
    )
