"""`EMB22x`: what several loaders, each behind a service of its own, would make of one repository."""

from collections.abc import Iterator

from embaudit.loaders.harmless import why_harmless
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.facts import Loads, ValueScans
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.prediction import PredictedLoad
from embaudit.model.tensor_map import TensorMap
from embaudit.model.weights import WEIGHTS_IN_ORDER
from embaudit.model.words import plural
from embaudit.rules.behaviours import affected_by, every_load, who_does, wider
from embaudit.rules.evidence import listed, some
from embaudit.rules.registry import rule


@rule("EMB220", Severity.WARNING)
def loaders_pick_different_files(loads: Loads) -> Iterator[Observation]:
    """Loaders take their weights from different files of one repository.

    Each is right by its own order of preference, so nothing says that two services run on different files.
    EMB221 tells whether the files hold different weights.
    """
    picked: dict[str, dict[str, list[PredictedLoad]]] = {}
    for load in every_load(loads):
        for path in load.files:
            folder, _, name = path.rpartition("/")
            if name in WEIGHTS_IN_ORDER:
                picked.setdefault(folder, {}).setdefault(path, []).append(load)
    for by_file in picked.values():
        if len(by_file) < 2:  # noqa: PLR2004 - different means two
            continue
        told = "; ".join(f"{who_does(each, 'takes')} `{path}`" for path, each in by_file.items())
        yield Observation(
            message=f"Weights come from different files: {told}.",
            where=Where(path=next(iter(by_file))),
            evidence={"files": [{"file": path, **affected_by(each)} for path, each in by_file.items()]},
            remedy="Keep one weight format, or compare the files at depth full and pin what is used.",
        )


@rule("EMB221", Severity.ERROR)
def different_weights_are_picked(loads: Loads, tensors: TensorMap) -> Iterator[Observation]:
    """Loaders take their weights from different files, and the files hold different weights.

    The same repository at the same commit is two models, and which one runs depends on the loader.
    """
    alone = [name for name in (*tensors.only_left, *tensors.only_right) if not why_harmless(name)]
    if not (tensors.changed or tensors.reshaped or alone):
        return
    left = [load for load in every_load(loads) if tensors.left in load.files]
    right = [load for load in every_load(loads) if tensors.right in load.files]
    if left and right:
        yield Observation(
            message=(
                f"{who_does(left, 'takes')} `{tensors.left}`, {who_does(right, 'takes')} `{tensors.right}`,"
                " and the two do not hold the same weights."
            ),
            where=Where(path=tensors.left),
            evidence={
                "left": affected_by(left),
                "right": affected_by(right),
                "changed": listed(pair.left for pair in tensors.changed),
                "only_left": listed(tensors.only_left),
                "only_right": listed(tensors.only_right),
            },
            remedy="Find out which file is meant, and delete the other.",
        )


@rule("EMB222", Severity.INFO)
def weights_are_narrowed(loads: Loads, checkpoint: Checkpoint) -> Iterator[Observation]:
    """A loader computes in a narrower type than the file stores.

    Each weight is rounded when it is loaded, and nothing says so. float16 has a smaller range too; EMB223
    looks at the values.
    """
    for narrow in ("float16", "bfloat16"):
        affected = [
            load for load in every_load(loads) if load.dtype == narrow and checkpoint.name in load.files
        ]
        wide = wider(checkpoint, narrow)
        if affected and wide:
            yield Observation(
                message=(
                    f"{who_does(affected, 'computes')} in {narrow}; `{checkpoint.name}` stores"
                    f" {plural(sum(wide.values()), 'tensor')} in {', '.join(wide)}."
                ),
                where=Where(path=checkpoint.name),
                evidence={**affected_by(affected), "stored": dict(wide), "computed": narrow},
                remedy="Ask for the type that the file has, or accept the rounding and compare embeddings.",
            )


@rule("EMB223", Severity.ERROR)
def values_overflow(loads: Loads, scans: ValueScans) -> Iterator[Observation]:
    """Weights become infinite in the type in which a loader computes.

    float16 ends at 65,504. A larger weight is cast to infinity without a message, and the embeddings that it
    enters are infinite or NaN. Only an audit at depth full looks at the values.
    """
    of_type = [load for load in every_load(loads) if load.dtype == "float16"]
    affected = [load for load in of_type if scans.checkpoint in load.files]
    large = [scan for scan in scans.scans if scan.n_beyond_float16]
    if affected and large:
        yield Observation(
            message=(
                f"{who_does(affected, 'computes')} in float16, in which"
                f" {plural(sum(scan.n_beyond_float16 for scan in large), 'weight')} of"
                f" {some([scan.name for scan in large])} would be infinite."
            ),
            where=Where(path=scans.checkpoint, tensor=large[0].name),
            evidence={**affected_by(affected), "tensors": listed(scan.name for scan in large)},
            remedy="Ask for float32 or bfloat16.",
        )
