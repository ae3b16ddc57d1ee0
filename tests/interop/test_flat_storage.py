"""EMB110 held against candle: which bytes it reads where a tensor begins inside its storage, to the byte."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from embaudit import AuditReport, Finding, Severity, TensorInfo, audit, open_checkpoint

pytestmark = pytest.mark.interop

Weights = Mapping[str, Tensor]
Save = Callable[[Path], object]
Embed = Callable[[Path], np.ndarray]
QUERY = "encoder.layer.0.attention.self.query.weight"


def flat(weights: Weights, *, dtype: torch.dtype = torch.float32, first: int = 0) -> dict[str, Tensor]:
    """The same weights as views into one storage, the first of them at element `first`."""
    storage = torch.cat([torch.zeros(first), *(tensor.flatten() for tensor in weights.values())]).to(dtype)
    pieces = storage[first:].split([tensor.numel() for tensor in weights.values()])
    return {name: piece.view(weights[name].shape) for name, piece in zip(weights, pieces, strict=True)}


def flat_and_transposed(weights: Weights) -> dict[str, Tensor]:
    """Views into one storage, one of them in column order, which candle reads as well as row order."""
    views = flat({**weights, QUERY: weights[QUERY].t().contiguous()})
    return {**views, QUERY: views[QUERY].t()}


def flat_between_elements(weights: Weights) -> dict[str, Tensor]:
    """Views of two bytes an element, whose offsets are odd: candle begins in the middle of one."""
    views = flat(weights, dtype=torch.float16, first=1)
    for tensor in views.values():
        # Misread, these bits would be the upper ones of an exponent, and numbers would be infinite.
        tensor.view(torch.int16).bitwise_and_(~0xC0)
    return views


def chunked(weights: Weights) -> dict[str, Tensor]:
    """Query, key and value of each layer as chunks of one tensor: two of three begin inside its storage."""
    split = dict(weights)
    for query in [name for name in weights if ".query." in name]:
        names = [query.replace("query", part) for part in ("query", "key", "value")]
        split.update(zip(names, torch.cat([weights[name] for name in names]).chunk(3), strict=True))
    return split


def in_bin(weights: Weights) -> Save:
    """Puts weights into `pytorch_model.bin` as they are."""
    return lambda folder: torch.save(dict(weights), folder / "pytorch_model.bin")


def in_safetensors(weights: Weights) -> Save:
    """Puts weights into `model.safetensors`."""
    return lambda folder: save_file(dict(weights), folder / "model.safetensors", metadata={"format": "pt"})


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The L2 distance of each vector to the other one of the same text."""
    return np.linalg.norm(left - right, axis=1)


def misread_tensors(report: AuditReport) -> Finding:
    """The one finding of EMB110."""
    (finding,) = [finding for finding in report.findings if finding.code == "EMB110"]
    return finding


def byte_read(tensor: TensorInfo) -> int:
    """Where a reader begins that takes `storage_offset`, which counts elements, for bytes."""
    return tensor.start - tensor.storage_offset * tensor.dtype.item_bytes + tensor.storage_offset


def read_at(file: Path, start: int, tensor: TensorInfo) -> Tensor:
    """A tensor of that dtype, shape and stride, whose elements begin at byte `start` of the file."""
    with file.open("rb") as stream:
        stream.seek(start)
        elements = torch.frombuffer(
            bytearray(stream.read(tensor.n_bytes)), dtype=getattr(torch, tensor.dtype)
        )
    return elements.as_strided(tensor.shape, tensor.stride).clone(memory_format=torch.contiguous_format)


def predicted(folder: Path) -> dict[str, Tensor]:
    """The weights that candle 0.3.3 to 0.8.4 takes from the folder's `.bin`, if embaudit is right."""
    tensors = open_checkpoint(folder).tensors.values()
    return {tensor.name: read_at(folder / tensor.file, byte_read(tensor), tensor) for tensor in tensors}


@pytest.fixture(scope="module")
def plain_bin(new_snapshot: Callable[[Save], Path], weights: Weights) -> Path:
    """The real weights in a `.bin`, each tensor in a storage of its own."""
    return new_snapshot(in_bin(weights))


@pytest.fixture(scope="module")
def flat_bin(new_snapshot: Callable[[Save], Path], weights: Weights) -> Path:
    """The real weights in a `.bin`, all tensors in one storage."""
    return new_snapshot(in_bin(flat(weights)))


@pytest.fixture(scope="module")
def reference(
    new_snapshot: Callable[[Save], Path], weights: Weights, sentence_transformers: Embed
) -> np.ndarray:
    """The right vectors: sentence-transformers on safetensors."""
    return sentence_transformers(new_snapshot(in_safetensors(weights)))


