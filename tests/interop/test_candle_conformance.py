"""What is predicted for embed_anything, held against two of its versions, with the real weights of MiniLM.

Each layout is written once and loaded by both. Refused, faithful or corrupt has to be as predicted; a
faithful load gives the vectors of sentence-transformers, and a corrupt one those of the tensors that lie
where the prediction says they are read.
"""

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from embaudit import LoadPrediction, TensorInfo, open_checkpoint, predict_load
from embaudit.model.prediction import Outcome

pytestmark = pytest.mark.interop

Weights = Mapping[str, Tensor]
Write = Callable[[Weights, Path], object]
Embed = Callable[[Path], np.ndarray]
BEFORE, AFTER = "embed_anything==0.4.12", "embed_anything==0.7.1"
QUERY = "encoder.layer.0.attention.self.query.weight"
TYPES = "embeddings.token_type_embeddings.weight"
LAST = "encoder.layer.5."
HALF, BRAIN = 2e-3, 2e-2
"""How far vectors of half-precision weights may be from the right ones."""


def save_bin(value: object, folder: Path, **how: Any) -> None:
    """Write `pytorch_model.bin`."""
    torch.save(value, folder / "pytorch_model.bin", **how)


def save_safetensors(weights: Weights, folder: Path, name: str = "model.safetensors") -> None:
    """Write safetensors; tensors that share memory are written twice."""
    save_file(
        {key: tensor.clone() for key, tensor in weights.items()}, folder / name, metadata={"format": "pt"}
    )


def flat(weights: Weights, dtype: torch.dtype = torch.float32, first: int = 0) -> dict[str, Tensor]:
    """The same weights as views into one storage, the first of them at element `first`."""
    storage = torch.cat([torch.zeros(first), *(tensor.flatten() for tensor in weights.values())]).to(dtype)
    pieces = torch.split(storage[first:], [tensor.numel() for tensor in weights.values()])
    return {name: piece.view(weights[name].shape) for name, piece in zip(weights, pieces, strict=True)}


def chunked(weights: Weights) -> dict[str, Tensor]:
    """Query, key and value of each layer as chunks of one tensor."""
    split = dict(weights)
    for query in [name for name in weights if ".query." in name]:
        names = [query.replace("query", part) for part in ("query", "key", "value")]
        split.update(zip(names, torch.cat([weights[name] for name in names]).chunk(3), strict=True))
    return split


def between_elements(weights: Weights) -> dict[str, Tensor]:
    """Views of two bytes an element at odd offsets, with bits that give no infinite numbers if misread."""
    views = flat(weights, torch.float16, 1)
    for tensor in views.values():
        tensor.view(torch.int16).bitwise_and_(~0xC0)
    return views


def transposed(weights: Weights, part: str) -> dict[str, Tensor]:
    """Every matrix whose name has this part in column order."""
    return {
        name: tensor.t().contiguous().t() if tensor.dim() > 1 and part in name else tensor
        for name, tensor in weights.items()
    }


def flat_and_transposed(weights: Weights) -> dict[str, Tensor]:
    """Views into one storage, one of them in column order."""
    views = flat({**weights, QUERY: weights[QUERY].t().contiguous()})
    return {**views, QUERY: views[QUERY].t()}


def cast(weights: Weights, dtype: torch.dtype) -> dict[str, Tensor]:
    """The same weights in another type."""
    return {name: tensor.to(dtype) for name, tensor in weights.items()}


