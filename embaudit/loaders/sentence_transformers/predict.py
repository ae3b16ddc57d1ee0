"""What sentence-transformers would do with a repository, module by module, over each transformers beneath.

Knows the order of things in `SentenceTransformer(path)` with no other argument than a path, on CPU with
torch as backend. Refuses to know what the modules compute, and what tokenizers are.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import attrs
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from embaudit.errors import FormatError
from embaudit.loaders.base import Setting
from embaudit.loaders.listing import weights_beside
from embaudit.loaders.sentence_transformers.declaring import check_config
from embaudit.loaders.sentence_transformers.eras import ERAS, SentenceTransformersEra
from embaudit.loaders.sentence_transformers.joining import join_alternatives, make_load, with_prefix
from embaudit.loaders.sentence_transformers.judging import CannotTellError, Judgement, shown_path
from embaudit.loaders.sentence_transformers.loading import (
    Place,
    Sight,
    load_nothing,
    load_state,
    load_static_table,
    load_unfollowed,
    load_word_table,
    normalize_settings,
    object_document,
    read_settings,
)
from embaudit.loaders.sentence_transformers.modules import Takes
from embaudit.loaders.sentence_transformers.naming import check_names, name_loads
from embaudit.loaders.sentence_transformers.pipelines import pipeline_of
from embaudit.loaders.sentence_transformers.places import (
    places_of,
    resolve_class,
    routes_of,
    take_folder,
)
from embaudit.loaders.sentence_transformers.steps import tokenizer_options, unknown
from embaudit.loaders.sentence_transformers.transformer import load_transformer
from embaudit.loaders.tokenizers import check_length, check_tokenizer
from embaudit.loaders.transformers import TRANSFORMERS
from embaudit.loaders.transformers.eras import TransformersEra
from embaudit.model.declaration import Declaration
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository

_DEPTH = 2
"""Routers inside one another that are followed; none is known to hold another."""


def predict(repository: Repository, setting: Setting[SentenceTransformersEra]) -> Iterator[PredictedLoad]:
    """What the releases of an era would do with a repository, over each transformers beneath them."""
    wanted = setting.beneath.get("transformers")
    beneath = list(_transformers(setting, wanted))
    if not beneath:
        stands_on = f"This version stands on transformers{setting.era.transformers}"
        yield make_load(Outcome.UNKNOWN, f"{stands_on}; embaudit knows none of them that is {wanted}.")
        return
    weights = set(weights_beside(repository.snapshot))
    runs: list[_Run] = []
    plan = _Plan(steps=tuple(_steps(places_of(repository, setting.era))))
    pipeline: EmbeddingPipeline | None = None
    for transformers, releases in beneath:
        sight = Sight(
            repository=repository, era=setting.era, transformers=transformers, releases=tuple(releases)
        )
        pipeline = plan.pipeline(sight) if pipeline is None else pipeline
        loads = [_finished(weights, pipeline, setting.era, load) for load in plan.loads(sight)]
        if runs and runs[-1].does(loads):
            runs[-1].extend(loads, releases)
        else:
            runs.append(_Run(loads, releases))
    for run in runs:
        yield from run.named() if len(runs) > 1 else run.loads


def declared_pipeline(repository: Repository, era: SentenceTransformersEra = ERAS[-1]) -> EmbeddingPipeline:
    """What sentence-transformers makes of a text with this repository: the newest release is the measure.

    Where the repository is refused, and where embaudit cannot tell, nothing is known, and `notes` say why.
    """
    return _Plan(steps=tuple(_steps(places_of(repository, era)))).pipeline(_newest_sight(repository, era))


def _newest_sight(repository: Repository, era: SentenceTransformersEra) -> Sight:
    """The repository as an era sees it, over the newest transformers that it stands on."""
    transformers, releases = list(_transformers(Setting(era=era), None))[-1]
    return Sight(repository=repository, era=era, transformers=transformers, releases=tuple(releases))


def settings_refusal(repository: Repository) -> str:
    """Why the newest release refuses the settings of a repository, whatever its weights.

    Empty if it does not, and where embaudit cannot tell.
    """
    sight = _newest_sight(repository, ERAS[-1])
    try:
        for place in places_of(repository, sight.era):
            judged = _judged(sight, place)
            if judged is not None and judged.outcome is Outcome.REFUSED:
                return judged.reason
        list(check_config(sight))
        list(_checked_tokenizers(sight, list(places_of(repository, sight.era))))
    except FormatError as error:
        return _refused(error).reasons[0]
    except CannotTellError:
        return ""
    return ""


def _judged(sight: Sight, place: Place) -> Judgement | None:
    """What the settings of one module mean for its load."""
    match place.type.takes:
        case Takes.STATE:
            return place.type.judge(read_settings(sight, place, may_lack=sight.era.settings_may_lack))
        case Takes.TRANSFORMER if not place.by_default:
            read_settings(sight, place, may_lack=True)
        case Takes.NOTHING:
            normalize_settings(sight, place)
        case Takes.ROUTES:
            routes_of(read_settings(sight, place, may_lack=False), place)
    return None


@attrs.define
class _Run:
    """Loads, and the neighbouring releases of transformers with which they come out."""

    loads: list[PredictedLoad]
    releases: list[Version]

    def does(self, loads: list[PredictedLoad]) -> bool:
        """Whether these loads are the same, wherever it can be read that they come out so."""
        return [attrs.evolve(load, sources=()) for load in self.loads] == [
            attrs.evolve(load, sources=()) for load in loads
        ]

    def extend(self, loads: list[PredictedLoad], releases: list[Version]) -> None:
        """Take in the releases of the next era, which do the same."""
        self.releases.extend(releases)
        self.loads = [
            attrs.evolve(old, sources=tuple(dict.fromkeys((*old.sources, *new.sources))))
            for old, new in zip(self.loads, loads, strict=True)
        ]

    def named(self) -> Iterator[PredictedLoad]:
        """The loads, each with what it stands on."""
        first, last = self.releases[0], self.releases[-1]
        versions = f"=={first}" if first == last else f">={first},<={last}"
        for load in self.loads:
            more = f", {load.beneath}" if load.beneath else ""
            yield attrs.evolve(load, beneath=f"transformers{versions}{more}")


def _transformers(
    setting: Setting[SentenceTransformersEra], wanted: SpecifierSet | None
) -> Iterator[tuple[Setting[TransformersEra], list[Version]]]:
    """Each era of transformers that the package may stand on, with the releases of it, oldest first."""
    allowed = setting.era.transformers & (wanted or SpecifierSet())
    others = {name: versions for name, versions in setting.beneath.items() if name != "transformers"}
    for era in TRANSFORMERS.eras:
        releases = _releases_of(allowed & era.versions)
        if releases:
            yield Setting(era=era, beneath=others), list(releases)


@lru_cache(maxsize=1024)
def _releases_of(versions: SpecifierSet) -> tuple[Version, ...]:
    """The releases of transformers that are known, or the one that is named."""
    return tuple(versions.filter(TRANSFORMERS.releases)) or tuple(_pinned(versions))


def _pinned(versions: SpecifierSet) -> Iterator[Version]:
    """The release that `==` names, if it is none of those that are known."""
    named = (Version(each.version) for each in versions if each.operator == "==" and "*" not in each.version)
    yield from (version for version in named if versions.contains(version, prereleases=True))


def _finished(
    weights: set[str], pipeline: EmbeddingPipeline, era: SentenceTransformersEra, load: PredictedLoad
) -> PredictedLoad:
    """The load with its pipeline, the weight files that it leaves alone, and where the era can be read."""
    is_refused = load.outcome is Outcome.REFUSED
    failure = (pipeline.failure,) if pipeline.failure and not is_refused else ()
    return attrs.evolve(
        load,
        pipeline=None if is_refused else pipeline,
        reasons=(*load.reasons, *failure),
        ignored_files=tuple(sorted(weights - set(load.files))),
        sources=tuple(dict.fromkeys((*era.sources, *load.sources))),
    )


@attrs.define(kw_only=True)
class _Plan:
    """The modules of a repository, in one era; what does not depend on transformers is looked at once.

    Attributes:
        steps: The modules, and in place of the first that embaudit cannot follow what comes of it.
        shared: What modules do that do not depend on transformers.
    """

    steps: tuple[Place | PredictedLoad, ...]
    shared: dict[Place, list[PredictedLoad]] = attrs.field(factory=dict)

    def loads(self, sight: Sight) -> Iterator[PredictedLoad]:
        """What the model as a whole does, module after module up to the first that is refused."""
        places = [step for step in self.steps if isinstance(step, Place)]
        ended = [[step] for step in self.steps if isinstance(step, PredictedLoad)]
        own: dict[Place, list[PredictedLoad]] = {}
        modules = [self._module(sight, place, own) for place in places]
        yield from join_alternatives(
            [
                *name_loads(places, modules, sight.repository),
                *ended,
                _guarded(lambda _: _named(places), sight),
                _guarded(check_config, sight),
                _guarded(lambda sight: _checked_tokenizers(sight, places), sight),
            ]
        )

    def pipeline(self, sight: Sight) -> EmbeddingPipeline:
        """What the model makes of a text, which does not depend on transformers."""
        ended = [step for step in self.steps if isinstance(step, PredictedLoad)]
        if ended:
            return unknown(" ".join(ended[0].reasons))
        return pipeline_of(sight, [step for step in self.steps if isinstance(step, Place)])

    def _module(
        self, sight: Sight, place: Place, own: dict[Place, list[PredictedLoad]]
    ) -> list[PredictedLoad]:
        """What one module may do; hostile entries may name one large module again and again."""
        known = own if place.type.takes in _ON_TRANSFORMERS else self.shared
        nameless = attrs.evolve(place, name="")
        if nameless not in known:
            known[nameless] = load_module(sight, nameless)
        return known[nameless]


_ON_TRANSFORMERS = {Takes.TRANSFORMER, Takes.ROUTES}


def _named(places: list[Place]) -> Iterator[PredictedLoad]:
    check_names(places)
    yield make_load(Outcome.FAITHFUL)


_FIRST_WITHOUT_NUMBERS = Version("5.0.0")
"""transformers makes the tokenizers that are like BERT's itself since, and takes no number for true."""