@pytest.mark.parametrize("layout", ["plain_bin", "flat_bin"])
def test_sentence_transformers_reads_every_layout(
    layout: str, reference: np.ndarray, sentence_transformers: Embed, request: pytest.FixtureRequest
) -> None:
    """sentence-transformers gives the same vectors, however the storages of a `.bin` are laid out."""
    vectors = sentence_transformers(request.getfixturevalue(layout))

    assert distances(vectors, reference).max() < 1e-5


def test_plain_storages_are_read_right(plain_bin: Path, reference: np.ndarray, candle_before: Embed) -> None:
    """Where each tensor has its own storage, EMB110 finds nothing, and the old candle is right."""
    report = audit(plain_bin)
    vectors = candle_before(plain_bin)

    assert "EMB110" not in {finding.code for finding in report.findings}
    assert distances(vectors, reference).max() < 1e-5


def test_the_fixed_candle_reads_flat_storage_right(
    flat_bin: Path, reference: np.ndarray, candle_after: Embed
) -> None:
    """From a flat storage, candle 0.11 gives the right vectors, as EMB110 says of 0.9 and later."""
    vectors = candle_after(flat_bin)

    assert distances(vectors, reference).max() < 1e-5


def test_the_old_candle_misreads_flat_storage_silently(
    flat_bin: Path, reference: np.ndarray, candle_before: Embed
) -> None:
    """What EMB110 calls an error loads without one, and every vector is unrelated to the right one."""
    finding = misread_tensors(audit(flat_bin))
    vectors = candle_before(flat_bin)

    assert finding.severity is Severity.ERROR
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert distances(vectors, reference).min() > 1


def test_the_evidence_names_the_bytes(flat_bin: Path, weights: Weights) -> None:
    """The evidence counts every tensor but the first, and the real weights are where it says to read."""
    evidence = misread_tensors(audit(flat_bin)).evidence
    tensors = open_checkpoint(flat_bin).tensors

    assert evidence["n_tensors"] == len(weights) - 1
    assert evidence["n_storages"] == 1
    for named in evidence["tensors"]:
        tensor = tensors[named["name"]]
        assert named["byte_read"] == byte_read(tensor)
        real = read_at(flat_bin / tensor.file, named["byte_to_read"], tensor)
        assert torch.equal(real, weights[tensor.name])


@pytest.mark.parametrize(
    ("lay_out", "tolerance"),
    [
        pytest.param(flat, 0, id="one storage"),
        pytest.param(chunked, 0, id="chunks"),
        pytest.param(lambda weights: flat(weights, dtype=torch.bfloat16), 0, id="two bytes an element"),
        pytest.param(flat_between_elements, 0, id="between two elements"),
        # Column order is multiplied in another order than the row order it is rebuilt in.
        pytest.param(flat_and_transposed, 1e-6, id="column order"),
    ],
)
def test_the_prediction_is_exact(
    lay_out: Callable[[Weights], Weights],
    tolerance: float,
    new_snapshot: Callable[[Save], Path],
    weights: Weights,
    reference: np.ndarray,
    candle_before: Embed,
) -> None:
    """The weights found at `byte_read` give the very vectors that the old candle gives, to the last bit.

    The misread vectors of different texts lie close together, and a tensor read 4 bytes beside shows only in
    the seventh digit: hence no tolerance.
    """
    folder = new_snapshot(in_bin(lay_out(weights)))
    observed = candle_before(folder)
    expected = candle_before(new_snapshot(in_safetensors(predicted(folder))))

    assert misread_tensors(audit(folder)).severity is Severity.ERROR
    assert distances(observed, expected).max() <= tolerance
    assert distances(observed, reference).min() > 0.1


def test_the_fixed_candle_agrees_on_the_predicted_weights(
    flat_bin: Path, new_snapshot: Callable[[Save], Path], candle_before: Embed, candle_after: Embed
) -> None:
    """The weights found at `byte_read`, loaded by the fixed candle, give the vectors of the old one."""
    observed = candle_before(flat_bin)
    expected = candle_after(new_snapshot(in_safetensors(predicted(flat_bin))))

    assert distances(observed, expected).max() < 1e-5


def test_safetensors_beside_the_file_win(
    new_snapshot: Callable[[Save], Path], weights: Weights, reference: np.ndarray, candle_before: Embed
) -> None:
    """EMB110 is a warning where safetensors lie beside the `.bin`: the old candle takes those."""

    def in_both(folder: Path) -> None:
        in_bin(flat(weights))(folder)
        in_safetensors(weights)(folder)

    folder = new_snapshot(in_both)
    vectors = candle_before(folder)

    assert misread_tensors(audit(folder)).severity is Severity.WARNING
    assert distances(vectors, reference).max() < 1e-5
