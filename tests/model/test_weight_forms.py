"""Weight forms: which files of a listing hold one model; and moments: when something happened."""

import pytest

from embaudit.model.moments import moment
from embaudit.model.weight_forms import weight_forms

SAFE, TORCH, ONNX = "model.safetensors", "pytorch_model.bin", "onnx/model.onnx"
INDEX, SHARDS = "model.safetensors.index.json", tuple(f"model-0000{n}-of-00002.safetensors" for n in (1, 2))
VARIANT_INDEX = "model.safetensors.index.fp16.json"
VARIANT_SHARDS = tuple(f"model.fp16-0000{n}-of-00002.safetensors" for n in (1, 2))

# a listing, the pairs by name, the exports with what they can have been made from, and every file of a form
LISTINGS = {
    "one form": ((SAFE, "config.json"), [], {}, ()),
    "torch and safetensors": ((SAFE, TORCH), [(TORCH, SAFE)], {}, (SAFE, TORCH)),
    "shards": ((*SHARDS, INDEX, TORCH), [(TORCH, INDEX)], {}, (*SHARDS, INDEX, TORCH)),
    "shards of a variant, as transformers names them": (
        (*VARIANT_SHARDS, VARIANT_INDEX, "pytorch_model.fp16.bin"),
        [("pytorch_model.fp16.bin", VARIANT_INDEX)],
        {},
        (*VARIANT_SHARDS, VARIANT_INDEX, "pytorch_model.fp16.bin"),
    ),
    "shards of a variant without an index": (
        (
            "model-00001-of-00002.fp16.safetensors",
            "model-00002-of-00002.fp16.safetensors",
            "pytorch_model.bin",
        ),
        [],
        {},
        (),
    ),
    "one file and shards of one format": ((*SHARDS, INDEX, SAFE), [], {}, ()),
    "an export of both": (
        (ONNX, SAFE, TORCH),
        [(TORCH, SAFE)],
        {ONNX: [SAFE, TORCH]},
        (SAFE, ONNX, TORCH),
    ),
    "an export beside the weights": (("model.gguf", SAFE), [], {"model.gguf": [SAFE]}, ("model.gguf", SAFE)),
    "an export of a module's weights": (
        (SAFE, "2_Dense/model.safetensors", "2_Dense/onnx/model.onnx"),
        [],
        {"2_Dense/onnx/model.onnx": ["2_Dense/model.safetensors"]},
        ("2_Dense/model.safetensors", "2_Dense/onnx/model.onnx"),
    ),
    "an exported tokenizer": ((SAFE, "openvino/openvino_tokenizer.bin"), [], {}, ()),
    "an export alone": ((ONNX,), [], {}, ()),
    "weights of other folders": ((SAFE, "2_Dense/pytorch_model.bin"), [], {}, ()),
    "another variant": ((TORCH, "model.fp16.safetensors"), [], {}, ()),
}


@pytest.mark.parametrize(("paths", "pairs", "exports", "files"), LISTINGS.values(), ids=LISTINGS)
def test_forms_of_one_model_are_joined_by_their_paths(
    paths: tuple[str, ...],
    pairs: list[tuple[str, str]],
    exports: dict[str, list[str]],
    files: tuple[str, ...],
) -> None:
    """One model in two containers is a pair, what another program reads an export of the nearest one."""
    forms = weight_forms(paths)

    assert [(left.name, right.name) for left, right in forms.pairs] == pairs
    assert {each.path: [form.name for form in each.sources] for each in forms.exports} == exports
    assert forms.files == files


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-01-01T00:00:00.000Z", "2024-01-01T00:00:01+00:00"),
        ("2024-01-01T01:30:00+02:00", "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00.001Z"),
    ],
    ids=["the hub and git", "another zone", "without a zone"],
)
def test_moments_are_ordered_across_their_spellings(earlier: str, later: str) -> None:
    """The hub's, git's and the cache's dates can be compared with one another."""
    first, second = moment(earlier), moment(later)

    assert first is not None
    assert second is not None
    assert first < second


@pytest.mark.parametrize("text", ["", "Z", "yesterday", "2024-13-01T00:00:00Z"])
def test_what_is_no_moment_is_none(text: str) -> None:
    """A date that cannot be read is not known."""
    assert moment(text) is None