def prefixed(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """The same weights under names that begin with `prefix`."""
    return {prefix + name: tensor for name, tensor in weights.items()}


def replaced(weights: Weights, *pairs: tuple[str, str]) -> dict[str, Tensor]:
    """The same weights with parts of their names exchanged."""
    renamed = dict(weights)
    for old, new in pairs:
        renamed = {name.replace(old, new): tensor for name, tensor in renamed.items()}
    return renamed


def without(weights: Weights, *parts: str) -> dict[str, Tensor]:
    """The weights whose names have none of these parts."""
    return {name: tensor for name, tensor in weights.items() if not any(part in name for part in parts)}


def only(weights: Weights, part: str) -> dict[str, Tensor]:
    """The weights whose names have this part."""
    return {name: tensor for name, tensor in weights.items() if part in name}


def with_attribute(weights: Weights, kind: type = Tensor) -> dict[str, Tensor]:
    """One tensor has an attribute, for which torch calls another function."""
    marked: Any = kind(weights[QUERY].clone())
    marked.note = "kept"
    return {**weights, QUERY: marked}


def other(weights: Weights) -> dict[str, Tensor]:
    """Other values under the same names."""
    return {name: torch.zeros_like(tensor) for name, tensor in weights.items()}


def extra_layer(weights: Weights) -> dict[str, Tensor]:
    """A layer more than the configuration has."""
    return {**weights, **replaced(only(weights, LAST), (LAST, "encoder.layer.6."))}


def save_big_endian(weights: Weights, folder: Path) -> None:
    """A file from a big-endian machine: its storages swapped, and a record that says so."""
    written = io.BytesIO()
    torch.save(dict(weights), written)
    path = folder / "pytorch_model.bin"
    with zipfile.ZipFile(written) as little, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as big:
        for name in little.namelist():
            content = little.read(name)
            if "/data/" in name:
                content = np.frombuffer(content, np.float32).byteswap().tobytes()
            big.writestr(name, b"big" if name.endswith("/byteorder") else content)


def save_shards(weights: Weights, folder: Path, name: str = "model.safetensors") -> None:
    """Two shards and their index."""
    stem, _, ending = name.partition(".")
    parts = {
        f"{stem}-00001-of-00002.{ending}": without(weights, LAST),
        f"{stem}-00002-of-00002.{ending}": only(weights, LAST),
    }
    for file, part in parts.items():
        if ending == "safetensors":
            save_safetensors(part, folder, file)
        else:
            torch.save(part, folder / file)
    weight_map = {key: file for file, part in parts.items() for key in part}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / f"{name}.index.json").write_text(json.dumps(index), encoding="utf-8")


def save_both(weights: Weights, folder: Path) -> None:
    """Safetensors beside a `.bin` with other values."""
    save_safetensors(weights, folder)
    save_bin(other(weights), folder)


def save_one_segment(weights: Weights, folder: Path) -> None:
    """A dimension of size 1 with a stride that no contiguous tensor has."""
    row = torch.zeros(999)
    row[:384] = weights[TYPES][0]
    save_bin({**weights, TYPES: row.as_strided((1, 384), (777, 1))}, folder)
    configure(folder, type_vocab_size=1)


def save_misnamed(weights: Weights, folder: Path) -> None:
    """A torch file that is called safetensors."""
    torch.save(dict(weights), folder / "model.safetensors")