def _checked_tokenizers(sight: Sight, places: list[Place]) -> Iterator[PredictedLoad]:
    declaration = sight.repository.declaration
    takes_numbers = sight.transformers.era.since < _FIRST_WITHOUT_NUMBERS
    for place in places:
        if place.type.takes is not Takes.TRANSFORMER:
            continue
        path = place.path("tokenizer_config.json")
        if path in sight.repository.snapshot.files:
            object_document(sight.repository, path)
        settings = {} if place.by_default else read_settings(sight, place, may_lack=True)
        if settings.get("tokenizer_name_or_path") is None:
            options = tokenizer_options(settings)
            check_tokenizer(declaration, place.folder, options, takes_numbers=takes_numbers)
            if takes_numbers:
                _check_numbers(declaration, place, options)
            if settings.get("max_seq_length") is None and "model_max_length" not in options:
                check_length(declaration, place.folder, options)
    yield make_load(Outcome.FAITHFUL)


def _check_numbers(declaration: Declaration, place: Place, options: Mapping[str, JSON]) -> None:
    try:
        check_tokenizer(declaration, place.folder, options)
    except FormatError as error:
        reason = f"Whether this transformers takes the number depends on tokenizer.json ({error})."
        raise CannotTellError(reason) from error


def _steps(places: Iterator[Place]) -> Iterator[Place | PredictedLoad]:
    try:
        yield from places
    except FormatError as error:
        yield _refused(error)
    except CannotTellError as error:
        yield make_load(Outcome.UNKNOWN, str(error))


