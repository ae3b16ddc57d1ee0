"""What `config_sentence_transformers.json` decides about a load, beyond the kind of model: whether it ends.

Knows default prompts, functions of similarity and requirements. Refuses to know what is installed, but for
transformers.
"""

from collections.abc import Iterator, Mapping

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from embaudit.errors import FormatError
from embaudit.formats.fields import OBJECT, expect, inside, kind_of_value, quoted, quoted_value
from embaudit.loaders.sentence_transformers.eras import SentenceTransformersEra
from embaudit.loaders.sentence_transformers.joining import make_load
from embaudit.loaders.sentence_transformers.judging import CannotTellError
from embaudit.loaders.sentence_transformers.loading import Sight, object_document
from embaudit.loaders.sentence_transformers.places import CONFIG, follows_modules
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.prediction import Outcome, PredictedLoad


def check_config(sight: Sight) -> Iterator[PredictedLoad]:
    """Whether the load ends in an error because of what the repository declares.

    Raises:
        FormatError: If it does.
        CannotTellError: If that depends on what is installed.
    """
    if CONFIG in sight.repository.snapshot.files and follows_modules(sight.repository, sight.era):
        config = object_document(sight.repository, CONFIG)
        if sight.era.default_prompts is not None:
            _check_prompts(config, sight.era)
        if sight.era.refuses_similarities:
            _check_similarity(config.get("similarity_fn_name"))
        if sight.era.requirements:
            _check_requirements(config.get("requirements"), sight)
    yield make_load(Outcome.FAITHFUL)


def _check_prompts(config: Mapping[str, JSON], era: SentenceTransformersEra) -> None:
    known = era.default_prompts or ()
    declared = config.get("prompts", FrozenMapping[JSON]())
    with inside(CONFIG):
        is_passed_over = not declared and not era.looks_through_prompts
        prompts = FrozenMapping[JSON]() if is_passed_over else expect(declared, OBJECT, "prompts")
    for name in known:
        text = prompts.get(name, "")
        if isinstance(text, int | float) or (text is None and era.measures_null_prompts):
            raise FormatError(f"the prompt {quoted(name)} is {kind_of_value(text)}", CONFIG)
    default = config.get("default_prompt_name")
    if default is not None and not (isinstance(default, str) and (default in known or default in prompts)):
        shown = quoted(default) if isinstance(default, str) else repr(default)[:80]
        raise FormatError(f"the default prompt {shown} is none of the prompts", CONFIG)


SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
"""Functions by which vectors can be compared; the first is that of models that name none."""


def _check_similarity(named: JSON) -> None:
    if named is not None and named not in SIMILARITIES:
        raise FormatError(f"there is no function of similarity {quoted_value(named)}", CONFIG)


_N_REQUIREMENTS = 100
_LONGEST_REQUIREMENT = 1000
"""Requirements, and characters of one, that are followed; what is longer is none of a real model."""


def _specifiers(text: str) -> SpecifierSet:
    if len(text) > _LONGEST_REQUIREMENT:
        raise CannotTellError(f"embaudit does not follow the requirement {quoted(text)}.")
    return SpecifierSet(text)


def _check_requirements(requirements: JSON, sight: Sight) -> None:
    """Hold what the repository asks for against what is known; what cannot be understood is passed over."""
    if not isinstance(requirements, Mapping):
        return
    if len(requirements) > _N_REQUIREMENTS:
        raise CannotTellError(f"embaudit does not follow {len(requirements)} requirements.")
    for package, asked in requirements.items():
        text = asked.get("specifier", "") if isinstance(asked, Mapping) else asked
        try:
            versions = _specifiers(text) if isinstance(text, str) else None
        except InvalidSpecifier:
            versions = None
        if versions is not None:
            _check_requirement(package, versions, sight)


def _check_requirement(package: str, versions: SpecifierSet, sight: Sight) -> None:
    asked = f"{quoted(package)} {quoted(str(versions))}"
    if package != "transformers":
        raise CannotTellError(f"The repository requires {asked}; whether that is installed is not known.")
    fitting = [release for release in sight.releases if versions.contains(release, prereleases=True)]
    if not fitting:
        raise FormatError(f"requires {asked}", CONFIG)
    if len(fitting) < len(sight.releases):
        raise CannotTellError(f"The repository requires {asked}, which not all of these releases are.")
