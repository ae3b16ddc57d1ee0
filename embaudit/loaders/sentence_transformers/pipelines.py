"""What sentence-transformers makes of a text with the modules of a repository: `SentenceTransformer.encode`.

Knows how modules follow one another, Routers, and what `config_sentence_transformers.json` adds. Refuses to
know what each module does: that is in `steps`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import attrs

from embaudit.errors import FormatError
from embaudit.formats.fields import ARRAY, OBJECT, examples, expect, quoted_value, take
from embaudit.loaders.sentence_transformers.declaring import SIMILARITIES
from embaudit.loaders.sentence_transformers.features import lacking_feature
from embaudit.loaders.sentence_transformers.judging import CannotTellError
from embaudit.loaders.sentence_transformers.loading import Place, Sight, object_document, read_settings
from embaudit.loaders.sentence_transformers.modules import Takes
from embaudit.loaders.sentence_transformers.places import (
    CONFIG,
    follows_modules,
    resolve_class,
    routes_of,
    take_folder,
)
from embaudit.loaders.sentence_transformers.steps import (
    BLANK,
    failing,
    noted,
    pool_by_default,
    run_step,
    unknown,
)
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.frozen import JSON, FrozenMapping

T = TypeVar("T")

_DEPTH = 2
"""Routers inside one another that are followed; none is known to hold another."""
_N_STEPS = 64
"""Modules on all routes of a Router that are followed; the same one may stand on them again and again."""


def pipeline_of(sight: Sight, places: Sequence[Place]) -> EmbeddingPipeline:
    """What becomes of a text with these modules; one of which nothing is known where embaudit cannot tell.

    Args:
        sight: The repository and the era.
        places: The modules in the order of `modules.json`; one alone, by default, if there is none.
    """
    try:
        kept = _kept(places)
        lacking = lacking_feature(sight, kept)
        pipeline = _declared(_run(BLANK, sight, kept), sight)
        return failing(pipeline, lacking) if lacking else pipeline
    except (FormatError, CannotTellError) as error:
        return unknown(f"{str(error).rstrip('.')}.")


def _kept(places: Iterable[Place]) -> list[Place]:
    """The modules that stay: the last of a name stands where the first one stood."""
    kept: dict[JSON, Place] = {}
    for place in places:
        kept[place.name if isinstance(place.name, str) else id(place)] = place
    return list(kept.values())


def _run(
    pipeline: EmbeddingPipeline, sight: Sight, places: Iterable[Place], depth: int = 0
) -> EmbeddingPipeline:
    for place in places:
        if place.type.takes is Takes.ROUTES:
            pipeline = _run_routes(pipeline, sight, place, depth)
        else:
            pipeline = run_step(pipeline, sight, place)
        if place.by_default:
            pipeline = pool_by_default(pipeline, sight, place)
    return pipeline


def _run_routes(pipeline: EmbeddingPipeline, sight: Sight, place: Place, depth: int) -> EmbeddingPipeline:
    """A Router: what its routes agree on, and nothing of the rest."""
    if depth >= _DEPTH:
        raise CannotTellError(f"embaudit does not follow {depth} modules inside one another.")
    settings = read_settings(sight, place, may_lack=False)
    modules = {
        name: Place(
            type=resolve_class(path, sight.repository, sight.era),
            folder=take_folder(place.path(name)),
            name=name,
        )
        for name, path in routes_of(settings, place).items()
    }
    routes = {
        route: _run(pipeline, sight, [modules[name] for name in names], depth + 1)
        for route, names in _structure(settings).items()
    }
    if not routes:
        raise FormatError("has no route", place.path(place.type.settings[0]))
    return _agreed(routes, place, pipeline.modules)


def _structure(settings: Mapping[str, JSON]) -> dict[str, list[str]]:
    """The routes of a Router, whose settings were looked at, and the names of the modules on each."""
    structure = take(settings, "structure", OBJECT)
    routes: dict[str, list[str]] = {}
    for route, listed in structure.items():
        names = expect(listed, ARRAY, route)
        routes[route] = [str(name) for name in names]
    n_steps = sum(map(len, routes.values()))
    if max(len(routes), n_steps) > _N_STEPS:
        raise CannotTellError(f"embaudit does not follow {len(routes)} routes of {n_steps} modules.")
    return routes


def _agreed(
    routes: Mapping[str, EmbeddingPipeline], place: Place, before: tuple[str, ...]
) -> EmbeddingPipeline:
    each = tuple(routes.values())
    same = all(route == each[0] for route in each)
    told = examples([*routes], "route")
    note = f"A text takes one of {told}, {'which do the same' if same else 'which differ'}."
    dense = _common([(route.pooling, route.dense) for route in each])
    lengths = [route.max_seq_length for route in each if route.max_seq_length is not None]
    return EmbeddingPipeline(
        pooling=_common([route.pooling for route in each]),
        include_prompt=all(route.include_prompt for route in each),
        normalize=_common([route.normalize for route in each]),
        dense=() if dense is None else dense[1],
        max_seq_length=max(lengths, default=None),
        truncates=_common([route.truncates for route in each]),
        lowercase=_common([route.lowercase for route in each]),
        dimension=_common([route.dimension for route in each]),
        padding_side=_common([route.padding_side for route in each]),
        modules=(*before, place.type.name),
        failure=_common([route.failure for route in each]) or "",
        notes=tuple(dict.fromkeys((*(note for route in each for note in route.notes), note))),
    )


def _common(values: Sequence[T]) -> T | None:
    """What all of them are, or None."""
    return values[0] if all(value == values[0] for value in values) else None


def _declared(pipeline: EmbeddingPipeline, sight: Sight) -> EmbeddingPipeline:
    """The pipeline with what `config_sentence_transformers.json` adds to it, where that is read."""
    config: Mapping[str, JSON] = FrozenMapping[JSON]()
    is_read = follows_modules(sight.repository, sight.era)
    if is_read and CONFIG in sight.repository.snapshot.files:
        config = object_document(sight.repository, CONFIG)
    cut = config.get("truncate_dim") if sight.era.reads_truncate_dim else None
    prompts = _prompts(config) if sight.era.default_prompts is not None else {}
    named, similarity = config.get("default_prompt_name"), config.get("similarity_fn_name")
    if _is_no_text(config, named) and sight.era.default_prompts is not None:
        pipeline = failing(pipeline, "the default prompt is no text.")
    return attrs.evolve(
        _cut(pipeline, cut),
        prompts=prompts,
        default_prompt=named if isinstance(named, str) and named in prompts else None,
        similarity=str(similarity) if similarity in SIMILARITIES else SIMILARITIES[0],
    )


def _is_no_text(config: Mapping[str, JSON], default: JSON) -> bool:
    """Whether the default prompt is something else than a text, which is put before a text all the same."""
    declared = config.get("prompts")
    if not isinstance(declared, Mapping) or not isinstance(default, str):
        return False
    prompt = declared.get(default)
    return bool(prompt) and not isinstance(prompt, str)


def _prompts(config: Mapping[str, JSON]) -> dict[str, str]:
    """The prompts that put something before a text."""
    declared = config.get("prompts")
    texts = declared if isinstance(declared, Mapping) else {}
    return {name: text for name, text in texts.items() if isinstance(text, str) and text}


def _cut(pipeline: EmbeddingPipeline, asked: JSON) -> EmbeddingPipeline:
    """The pipeline that keeps the first components only, after all else, so that their length is below 1.

    Components are cut as python slices: false is 0, true is 1, and a number below 0 drops that many.
    """
    if asked is None:
        return pipeline
    if not isinstance(asked, int):
        return failing(pipeline, f"vectors cannot be cut at {quoted_value(asked)} as `truncate_dim`.")
    dimension = pipeline.dimension
    if asked < 0 and dimension is None:
        note = "`truncate_dim` is below 0, and drops as many components from the end of vectors."
        return noted(attrs.evolve(pipeline, normalize=False), note)
    kept = int(asked) if asked >= 0 else max((dimension or 0) + asked, 0)
    is_whole = dimension is not None and dimension <= kept
    return attrs.evolve(
        pipeline,
        truncate_dim=kept,
        dimension=dimension if is_whole else kept,
        normalize=pipeline.normalize if is_whole else False,
    )
