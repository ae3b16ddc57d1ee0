"""What a file is for, told from its path."""

import pytest

from embaudit.model.files import FileKind, kind_of

KINDS = {
    "model.safetensors": FileKind.WEIGHTS,
    "pytorch_model.bin": FileKind.WEIGHTS,
    "2_Dense/pytorch_model.bin": FileKind.WEIGHTS,
    "model-00001-of-00002.safetensors": FileKind.WEIGHTS,
    "last.ckpt": FileKind.WEIGHTS,
    "model.safetensors.index.json": FileKind.WEIGHTS_INDEX,
    "model.safetensors.index.fp16.json": FileKind.WEIGHTS_INDEX,
    "onnx/model.onnx": FileKind.FOREIGN_WEIGHTS,
    "tf_model.h5": FileKind.FOREIGN_WEIGHTS,
    "rust_model.ot": FileKind.FOREIGN_WEIGHTS,
    "openvino/openvino_model.bin": FileKind.FOREIGN_WEIGHTS,
    "coreml/a.mlpackage/Data/com.apple.CoreML/weights/weight.bin": FileKind.FOREIGN_WEIGHTS,
    "training_args.bin": FileKind.TRAINING,
    "optimizer.pt": FileKind.TRAINING,
    "sampler.bin": FileKind.TRAINING,
    "trainer_state.json": FileKind.TRAINING,
    "config.json": FileKind.CONFIG,
    "modules.json": FileKind.CONFIG,
    "1_Pooling/config.json": FileKind.POOLING,
    "tokenizer.json": FileKind.TOKENIZER,
    "vocab.txt": FileKind.TOKENIZER,
    "modeling_new.py": FileKind.CODE,
    "README.md": FileKind.DOCS,
    "LICENSE": FileKind.DOCS,
    ".gitattributes": FileKind.DOCS,
    "data.csv": FileKind.OTHER,
}


@pytest.mark.parametrize("path", KINDS)
def test_the_kind_of_a_file(path: str) -> None:
    """Each file of a usual repository has its kind, in any case of its letters."""
    assert kind_of(path) is KINDS[path]
    assert kind_of(path.replace("model", "MODEL")) is KINDS[path]
