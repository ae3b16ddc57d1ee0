"""What the tests of text-embeddings-inference build with: repositories of which only headers exist."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from embaudit.architectures import ARCHITECTURES, expected_model
from embaudit.loaders.base import Setting
from embaudit.loaders.serde import Field, Fields, Kind, Presence
from embaudit.loaders.tei import TEI
from embaudit.loaders.tei.models import TeiModel
from embaudit.model.architecture import Role
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, ShardIndex
from embaudit.model.declaration import Declaration
from embaudit.model.prediction import PredictedLoad
from embaudit.model.repository import Repository
from embaudit.testing.facts import make_checkpoint, make_snapshot, make_tensor
from embaudit.testing.tiny_models import TINY_CONFIGS

POOLING = {
    "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}
Shapes = Mapping[str, tuple[int, ...]]
_VALUES = {
    Kind.COUNT: 4,
    Kind.INTEGER: 4,
    Kind.NUMBER: 0.5,
    Kind.TRUTH: False,
    Kind.TEXT: "text",
    Kind.ACTIVATION: "gelu",
    Kind.TEXT_OR_TEXTS: "c2p",
}


def _filled(config: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """A configuration with a value for every required field that it lacks."""
    lacking = [field for field in fields if field.presence is Presence.REQUIRED and field.name not in config]
    return {**config, **{field.name: _value(field) for field in lacking}}


def _value(field: Field) -> Any:
    return field.only[0] if field.only else _VALUES[field.kind]


class Builder:
    """Repositories around tiny models, and what the server makes of them."""

    def config(self, model: TeiModel, number: int = 0) -> dict[str, Any]:
        """A complete `config.json` for a model, from one of its architecture's tiny ones."""
        tiny = {
            "rope_theta": 10000.0,
            "pooler_hidden_act": "gelu",
            **TINY_CONFIGS[model.candle.architecture.name][number],
            "max_position_embeddings": 20,
            "model_type": model.model_types[0],
        }
        if model.candle.architecture.name == "nomic_bert_remote":
            del tiny["max_position_embeddings"]
        return _filled(tiny, model.fields)

    def shapes(self, model: TeiModel, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """The tensors of a tiny model, buffers left out, in the names of its architecture."""
        expected = expected_model(model.candle.architecture, model.complete(config)).tensors.values()
        return {tensor.name: tensor.shape for tensor in expected if tensor.role is not Role.BUFFER}

    def file(self, name: str, shapes: Shapes, **fields: Any) -> Checkpoint:
        """A weight file, its container told by its name."""
        kind = CheckpointFormat.SAFETENSORS if "safetensors" in name else CheckpointFormat.TORCH_ZIP
        made = {
            "name": name,
            "files": (name,),
            "format": kind,
            **({"pickle": None} if kind is CheckpointFormat.SAFETENSORS else {}),
            **fields,
        }
        return make_checkpoint([make_tensor(key, shape, file=name) for key, shape in shapes.items()], **made)

    def shards(self, shapes: Shapes, **fields: Any) -> Checkpoint:
        """The same as shards of safetensors."""
        index, shard = "model.safetensors.index.json", "model-00001-of-00001.safetensors"
        return self.file(
            index,
            shapes,
            files=(shard,),
            index=ShardIndex(path=index, weight_map=dict.fromkeys(shapes, shard)),
            **fields,
        )

    def repository(
        self,
        config: Any,
        *checkpoints: Checkpoint,
        others: Mapping[str, Any] | None = None,
        files: Iterable[str] = (),
        **fields: Any,
    ) -> Repository:
        """A repository with a pooling file and a tokenizer; `others` are further documents, None for none."""
        documents = {"config.json": config, "1_Pooling/config.json": POOLING, **(others or {})}
        kept = {path: document for path, document in documents.items() if document is not None}
        weights = {path for each in checkpoints for path in (each.name, *each.files)}
        return Repository(
            snapshot=make_snapshot([*kept, "tokenizer.json", *sorted(weights), *files], **fields),
            declaration=Declaration(documents=kept),
            checkpoints={each.name: each for each in checkpoints},
        )

    def loads(
        self, repository: Repository, version: str = "1.9.3", backend: str = "cuda"
    ) -> tuple[PredictedLoad, ...]:
        """Everything that one version does in one backend."""
        era = next(era for era in TEI.eras if era.versions.contains(version))
        return tuple(TEI.predict(repository, Setting(era=era, backend=backend)))

    def load(self, repository: Repository, version: str = "1.9.3", backend: str = "cuda") -> PredictedLoad:
        """The only thing that it does."""
        (load,) = self.loads(repository, version, backend)
        return load

    def bert(self, **changes: Any) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
        """The configuration and the tensors of a tiny BERT."""
        model = self.model("bert")
        config = {**self.config(model), **changes}
        return config, self.shapes(model, config)

    def model(self, name: str, version: str = "1.9.3") -> TeiModel:
        """The row that a version has for an architecture."""
        era = next(era for era in TEI.eras if era.versions.contains(version))
        return next(each for each in era.models if each.candle.architecture.name == name)


@pytest.fixture(scope="session")
def tei() -> Builder:
    """Repositories around tiny models, and what the server makes of them."""
    assert set(ARCHITECTURES) <= set(TINY_CONFIGS)
    return Builder()
