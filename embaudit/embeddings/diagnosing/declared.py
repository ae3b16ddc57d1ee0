"""The pipeline that a repository declares, as sentence-transformers makes it."""

from collections.abc import Iterator, Mapping, Sequence

from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.model.frozen import JSON
from embaudit.model.prediction import LoadPrediction
from embaudit.model.repository import Repository

_OLD_FLAGS = {
    "pooling_mode_cls_token": PoolingMode.CLS,
    "pooling_mode_max_tokens": PoolingMode.MAX,
    "pooling_mode_mean_tokens": PoolingMode.MEAN,
    "pooling_mode_mean_sqrt_len_tokens": PoolingMode.MEAN_SQRT_LEN,
    "pooling_mode_weightedmean_tokens": PoolingMode.WEIGHTED_MEAN,
    "pooling_mode_lasttoken": PoolingMode.LAST_TOKEN,
}


def declared_pipeline(repository: Repository, prediction: LoadPrediction) -> EmbeddingPipeline:
    """The pipeline of the prediction or, where it has none, what the settings files say at first sight."""
    predicted = getattr(prediction, "pipeline", None)
    return predicted if isinstance(predicted, EmbeddingPipeline) else _read_pipeline(repository)


def _read_pipeline(repository: Repository) -> EmbeddingPipeline:
    documents = repository.declaration.documents
    modules = list(_modules(documents.get("modules.json")))
    named = {kind: path for kind, path in modules}
    pooling = _object(documents.get(f"{named.get('Pooling', '')}/config.json"))
    transformer = _object(documents.get("sentence_bert_config.json"))
    settings = _object(documents.get("config_sentence_transformers.json"))
    length = transformer.get("max_seq_length")
    prompts = {name: text for name, text in _object(settings.get("prompts")).items() if isinstance(text, str)}
    default = settings.get("default_prompt_name")
    return EmbeddingPipeline(
        pooling=tuple(_modes(pooling)) or (PoolingMode.MEAN,),
        include_prompt=pooling.get("include_prompt") is not False,
        normalize="Normalize" in named,
        dense=tuple(_dense(path, documents) for kind, path in modules if kind == "Dense"),
        max_seq_length=length if isinstance(length, int) else None,
        lowercase=True if transformer.get("do_lower_case") is True else None,
        prompts=prompts,
        default_prompt=default if isinstance(default, str) and default in prompts else None,
        dimension=None,
        modules=tuple(kind for kind, _ in modules),
    )


def _modules(document: JSON) -> Iterator[tuple[str, str]]:
    """Class and folder of each module."""
    for entry in document if isinstance(document, Sequence) and not isinstance(document, str) else ():
        fields = _object(entry)
        yield str(fields.get("type", "")).rpartition(".")[2], str(fields.get("path", ""))


def _modes(pooling: Mapping[str, JSON]) -> Iterator[PoolingMode]:
    new = pooling.get("pooling_mode")
    if new is not None:
        yield from (PoolingMode(str(mode)) for mode in ([new] if isinstance(new, str) else list(new)))  # type: ignore[arg-type]  # a stand-in that goes
        return
    yield from (mode for flag, mode in _OLD_FLAGS.items() if pooling.get(flag) is True)


def _dense(path: str, documents: Mapping[str, JSON]) -> DenseLayer:
    fields = _object(documents.get(f"{path}/config.json"))
    activation = str(fields.get("activation_function", "torch.nn.modules.activation.Tanh"))
    sizes = (fields.get("in_features"), fields.get("out_features"))
    n_in, n_out = (size if isinstance(size, int) else None for size in sizes)
    return DenseLayer(
        path=path,
        in_features=n_in,
        out_features=n_out,
        bias=fields.get("bias") is not False,
        activation="" if activation.endswith(".Identity") else activation,
    )


def _object(document: JSON) -> Mapping[str, JSON]:
    return document if isinstance(document, Mapping) else {}
