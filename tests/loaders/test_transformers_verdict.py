"""What comes of loading: shared between releases, bounded in length, and in doubt where the header is."""

from collections.abc import Mapping
from typing import Any

import pytest
from packaging.version import Version

from embaudit.architectures import ARCHITECTURES
from embaudit.loaders.base import Setting
from embaudit.loaders.transformers.eras import ERAS, TransformersEra
from embaudit.loaders.transformers.models import configured_model
from embaudit.loaders.transformers.predict import load_model
from embaudit.loaders.transformers.verdict import LoadingTask, judged, loaded
from embaudit.model.architecture import Role
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, PickleSummary
from embaudit.model.declaration import Declaration
from embaudit.model.dtypes import DType
from embaudit.model.frozen import freeze_object
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository
from embaudit.testing.facts import make_checkpoint, make_snapshot, make_tensor
from embaudit.testing.tiny_models import TINY_CONFIGS

LATEST = ERAS[-1]
TORCH = "pytorch_model.bin"


def era_of(version: str) -> TransformersEra:
    """The era of a release."""
    return next(era for era in ERAS if era.versions.contains(version))


def stored(name: str, *, prefix: str = "", **fields: Any) -> Checkpoint:
    """The tensors of a small model, one of them in half the bits, and what old files have beside them."""
    model = configured_model(ARCHITECTURES[name], TINY_CONFIGS[name][0], LATEST)
    tensors = [
        make_tensor(f"{prefix}{each.name}", each.shape, dtype=DType.FLOAT16 if index == 1 else DType.FLOAT32)
        for index, each in enumerate(model.tensors.values())
        if each.role is not Role.BUFFER
    ]
    extra = [
        make_tensor(f"{prefix}{name}", (2,))
        for name in ("embeddings.position_ids", "layers.0.self_attn.rotary_emb.inv_freq", "x.LayerNorm.gamma")
    ]
    return make_checkpoint([*tensors, *extra], **fields)


def load(name: str, version: str, checkpoint: Checkpoint, **fields: Any) -> PredictedLoad:
    """What one release does with weights and a small configuration with these fields."""
    shown = Repository(
        snapshot=make_snapshot(["config.json", *checkpoint.files]),
        declaration=Declaration(
            documents={"config.json": freeze_object({**TINY_CONFIGS[name][0], **fields})}
        ),
        checkpoints={checkpoint.name: checkpoint},
    )
    (only,) = load_model(shown, Setting(era=era_of(version)))
    return only


@pytest.mark.parametrize("prefix", ["", "bert.", "model."])
@pytest.mark.parametrize("name", ["bert", "llama", "modernbert", "nomic_bert_remote", "gte", "t5"])
def test_what_releases_share_is_what_each_does(name: str, prefix: str) -> None:
    """Remembered for releases that do the same, a load is the one that each release's own row gives."""
    checkpoint, config = stored(name, prefix=prefix), freeze_object(TINY_CONFIGS[name][0])

    for era in ERAS:
        model = configured_model(ARCHITECTURES[name], config, era)
        task = LoadingTask(era=era, checkpoint=checkpoint, model=model, config=config)
        assert loaded(task) == judged(task)


@pytest.mark.parametrize("version", ["5.0.0", "5.3.0", "5.4.0"])
def test_remote_code_keeps_its_names_before_its_model_came(version: str) -> None:
    """Nomic's own code loads its own names where transformers has no table for them yet."""
    seen = load("nomic_bert_remote", version, stored("nomic_bert_remote"))

    assert (seen.outcome, seen.missing_keys) == (Outcome.FAITHFUL, ())
    assert Version(version) < Version("5.5.0")


@pytest.mark.parametrize(
    ("version", "metadata", "fields", "outcome"),
    [
        ("5.23.0", {}, {}, Outcome.INCOMPLETE),
        ("5.23.0", {}, {"torch_dtype": "float32"}, Outcome.INCOMPLETE),
        ("5.23.0", {"epoch": 1}, {}, Outcome.REFUSED),
        ("5.23.0", {"epoch": 1}, {"torch_dtype": "float32"}, Outcome.INCOMPLETE),
        ("4.57.1", {}, {}, Outcome.INCOMPLETE),
        ("4.57.1", {"epoch": 1}, {}, Outcome.INCOMPLETE),
    ],
)
def test_a_torch_file_without_tensors(
    version: str, metadata: Mapping[str, Any], fields: Mapping[str, Any], outcome: Outcome
) -> None:
    """5.23 crashes where it looks for the type in what is no tensor; an empty container leaves no trace."""
    empty = make_checkpoint(
        [],
        name=TORCH,
        files=(TORCH,),
        format=CheckpointFormat.TORCH_ZIP,
        pickle=PickleSummary(protocol=2),
        metadata=metadata,
    )
    dtypes = {"torch_dtype": None, "dtype": None}

    seen = load("bert", version, empty, **{**dtypes, **fields})

    assert seen.outcome is outcome
    assert any("empty container" in reason for reason in seen.reasons) is not bool(metadata)


@pytest.mark.parametrize(
    "field", ["torch_dtype", "dtype", "model_type", "transformers_weights", "hidden_act", "id2label"]
)
@pytest.mark.parametrize("version", ["4.57.1", "5.23.0"])
def test_no_reason_is_longer_than_a_sentence(field: str, version: str) -> None:
    """A value of a hundred thousand characters is cut where a reason repeats it."""
    seen = load("bert", version, stored("bert"), **{field: "x" * 100_000})

    assert seen.outcome is Outcome.REFUSED
    assert max(map(len, seen.reasons)) < 1000


@pytest.mark.parametrize("version", ["4.30.2", "4.57.1", "5.23.0"])
def test_a_model_of_far_more_layers_is_not_looked_at(version: str) -> None:
    """Ten to the thirtieth layers are neither made nor called faithful."""
    for count in (30_000, 10**30):
        assert load("bert", version, stored("bert"), num_hidden_layers=count).outcome is Outcome.UNKNOWN


def test_pruned_heads_are_in_doubt_where_they_are_read() -> None:
    """4.57 takes heads out of the layers; 5.23 knows nothing of them."""
    pruned = {"pruned_heads": {"0": [0]}}

    assert load("bert", "4.57.1", stored("bert"), **pruned).outcome is Outcome.UNKNOWN
    assert load("bert", "5.23.0", stored("bert"), **pruned).outcome is Outcome.FAITHFUL