def configure(folder: Path, **fields: object) -> None:
    """Set fields of `config.json`; None takes a field out."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text(encoding="utf-8")), **fields}
    kept = {name: value for name, value in config.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def configured(**fields: object) -> Write:
    """Plain safetensors with another `config.json`."""

    def write(weights: Weights, folder: Path) -> None:
        save_safetensors(weights, folder)
        configure(folder, **fields)

    return write


def in_bin(change: Callable[[Weights], Any] = dict, **how: Any) -> Write:
    """A changed state dict in `pytorch_model.bin`."""
    return lambda weights, folder: save_bin(change(weights), folder, **how)


def in_safetensors(change: Callable[[Weights], Weights] = dict) -> Write:
    """A changed state dict in `model.safetensors`."""
    return lambda weights, folder: save_safetensors(change(weights), folder)


def beside(**tensors: Tensor) -> Callable[[Weights], Weights]:
    """More tensors, which no BERT asks for."""
    return lambda weights: {**weights, **tensors}


@attrs.frozen
class Layout:
    """One way to write the weights, and what the two versions have to make of it.

    Attributes:
        write: Writes them into a folder.
        before: What 0.4.12 does: R for refused, F for faithful, C for corrupt, U for unknown.
        after: What 0.7.1 does.
        tolerance: How far a faithful load's vectors may be from the right ones.
        same_model: Whether the right vectors are those of the plain weights.
    """

    write: Write
    before: str
    after: str
    tolerance: float = 1e-5
    same_model: bool = True


POSITIONS = {"embeddings.position_ids": torch.arange(512)[None]}
LAYOUTS = {
    "plain": Layout(in_bin(), "F", "F"),
    "plain safetensors": Layout(in_safetensors(), "F", "F"),
    "one storage": Layout(in_bin(flat), "C", "F"),
    "chunks": Layout(in_bin(chunked), "C", "F"),
    "one storage, from element 1": Layout(in_bin(lambda weights: flat(weights, first=1)), "C", "F"),
    "between elements": Layout(in_bin(between_elements), "C", "F", HALF, same_model=False),
    "one storage in bfloat16": Layout(in_bin(lambda weights: flat(weights, torch.bfloat16)), "C", "F", BRAIN),
    "one storage in float64": Layout(in_bin(lambda weights: flat(weights, torch.float64)), "C", "F"),
    "column order": Layout(in_bin(lambda weights: transposed(weights, "encoder.")), "F", "F"),
    "tables in column order": Layout(in_bin(lambda w: transposed(w, "word_embeddings")), "R", "R"),
    "tables in column order, cast": Layout(
        in_bin(lambda w: transposed(cast(w, torch.float64), "word_embeddings")), "F", "F"
    ),
    "one storage, column order": Layout(in_bin(flat_and_transposed), "C", "F"),
    "float16": Layout(in_bin(lambda weights: cast(weights, torch.float16)), "F", "F", HALF),
    "bfloat16": Layout(in_bin(lambda weights: cast(weights, torch.bfloat16)), "F", "F", BRAIN),
    "float64": Layout(in_bin(lambda weights: cast(weights, torch.float64)), "F", "F"),
    "float16 safetensors": Layout(in_safetensors(lambda w: cast(w, torch.float16)), "F", "F", HALF),
    "legacy": Layout(in_bin(_use_new_zipfile_serialization=False), "R", "R"),
    "protocol 3": Layout(in_bin(pickle_protocol=3), "F", "F"),
    "protocol 4": Layout(in_bin(pickle_protocol=4), "R", "R"),
    "under state_dict": Layout(in_bin(lambda weights: {"state_dict": dict(weights)}), "R", "R"),
    "under model, with an epoch": Layout(
        in_bin(lambda weights: {"model": dict(weights), "epoch": 1}), "R", "R"
    ),
    "a list": Layout(in_bin(lambda weights: list(weights.values())), "R", "R"),
    "gaps": Layout(in_bin(lambda w: {**w, QUERY: w[QUERY].repeat_interleave(2, 1)[:, ::2]}), "R", "R"),
    "gaps in the pooler": Layout(in_bin(beside(**{"pooler.x": torch.zeros(4, 4)[:, ::2]})), "F", "F"),
    "stride of 0": Layout(
        in_bin(lambda w: {**w, "encoder.layer.0.output.dense.bias": torch.zeros(1).expand(384)}), "R", "R"
    ),
    "stride of a size of 1": Layout(save_one_segment, "F", "F"),
    "big-endian": Layout(save_big_endian, "C", "C"),
    "int64 positions": Layout(in_bin(beside(**POSITIONS)), "F", "F"),
    "int32 positions": Layout(in_bin(beside(**cast(POSITIONS, torch.int32))), "F", "F"),
    "uint16 beside": Layout(in_bin(beside(x=torch.zeros(2, dtype=torch.uint16))), "F", "F"),
    "a long integer beside": Layout(in_bin(lambda weights: {**weights, "step": 2**40}), "R", "F"),
    "parameters": Layout(in_bin(lambda w: {n: torch.nn.Parameter(t) for n, t in w.items()}), "F", "F"),
    "a tensor with an attribute": Layout(in_bin(with_attribute), "F", "F"),
    "a parameter with an attribute": Layout(
        in_bin(lambda weights: with_attribute(weights, torch.nn.Parameter)), "U", "U"
    ),
    "a counter": Layout(in_bin(Counter), "U", "U"),
    "prefixed": Layout(in_safetensors(lambda weights: prefixed(weights, "bert.")), "F", "F"),
    "prefixed, one storage": Layout(in_bin(lambda weights: flat(prefixed(weights, "bert."))), "C", "F"),
    "prefixed twice": Layout(in_safetensors(lambda weights: prefixed(weights, "bert.bert.")), "R", "R"),
    "in a module": Layout(in_safetensors(lambda weights: prefixed(weights, "module.")), "R", "R"),
    "partly prefixed": Layout(
        in_safetensors(lambda w: {**without(w, LAST), **prefixed(only(w, LAST), "bert.")}), "R", "R"
    ),
    "both spellings": Layout(in_safetensors(lambda w: {**w, **prefixed(other(w), "bert.")}), "F", "F"),
    "gamma and beta": Layout(
        in_safetensors(lambda w: replaced(w, ("Norm.weight", "Norm.gamma"), ("Norm.bias", "Norm.beta"))),
        "R",
        "R",
    ),
    "a tensor dropped": Layout(in_safetensors(lambda w: without(w, f"{LAST}output.dense.bias")), "R", "R"),
    "no pooler": Layout(in_safetensors(lambda weights: without(weights, "pooler")), "F", "F"),
    "no segments": Layout(in_safetensors(lambda weights: without(weights, TYPES)), "R", "R"),
    "only the pooler": Layout(in_safetensors(lambda weights: only(weights, "pooler")), "R", "R"),
    "resized": Layout(
        in_safetensors(lambda w: {n: t[:9000] if "word" in n else t for n, t in w.items()}), "R", "R"
    ),
    "a layer more": Layout(in_safetensors(extra_layer), "F", "F"),
    "a layer less": Layout(in_safetensors(lambda weights: without(weights, LAST)), "R", "R"),
    "fewer layers declared": Layout(configured(num_hidden_layers=5), "F", "F", same_model=False),
    "more layers declared": Layout(configured(num_hidden_layers=7), "R", "R"),
    "shards": Layout(save_shards, "R", "R"),
    "shards of torch": Layout(
        lambda weights, folder: save_shards(weights, folder, "pytorch_model.bin"), "R", "R"
    ),
    "safetensors beside another model": Layout(save_both, "F", "F"),
    "misnamed": Layout(save_misnamed, "R", "R"),
    "int16 asked for": Layout(
        in_safetensors(lambda w: {**w, TYPES: (w[TYPES] * 0).to(torch.int16)}), "R", "F", same_model=False
    ),
    "complex64 beside": Layout(in_safetensors(beside(x=torch.zeros(2, dtype=torch.complex64))), "R", "F"),
    "no architectures": Layout(configured(architectures=None), "F", "R"),
    "another architecture": Layout(configured(architectures=["RobertaModel"]), "F", "R"),
    "no padding token": Layout(configured(pad_token_id=None), "R", "R"),
    "another activation": Layout(configured(hidden_act="gelu_new"), "R", "R"),
    "relative positions": Layout(configured(position_embedding_type="relative_key"), "R", "R"),
    "an uneven width": Layout(configured(num_attention_heads=7), "R", "R"),
}
LETTERS = {
    "R": Outcome.REFUSED,
    "F": Outcome.FAITHFUL,
    "C": Outcome.CORRUPT,
    "U": Outcome.UNKNOWN,
}


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Layout:
    """Each of them in turn, for all tests that take one."""
    return LAYOUTS[request.param]


@pytest.fixture(scope="module")
def folder(
    layout: Layout, new_snapshot: Callable[[Callable[[Path], object]], Path], weights: Weights
) -> Iterator[Path]:
    """The snapshot of the layout; its weights are deleted after the tests that take it."""
    made = new_snapshot(lambda folder: layout.write(weights, folder))
    yield made
    delete_weights(made)


@pytest.fixture(scope="module")
def right_vectors(
    new_snapshot: Callable[[Callable[[Path], object]], Path], weights: Weights, sentence_transformers: Embed
) -> np.ndarray:
    """Those of sentence-transformers for the plain weights."""
    return sentence_transformers(new_snapshot(lambda folder: save_safetensors(weights, folder)))


def delete_weights(folder: Path) -> None:
    """Make room."""
    for path in [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        path.unlink()


def read_at(folder: Path, start: int, tensor: TensorInfo) -> Tensor:
    """A tensor of that type, shape and stride, whose elements begin at byte `start` of its file."""
    with (folder / tensor.file).open("rb") as stream:
        stream.seek(start)
        content = bytearray(stream.read(tensor.n_bytes))
    elements = torch.frombuffer(content, dtype=getattr(torch, tensor.dtype))
    return elements.as_strided(tensor.shape, tensor.stride).contiguous()


def rebuilt(folder: Path, prediction: LoadPrediction) -> dict[str, Tensor]:
    """The weights as the prediction says that they are read."""
    (name,) = prediction.files
    tensors = open_checkpoint(folder / name).tensors
    begins = {key.name: key.byte_read for key in prediction.misread_keys}
    return {name: read_at(folder, begins.get(name, tensor.start), tensor) for name, tensor in tensors.items()}


@pytest.mark.parametrize("loader", [BEFORE, AFTER])
def test_the_prediction_is_what_happens(
    loader: str,
    layout: Layout,
    folder: Path,
    right_vectors: np.ndarray,
    sentence_transformers: Embed,
    new_snapshot: Callable[[Callable[[Path], object]], Path],
    request: pytest.FixtureRequest,
) -> None:
    """Refused is an error; faithful gives the right vectors; corrupt gives those of the bytes predicted."""
    embed: Embed = request.getfixturevalue("candle_before" if loader == BEFORE else "candle_after")
    prediction = predict_load(folder, loader)

    assert prediction.outcome is LETTERS[layout.before if loader == BEFORE else layout.after]
    if prediction.outcome is Outcome.REFUSED:
        check_refusal(prediction, folder, embed)
    elif prediction.outcome is Outcome.FAITHFUL:
        expected = right_vectors if layout.same_model else sentence_transformers(folder)
        assert np.linalg.norm(embed(folder) - expected, axis=1).max() < layout.tolerance
        assert not prediction.misread_keys
    elif prediction.outcome is Outcome.CORRUPT:
        check_misreading(prediction, embed, folder, new_snapshot)
    else:
        assert prediction.reasons


def check_refusal(prediction: LoadPrediction, folder: Path, embed: Embed) -> None:
    """The loader fails, and where the prediction names a missing tensor, with that error."""
    with pytest.raises(RuntimeError) as error:
        embed(folder)

    named = [reason for reason in prediction.reasons if "cannot find tensor" in reason]
    if named and prediction.reasons[0] == named[0]:
        said = named[0].partition("cannot find tensor ")[2].partition(" ")[0].rstrip(".")
        assert f"cannot find tensor {said}" in str(error.value)


def check_misreading(
    prediction: LoadPrediction,
    embed: Embed,
    folder: Path,
    new_snapshot: Callable[[Callable[[Path], object]], Path],
) -> None:
    """The tensors that lie where they are predicted to be read give the loader's very vectors."""
    model = new_snapshot(lambda into: save_safetensors(rebuilt(folder, prediction), into))
    observed, expected = embed(folder), embed(model)
    delete_weights(model)

    assert prediction.misread_keys
    assert prediction.silent
    assert np.array_equal(np.isnan(observed), np.isnan(expected))
    if not np.isnan(observed).any():
        cosine = (
            (observed * expected).sum(1) / np.linalg.norm(observed, axis=1) / np.linalg.norm(expected, axis=1)
        )
        assert cosine.min() >= 0.9999
