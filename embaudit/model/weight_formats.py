"""The containers of weights, those that embaudit does not read included.

Knows the files of other programs by their paths alone, since nothing opens them.
"""

import enum
from pathlib import PurePosixPath


class WeightFormat(str, enum.Enum):
    """A container of weights: the first four are told by a file's content, the others by its path."""

    SAFETENSORS = "safetensors"
    TORCH_ZIP = "torch-zip"
    TORCH_LEGACY = "torch-legacy"
    TORCH_TAR = "torch-tar"
    ONNX = "onnx"
    OPENVINO = "openvino"
    GGUF = "gguf"
    GGML = "ggml"
    TENSORFLOW = "tensorflow"
    FLAX = "flax"
    RUST = "rust"
    CORE_ML = "core-ml"

    def __str__(self) -> str:
        return self.value


_STEMS = {"openvino_": WeightFormat.OPENVINO, "ggml-": WeightFormat.GGML}
_SUFFIXES = {
    ".onnx": WeightFormat.ONNX,
    ".onnx_data": WeightFormat.ONNX,
    ".gguf": WeightFormat.GGUF,
    ".h5": WeightFormat.TENSORFLOW,
    ".pb": WeightFormat.TENSORFLOW,
    ".tflite": WeightFormat.TENSORFLOW,
    ".msgpack": WeightFormat.FLAX,
    ".ot": WeightFormat.RUST,
    ".mlmodel": WeightFormat.CORE_ML,
}


def foreign_format(path: str) -> WeightFormat | None:
    """The container of a file whose kind is `foreign-weights`, or None if its name says of none."""
    pure = PurePosixPath(path)
    if any(part.endswith(".mlpackage") for part in pure.parts):
        return WeightFormat.CORE_ML
    named = next((each for stem, each in _STEMS.items() if pure.name.lower().startswith(stem)), None)
    return named or _SUFFIXES.get(pure.suffix.lower())
