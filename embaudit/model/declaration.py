"""What a repository says about its model, in the small JSON files that it carries."""

from collections.abc import Mapping

import attrs

from embaudit.model.frozen import JSON, FrozenMapping, freeze_object


@attrs.frozen(kw_only=True)
class BadDocument:
    """A JSON file of the repository that is not as it should be.

    Attributes:
        path: Path inside the repository.
        problem: What is wrong and where in the file.
        usable: Whether it was used all the same: lenient readers take it.
    """

    path: str
    problem: str
    usable: bool = False


@attrs.frozen(kw_only=True)
class Declaration:
    """The settings that a repository declares.

    Attributes:
        documents: Path to parsed JSON, for the configuration, pooling and small tokenizer files.
        bad: Files that should be JSON and are not, are too large, or hold something other than settings; and,
            marked as usable, those that only lenient readers take.
    """

    documents: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object)
    bad: tuple[BadDocument, ...] = ()

    @property
    def config(self) -> Mapping[str, JSON]:
        """The root `config.json`, or an empty mapping."""
        config = self.documents.get("config.json")
        return config if isinstance(config, Mapping) else FrozenMapping()

    @property
    def model_type(self) -> str | None:
        """`model_type` of `config.json`: `bert`, `xlm-roberta`, ..."""
        value = self.config.get("model_type")
        return value if isinstance(value, str) else None


@attrs.frozen(kw_only=True)
class ModelCard:
    """What the head of a repository's `README.md` says of its licence.

    Attributes:
        path: Path of the card inside the repository.
        licences: Identifiers as they are written under `license`: `apache-2.0`, `other`.
        licence_name: What `license_name` says, where the identifier is `other`.
        problem: Why the licence is not known, one clause; empty if it is, or if none is declared.
    """

    path: str
    licences: tuple[str, ...] = ()
    licence_name: str = ""
    problem: str = ""
