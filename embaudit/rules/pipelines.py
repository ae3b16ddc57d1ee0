"""`EMB30x`: where loaders make other vectors of a text than the repository declares, weights apart.

The measure is what the newest sentence-transformers makes of it. Loaders that leave pooling to their callers
are not compared: they make no vector of a text.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import attrs

from embaudit.loaders import declared_pipeline
from embaudit.loaders.tokenizers import declared_tokenizer
from embaudit.model.declaration import Declaration
from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.model.facts import Loads
from embaudit.model.files import Snapshot
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.frozen import JSON
from embaudit.model.prediction import LoadPrediction, PredictedLoad
from embaudit.model.repository import Repository
from embaudit.rules.behaviours import affected_by, severity_of, who_does
from embaudit.rules.registry import rule

T = TypeVar("T")

_MEASURE = "sentence-transformers, the measure, "
_SETTINGS = "sentence_bert_config.json"
_PROMPTS = "config_sentence_transformers.json"


@attrs.frozen(kw_only=True)
class Compared:
    """What is compared, and what to say of it.

    Attributes:
        loads: What every loader would do.
        declared: The pipeline by which the others are measured.
        path: The file in which the repository says what is compared.
    """

    loads: Loads
    declared: EmbeddingPipeline
    path: str


@attrs.frozen(kw_only=True)
class Sayings:
    """How a rule words that loaders differ.

    Attributes:
        verb: What loaders do, for one of them: `pools by`.
        effect: What becomes of vectors, as the end of a sentence.
        remedy: What to do.
        severity: How much it matters in versions that run today.
    """

    verb: str
    effect: str
    remedy: str
    severity: Severity


def _compared(loads: Loads, snapshot: Snapshot, declaration: Declaration, *paths: str) -> Compared:
    """What is compared; of `paths` the first that is there is where the repository says it."""
    declared = declared_pipeline(Repository(snapshot=snapshot, declaration=declaration))
    path = next((each for each in (*paths, "modules.json") if each in snapshot.files), "config.json")
    return Compared(loads=loads, declared=declared, path=path)


@attrs.frozen
class Difference(Generic[T]):
    """That loaders differ in something.

    Attributes:
        measure: What the others are held against.
        others: Every other value, with the behaviours that have it.
        like: The behaviours whose value the measure is; empty where it is what the repository declares.
    """

    measure: T
    others: Mapping[T, list[PredictedLoad]]
    like: list[PredictedLoad]


def _differing(compared: Compared, value_of: Callable[[EmbeddingPipeline], T | None]) -> Difference[T] | None:
    """Where behaviours differ from the measure; None if none does.

    Where nothing is declared, what the first of the loaders does is the measure.
    """
    groups: dict[T, list[PredictedLoad]] = {}
    for load in _pooling_loads(compared.loads):
        value = None if load.pipeline is None else value_of(load.pipeline)
        if value is not None:
            groups.setdefault(value, []).append(load)
    declared = value_of(compared.declared)
    measure = declared if declared is not None else next(iter(groups), None)
    if measure is None:
        return None
    others = {value: loads for value, loads in groups.items() if value != measure}
    like = [] if declared is not None else groups[measure]
    return Difference(measure, others, like) if others else None


def _pooling_loads(loads: Loads) -> Iterator[PredictedLoad]:
    """The behaviours that end in a vector for a text, as far as is known."""
    every = (load for prediction in loads.predictions for load in prediction.eras)
    yield from (load for load in every if load.pipeline is not None and load.pipeline.pooling != ())


def _observed(
    compared: Compared,
    found: Difference[T],
    shown: Callable[[T], str],
    sayings: Sayings,
) -> Observation:
    told = "; ".join(
        f"{who_does(loads, sayings.verb)} {shown(value)}" for value, loads in found.others.items()
    )
    measure = who_does(found.like, sayings.verb) if found.like else f"{_MEASURE}{sayings.verb}"
    affected = [load for loads in found.others.values() for load in loads]
    by_value: tuple[JSON, ...] = tuple(
        {"value": shown(value), **affected_by(loads)} for value, loads in found.others.items()
    )
    return Observation(
        message=f"{told}; {measure} {shown(found.measure)}: {sayings.effect}.",
        where=Where(path=compared.path),
        evidence={"measure": shown(found.measure), "others": by_value, "effect": sayings.effect},
        remedy=sayings.remedy,
        severity=_severity(compared.loads, affected, sayings.severity),
    )


def _severity(loads: Loads, affected: Sequence[PredictedLoad], usual: Severity) -> Severity:
    """The usual severity; one step less where only old releases are affected that nobody asked for."""
    if usual is Severity.INFO:
        return usual
    return max(
        severity_of(prediction, affected, usual)
        for prediction in loads.predictions
        if any(load in affected for load in prediction.eras)
    )


@rule("EMB301", Severity.ERROR)
def pooling_differs(loads: Loads, snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """Loaders make the vector of a text from its tokens in different ways.

    The first token, the mean, the last token, several of them at once: the same weights give vectors with
    another direction, which cannot be compared with those of the other loader. Nothing is reported, and
    results are merely bad. A warning where no version was asked for and the newest ones agree.
    """
    compared = _compared(loads, snapshot, declaration, *_pooling_paths(declaration))
    found = _differing(compared, lambda pipeline: pipeline.pooling)
    if found is not None:
        yield _observed(
            compared,
            found,
            modes_named,
            Sayings(
                verb="pools by",
                effect="vectors point in another direction",
                remedy="Tell the loader how to pool (`--pooling` or its like), and compare vectors once.",
                severity=Severity.ERROR,
            ),
        )


def modes_named(modes: Sequence[PoolingMode]) -> str:
    """Modes as a message names them; a hostile file may list thousands."""
    more = " and more" if len(modes) > len(PoolingMode) else ""
    return " and ".join(map(str, modes[: len(PoolingMode)])) + more


def _pooling_paths(declaration: Declaration) -> tuple[str, ...]:
    folders = (path for path in declaration.documents if path.endswith("_Pooling/config.json"))
    return tuple(sorted(folders))


@rule("EMB302", Severity.WARNING)
def normalisation_differs(
    loads: Loads, snapshot: Snapshot, declaration: Declaration
) -> Iterator[Observation]:
    """Some loaders give vectors of length 1, and others do not.

    Only the scale differs: cosine similarity is the same, dot products and Euclidean distances are not, and
    an index with vectors of both is wrong for either. text-embeddings-inference and infinity normalise
    whatever the repository declares; sentence-transformers does so only if a Normalize is listed.
    """
    compared = _compared(loads, snapshot, declaration, "modules.json")
    found = _differing(compared, lambda pipeline: pipeline.normalize)
    if found is not None:
        yield _observed(
            compared,
            found,
            lambda unit: "length 1" if unit else "any length",
            Sayings(
                verb="gives vectors of",
                effect="only the scale of vectors differs",
                remedy="Normalise on both sides, or compare vectors by cosine alone.",
                severity=Severity.WARNING,
            ),
        )


@rule("EMB303", Severity.ERROR)
def dense_differs(loads: Loads, snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """A loader skips a Dense module, or applies it in another way.

    Dense modules of sentence-transformers come after pooling and are part of the model. Without them vectors
    have another direction, and often another dimension. Where `activation_function` is absent,
    sentence-transformers applies tanh from 5.4 on, and others apply nothing.
    """
    paths = (f"{layer.path}/config.json" for layer in _declared_dense(snapshot, declaration))
    compared = _compared(loads, snapshot, declaration, *paths)
    found = _differing(compared, _dense_of)
    if found is not None:
        yield _observed(
            compared,
            found,
            lambda layers: ", then ".join(map(_layer, layers)) or "no Dense",
            Sayings(
                verb="applies",
                effect="vectors have another direction, and another dimension where Dense changes it",
                remedy="Use a loader and version that applies the Dense modules, or apply them yourself.",
                severity=Severity.ERROR,
            ),
        )


def _declared_dense(snapshot: Snapshot, declaration: Declaration) -> tuple[DenseLayer, ...]:
    return declared_pipeline(Repository(snapshot=snapshot, declaration=declaration)).dense


def _dense_of(pipeline: EmbeddingPipeline) -> tuple[DenseLayer, ...] | None:
    """The Dense modules, or None of a pipeline of which nothing is known."""
    return None if pipeline.normalize is None else pipeline.dense


def _layer(layer: DenseLayer) -> str:
    activation = layer.activation.rpartition(".")[2] or "no activation"
    return f"`{layer.path}` with {activation}{' and a residual' if layer.residual else ''}"


@rule("EMB304", Severity.WARNING)
def prompts_differ(loads: Loads, snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """A loader leaves out the default prompt of the repository, or pools it with the text.

    sentence-transformers puts the prompt that `default_prompt_name` names before every text; servers take
    texts as they come. With `include_prompt: false` the tokens of a prompt are not pooled, which others do
    not know. Vectors point in another direction, and retrieval gets worse.
    """
    compared = _compared(loads, snapshot, declaration, _PROMPTS)
    found = _differing(compared, _prompt_of)
    if found is not None:
        yield _observed(
            compared,
            found,
            _prompt_words,
            Sayings(
                verb="puts",
                effect="vectors point in another direction",
                remedy="Put the prompt before the texts yourself, or name it in each request.",
                severity=Severity.WARNING,
            ),
        )


def _prompt_of(pipeline: EmbeddingPipeline) -> tuple[str, bool] | None:
    """The text that is put before every other, and whether it is pooled where there is one."""
    if pipeline.normalize is None:
        return None
    text = pipeline.prompts.get(pipeline.default_prompt or "", "")
    return text, pipeline.include_prompt or not text


def _prompt_words(prompt: tuple[str, bool]) -> str:
    text, pooled = prompt
    if not text:
        return "no prompt before a text"
    shown = text if len(text) <= _LONGEST_PROMPT else f"{text[:_LONGEST_PROMPT]}..."
    return f"{shown!r} before a text{'' if pooled else ' without pooling it'}"


_LONGEST_PROMPT = 60
"""Characters of a prompt that a message repeats."""


@rule("EMB305", Severity.WARNING)
def lengths_differ(loads: Loads, snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """Loaders end texts at different numbers of tokens.

    Only texts that are longer than the smaller number get other vectors. A note where every loader takes at
    least as much as is declared: then nothing is lost, but vectors of long texts still differ.
    """
    paths = (_SETTINGS, "tokenizer_config.json")
    compared = _compared(loads, snapshot, declaration, *paths)
    found = _differing(compared, lambda pipeline: pipeline.max_seq_length)
    if found is not None:
        shorter = any(value < found.measure for value in found.others)
        yield _observed(
            compared,
            found,
            lambda tokens: f"{tokens:,} tokens",
            Sayings(
                verb="ends texts at",
                effect=f"vectors of texts of more than {min(found.measure, *found.others):,} tokens differ",
                remedy="Cut texts to the smaller length before they are embedded.",
                severity=Severity.WARNING if shorter else Severity.INFO,
            ),
        )


@rule("EMB306", Severity.WARNING)
def casing_differs(loads: Loads, snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """Some loaders lowercase texts, and others do not.

    `do_lower_case` of `sentence_bert_config.json` is known to sentence-transformers alone. Texts with capital
    letters become other tokens, and their vectors point in another direction; other texts are not affected.
    """
    compared = _compared(loads, snapshot, declaration, _SETTINGS, "tokenizer_config.json")
    found = _differing(compared, lambda pipeline: pipeline.lowercase)
    if found is not None:
        yield _observed(
            compared,
            found,
            lambda lowered: "in small letters" if lowered else "as they are",
            Sayings(
                verb="takes texts",
                effect="vectors of texts with capital letters point in another direction",
                remedy="Lowercase texts before they are embedded, or set it in `tokenizer.json`.",
                severity=Severity.WARNING,
            ),
        )
    unaware = [load for load in _pooling_loads(loads) if _is_unaware(load)]
    if unaware and compared.declared.lowercase and not declared_tokenizer(declaration).lowercase:
        yield Observation(
            message=(
                f"{who_does(unaware, 'knows')} nothing of `do_lower_case`: unless `tokenizer.json` lowercases"
                " by itself, vectors of texts with capital letters point in another direction."
            ),
            where=Where(path=compared.path, field="do_lower_case"),
            evidence=affected_by(unaware),
            remedy="Lowercase texts before they are embedded, or set it in `tokenizer.json`.",
            severity=_severity(loads, unaware, Severity.WARNING),
        )


def _is_unaware(load: PredictedLoad) -> bool:
    """Whether a loader goes by `tokenizer.json` alone, and what it makes of texts is known otherwise."""
    pipeline = load.pipeline
    return pipeline is not None and pipeline.lowercase is None and pipeline.normalize is not None


@rule("EMB307", Severity.ERROR)
def cut_vectors_differ(loads: Loads, snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """Some loaders keep only the first components of vectors, and others keep all.

    `truncate_dim` in `config_sentence_transformers.json` is read by sentence-transformers from 5.4 on, and by
    no server: vectors have another dimension, and do not fit into one index.
    """
    compared = _compared(loads, snapshot, declaration, _PROMPTS)
    found = _differing(compared, _kept)
    if found is not None:
        yield _observed(
            compared,
            found,
            lambda kept: "all components" if kept == _ALL else f"{kept:,} components",
            Sayings(
                verb="keeps",
                effect="vectors have another dimension",
                remedy="Cut vectors yourself and normalise them afterwards, or ask the server to cut them.",
                severity=Severity.ERROR,
            ),
        )


@rule("EMB308", Severity.ERROR)
def nothing_is_embedded(prediction: LoadPrediction) -> Iterator[Observation]:
    """The model loads, and every text ends in an error.

    No module makes one vector of a text, or one stands where it lacks what it needs; a length, a default
    prompt or `truncate_dim` is no number or text. A service starts, and fails with its first request. A
    warning where no version was asked for and the newest ones embed.
    """
    failing = [load for load in prediction.eras if load.pipeline is not None and load.pipeline.failure]
    if not failing:
        return
    told = dict.fromkeys(load.pipeline.failure for load in failing if load.pipeline is not None)
    yield Observation(
        message=f"{who_does(failing, 'loads the model and embeds no text')}. {' '.join(told)}",
        where=Where(path="modules.json"),
        loader=prediction.loader,
        evidence={**affected_by(failing), "reasons": tuple(told)},
        remedy="Save the model again with sentence-transformers and embed one text, or restore the file.",
        severity=severity_of(prediction, failing, Severity.ERROR),
    )


_ALL = -1


def _kept(pipeline: EmbeddingPipeline) -> int | None:
    """How many components are kept."""
    if pipeline.normalize is None:
        return None
    return _ALL if pipeline.truncate_dim is None else pipeline.truncate_dim
