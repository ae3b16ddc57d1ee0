"""EMB100 to EMB109: the weight formats of one snapshot, and whether they hold the same model."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from embaudit.loaders.harmless import why_harmless
from embaudit.model.facts import ComparedValues, WeightFiles
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.frozen import JSON
from embaudit.model.tensor_map import Agreement, TensorMap, TensorPair
from embaudit.model.weights import same_model_pairs
from embaudit.model.words import plural
from embaudit.rules.evidence import MAX_LISTED, be, listed, some
from embaudit.rules.registry import rule


@rule("EMB101", Severity.INFO)
def several_formats(files: WeightFiles) -> Iterator[Observation]:
    """The snapshot holds its weights in more than one format.

    Which file counts depends on the loader: transformers and sentence-transformers prefer safetensors,
    text-embeddings-inference's candle backend reads `pytorch_model.bin` before sharded safetensors, older
    versions know only the `.bin`. That is harmless as long as the files hold the same tensors.
    """
    told: set[str] = set()
    for other, preferred in same_model_pairs(files.checkpoints):
        if (".safetensors" in other) == (".safetensors" in preferred) or preferred in told:
            continue
        told.add(preferred)
        yield Observation(
            message=f"The same folder holds `{preferred}` and `{other}`.",
            where=Where(path=preferred),
            evidence={"checkpoints": [preferred, other]},
            remedy="Keep the safetensors file; drop the other once nobody needs it.",
        )


@rule("EMB102", Severity.ERROR)
def tensors_missing_in_one_format(tensors: TensorMap) -> Iterator[Observation]:
    """One format lacks tensors that the other has.

    A loader that reads the poorer file starts those parameters at random values. Names that a safetensors
    writer dropped because they share storage with another name do not count. Tensors on which no embedding
    depends, task heads, poolers, buffers that loaders compute themselves, are information only.
    """
    for names, has, lacks in (
        (tensors.only_left, tensors.left, tensors.right),
        (tensors.only_right, tensors.right, tensors.left),
    ):
        if not names:
            continue
        harmless = all(why_harmless(name) for name in names)
        yield Observation(
            message=(
                f"{plural(len(names), 'tensor')} of `{has}` {be(len(names))} not in `{lacks}`: {some(names)}."
            ),
            where=Where(path=lacks, tensor=names[0]),
            evidence={"present_in": has, "absent_from": lacks, "names": listed(names)},
            remedy=f"Convert `{has}` again, or delete the file that is wrong.",
            severity=Severity.INFO if harmless else None,
        )


@rule("EMB103", Severity.WARNING)
def tensors_renamed_between_formats(tensors: TensorMap) -> Iterator[Observation]:
    """The two formats hold the same tensors under other names.

    Whether a loader bridges the difference depends on its version: transformers renames `gamma` and `beta`
    by one rule up to 4.48 and by another from 4.49, candle models try a few prefixes each. A name that
    nobody bridges leaves its parameter at random values.
    """
    renamed = tensors.renamed
    if renamed:
        rules = sorted({pair.renamed_by or "" for pair in renamed})
        yield Observation(
            message=(
                f"{plural(len(renamed), 'tensor')} of `{tensors.left}` {be(len(renamed))} named otherwise"
                f" in `{tensors.right}`:"
                f" {'; '.join(rules[:3])}."
            ),
            where=Where(path=tensors.right, tensor=renamed[0].right),
            evidence={
                "rules": listed(rules),
                "pairs": listed(f"{pair.left} -> {pair.right}" for pair in renamed),
            },
            remedy="Check that your loader, at your version, knows these names.",
        )


@rule("EMB104", Severity.WARNING)
def dtypes_differ_between_formats(tensors: TensorMap) -> Iterator[Observation]:
    """The two formats store the same tensors in other dtypes.

    The narrower file lost precision; loaders that compute in the stored dtype (transformers 5 by default)
    give other vectors from one file than from the other.
    """
    recast = tensors.recast
    if recast:
        kinds = sorted({f"{pair.left_dtype} -> {pair.right_dtype}" for pair in recast})
        yield Observation(
            message=(
                f"{plural(len(recast), 'tensor')} {be(len(recast))} stored with another dtype"
                f" in `{tensors.right}` than in `{tensors.left}`: {', '.join(kinds)}."
            ),
            where=Where(path=tensors.right, tensor=recast[0].right),
            evidence={"dtypes": kinds, "names": listed(pair.right for pair in recast)},
            remedy="Compare at depth full: values that are exactly the rounded ones are a plain conversion.",
        )


@rule("EMB105", Severity.ERROR)
def shapes_differ_between_formats(tensors: TensorMap) -> Iterator[Observation]:
    """The two formats store the same tensor with other shapes.

    They cannot both fit the configuration: a loader refuses one of them or, told to ignore mismatched
    sizes, leaves the parameter at random values.
    """
    for pair in tensors.reshaped:
        yield Observation(
            message=f"`{pair.left}` has shape {pair.left_shape} here and {pair.right_shape} there.",
            where=Where(path=tensors.right, tensor=pair.right),
            evidence={
                tensors.left: pair.left_shape,
                tensors.right: pair.right_shape,
            },
            remedy="Find out which file fits config.json, and convert it again.",
        )


@rule("EMB106", Severity.ERROR)
def values_differ_between_formats(compared: ComparedValues) -> Iterator[Observation]:
    """The two formats hold other values for the same tensor.

    The vectors then depend on which file a loader picks. Asked at depth sampled and full, and at depth
    headers of files whose directories hold checksums, which tell that values differ and not how. Values that
    are exactly the rounded ones of a wider dtype are a conversion and not a difference.
    """
    tensors = compared.tensors
    different = [pair for pair in tensors.changed if pair.values is Agreement.DIFFERENT]
    close = [pair for pair in tensors.changed if pair.values is Agreement.CLOSE]
    for pairs, verb, severity in (
        (different, "differ", None),
        (close, "are close, not equal,", Severity.WARNING),
    ):
        if pairs:
            yield Observation(
                message=(
                    f"The values of {some([pair.left for pair in pairs])} {verb}"
                    f" between `{tensors.left}` and `{tensors.right}`."
                ),
                where=Where(path=tensors.right, tensor=pairs[0].right),
                evidence={"pairs": [_measured(pair) for pair in pairs[:MAX_LISTED]], "n_pairs": len(pairs)},
                remedy="Find out which file is the right one, and convert it again.",
                severity=severity,
            )


def _measured(pair: TensorPair) -> JSON:
    return {
        "left": pair.left,
        "right": pair.right,
        "first_difference": pair.first_difference,
        "n_different": pair.n_different,
        "max_abs_diff": pair.max_abs_diff,
        "max_rel_diff": pair.max_rel_diff,
    }


@rule("EMB107", Severity.INFO)
def tied_names_dropped(tensors: TensorMap) -> Iterator[Observation]:
    """A name is missing in one format because it is tied to another name.

    safetensors cannot store one tensor under two names, so its writers keep one of them; a loader that knows
    the tie restores the other. text-embeddings-inference asks for some tied names and refuses without them
    (https://github.com/huggingface/text-embeddings-inference/pull/564).
    """
    if tensors.tied:
        yield Observation(
            message=(
                f"{plural(len(tensors.tied), 'name')} {be(len(tensors.tied))} written once under another"
                f" name: {some([tied.name for tied in tensors.tied])}."
            ),
            where=Where(path=tensors.right, tensor=tensors.tied[0].name),
            evidence={"tied": {tied.name: tied.tied_to for tied in tensors.tied[:MAX_LISTED]}},
        )


@rule("EMB108", Severity.WARNING)
def no_weights(files: WeightFiles) -> Iterator[Observation]:
    """The snapshot holds no weight file that embaudit reads.

    Nothing can be said about its tensors: ONNX, GGUF, TensorFlow and Flax files are listed and not opened.
    """
    if not files.checkpoints and not files.orphan_shards:
        yield Observation(
            message="No .safetensors or torch weight file is in this snapshot.",
            where=Where(field="files"),
            remedy="Check the revision and the folder; weights in other formats are not audited.",
        )


@rule("EMB109", Severity.WARNING)
def values_were_rounded_in_one_format(compared: ComparedValues) -> Iterator[Observation]:
    """One format holds values that went through a narrower type and back.

    Both files store the same dtype, and one of them was once saved as, say, float16: its values are exactly
    the other's, rounded. Nothing in the headers tells. Vectors differ slightly with the file that a loader
    picks. Asked at depth sampled and full.
    """
    tensors = compared.tensors
    rounded = tensors.rounded
    if rounded:
        casts = sorted({pair.cast or "" for pair in rounded})
        yield Observation(
            message=(
                f"{plural(len(rounded), 'tensor')} {be(len(rounded))} rounded in one of"
                f" `{tensors.left}` and `{tensors.right}`:"
                f" {', '.join(casts)}."
            ),
            where=Where(path=tensors.right, tensor=rounded[0].right),
            evidence={"casts": casts, "names": listed(pair.right for pair in rounded)},
            remedy="Find out which file lost precision, and convert it again from the other.",
        )


def folder_of(path: str) -> str:
    """The folder of a file inside the repository; empty for the root."""
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent


def has_safetensors(name: str, files: WeightFiles) -> bool:
    """Whether safetensors lie in the folder of a weight file: loaders then read those."""
    return any(".safetensors" in other and folder_of(other) == folder_of(name) for other in files.checkpoints)
