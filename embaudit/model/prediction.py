"""What a loader would do with a repository: a value for each behaviour, and the versions that show it."""

import enum
from collections.abc import Mapping

import attrs

from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.frozen import FrozenMapping, frozen_mapping
from embaudit.model.shown import Tabular


class Outcome(str, enum.Enum):
    """What comes of a load, the most harmful first."""

    CORRUPT = "corrupt"
    """It loads, with wrong values."""
    INCOMPLETE = "incomplete"
    """It loads, and tensors that embeddings depend on stay at random values or are not applied."""
    UNKNOWN = "unknown"
    """embaudit cannot tell, and says why."""
    REFUSED = "refused"
    """It ends in an error."""
    FAITHFUL = "faithful"
    """Every tensor that embeddings depend on, with the right values."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class MismatchedKey:
    """A tensor that is stored in another shape than the model has.

    Attributes:
        name: As the model names it.
        stored_shape: Sizes in elements in the file, outermost first.
        expected_shape: Sizes in elements in the model.
    """

    name: str
    stored_shape: tuple[int, ...]
    expected_shape: tuple[int, ...]


@attrs.frozen(kw_only=True)
class MisreadKey:
    """A tensor whose values are taken from other bytes than it has, or from the right ones in a wrong way.

    Attributes:
        name: As the file names it.
        file: Path, inside the repository, of the file that holds it.
        reason: What the loader does wrong, one clause.
        byte_to_read: The byte of `file` at which its first element begins.
        byte_read: The byte at which the loader begins. As many bytes follow as the tensor has; they are
            laid out by the tensor's own strides.
    """

    name: str
    file: str
    reason: str
    byte_to_read: int
    byte_read: int


@attrs.frozen(kw_only=True)
class DuplicateKey:
    """Stored tensors that become one and the same tensor of the model.

    Attributes:
        name: As the model names it.
        stored: The names in the files, sorted.
        winner: The one of them whose values the model gets.
    """

    name: str
    stored: tuple[str, ...]
    winner: str


@attrs.frozen(kw_only=True)
class PredictedLoad(Tabular):
    """What some versions of one loader would do.

    Attributes:
        loader: The loader's name.
        versions: The releases that do so, as a specifier: `>=1.0.0,<=1.6.1`, `==1.5.0`.
        backend: Which of the loader's engines (`cuda`, `cpu`), where it has several.
        beneath: The libraries that it stands on and what was taken for granted of them:
            `transformers>=5.0.0,<=5.23.0`. Empty where nothing depends on it.
        outcome: What comes of it.
        files: The files that the model's tensors, of the transformer and of every other module, come from;
            of shards the index too. Sorted.
        ignored_files: Weight files that it does not open, sorted.
        missing_keys: Tensors that the model has and the files lack, sorted; they stay at random values, or
            are why it refuses. Named as the loader reports them.
        unfilled_keys: Tensors of the model on which embeddings depend, which get no values, and which the
            loader does not report as missing; sorted.
        unexpected_keys: Stored tensors that the model does not take, sorted, named as the loader reports them
            or would.
        mismatched_keys: Tensors stored in another shape, by name.
        renamed_keys: Stored name to loaded name, for those that the loader renames on the way. Where one
            stored tensor is split, the loaded names are joined by ` + `.
        duplicate_keys: Tensors of the model for which several are stored, by name.
        misread_keys: Tensors that come out with wrong values, by name.
        harmless_keys: Those of the missing and unexpected keys on which no embedding depends: poolers,
            heads, buffers. Sorted.
        pipeline: What it makes of a text, apart from the weights; None where it refuses, and where embaudit
            has not looked.
        dtype: Type in which the model computes (`float32`), or None if that is not known.
        silent: Whether the loader says nothing on its default log level although something goes wrong that
            is not harmless: it misreads tensors, leaves them at random values, or drops them. False where
            nothing goes wrong, and where it refuses.
        extrapolated: Whether the version is none of the releases that are known, and is taken to do what its
            neighbours do.
        reasons: Why, one sentence each. Empty for a plain faithful load.
        sources: Where it can be read that the loader does so: URLs with version or commit.
    """

    loader: str
    versions: str = ""
    backend: str = ""
    beneath: str = ""
    outcome: Outcome
    files: tuple[str, ...] = ()
    ignored_files: tuple[str, ...] = ()
    missing_keys: tuple[str, ...] = ()
    unfilled_keys: tuple[str, ...] = ()
    unexpected_keys: tuple[str, ...] = ()
    mismatched_keys: tuple[MismatchedKey, ...] = ()
    renamed_keys: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    duplicate_keys: tuple[DuplicateKey, ...] = ()
    misread_keys: tuple[MisreadKey, ...] = ()
    harmless_keys: tuple[str, ...] = ()
    pipeline: EmbeddingPipeline | None = None
    dtype: str | None = None
    silent: bool = False
    extrapolated: bool = False
    reasons: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class LoadPrediction(PredictedLoad):
    """What one loader would do, in the versions asked for: the most harmful behaviour, and every other.

    Attributes:
        asked: The question, as it was asked: `tei[cuda]==1.5.0`.
        version: The versions asked for, as a specifier; empty for all that are known.
        eras: One for each behaviour among those versions and backends, oldest first, this one included.
    """

    asked: str = ""
    version: str = ""
    eras: tuple[PredictedLoad, ...] = ()