def _refused(error: FormatError) -> PredictedLoad:
    # The place of an error grows from names that the repository chose.
    place = f"{shown_path(error.where)}: " if error.where else ""
    return make_load(Outcome.REFUSED, f"{place}{error.problem}.")


def _guarded(work: Callable[[Sight], Iterator[PredictedLoad]], sight: Sight) -> list[PredictedLoad]:
    try:
        return list(work(sight))
    except FormatError as error:
        return [_refused(error)]
    except CannotTellError as error:
        return [make_load(Outcome.UNKNOWN, str(error))]


def load_module(sight: Sight, place: Place, depth: int = 0) -> list[PredictedLoad]:
    """What one module may do."""
    if place.type.takes is Takes.ROUTES:
        return _guarded(lambda sight: _load_routes(sight, place, depth), sight)
    return _guarded(lambda sight: _LOADS[place.type.takes](sight, place), sight)


def _load_routes(sight: Sight, place: Place, depth: int) -> Iterator[PredictedLoad]:
    """Every module of a Router; those that no route leads to are loaded as well."""
    if depth >= _DEPTH:
        raise CannotTellError(f"embaudit does not follow {depth} modules inside one another.")
    routes = routes_of(read_settings(sight, place, may_lack=False), place)
    modules = []
    for name, path in routes.items():
        inner = Place(
            type=resolve_class(path, sight.repository, sight.era), folder=take_folder(place.path(name))
        )
        loads = load_module(sight, inner, depth + 1)
        is_model = inner.type.takes is Takes.TRANSFORMER
        modules.append([with_prefix(load, inner.folder) for load in loads] if is_model else loads)
    yield from join_alternatives(modules)


_LOADS: dict[Takes, Callable[[Sight, Place], Iterator[PredictedLoad]]] = {
    Takes.TRANSFORMER: load_transformer,
    Takes.STATE: load_state,
    Takes.NOTHING: load_nothing,
    Takes.STATIC_TABLE: load_static_table,
    Takes.WORD_TABLE: load_word_table,
    Takes.UNFOLLOWED: load_unfollowed,
}
