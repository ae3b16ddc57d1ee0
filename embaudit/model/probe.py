"""What a backend makes of a fixed set of texts, what was observed of it, and how that drifts."""

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from embaudit.errors import UsageError
from embaudit.model.comparison import EmbeddingComparison
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON, FrozenMapping, freeze_object, frozen_mapping
from embaudit.model.shown import Shown


class Wire(str, enum.Enum):
    """The protocol that a server speaks."""

    TEI = "tei"
    """`/info` and `/embed`, as text-embeddings-inference has them."""
    OPENAI = "openai"
    """`/v1/models` and `/v1/embeddings`, as OpenAI has them."""

    def __str__(self) -> str:
        return self.value


class Behaviour(str, enum.Enum):
    """Something that a backend does or does not do, which a single comparison of vectors misses."""

    BATCHES = "batches"
    """A text has the same vector alone as in a batch of texts of other lengths."""
    KEEPS_ORDER = "keeps-order"
    """The vectors come in the order of the texts, whichever way round these are asked for."""
    REPEATS = "repeats"
    """The same request gives the same vectors again."""
    TWINS = "twins"
    """A text that stands twice in a batch has the same vector twice."""
    NORMALIZES = "normalizes"
    """Every vector has length 1."""
    TRUNCATES = "truncates"
    """Texts that differ only after more than 600 words have the same vector."""
    FOLDS_CASE = "folds-case"
    """A text in capitals has the vector of the text in small letters."""
    TELLS_APART = "tells-apart"
    """Different texts have different vectors."""

    def __str__(self) -> str:
        return self.value

    @classmethod
    def parse(cls, word: "str | Behaviour") -> "Behaviour":
        """The behaviour of that name.

        Raises:
            UsageError: If there is none.
        """
        try:
            return cls(word)
        except ValueError:
            raise UsageError(f"{word!r} is not a behaviour; use one of {', '.join(cls)}") from None

    @property
    def is_required(self) -> bool:
        """Whether a backend that does not do it is broken."""
        return self in _REQUIRED


_REQUIRED = frozenset({Behaviour.BATCHES, Behaviour.KEEPS_ORDER, Behaviour.REPEATS, Behaviour.TWINS})

COMPUTED_IN = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16)
"""The types that a backend may be said to compute in."""


@attrs.frozen(kw_only=True)
class Observation:
    """Whether a backend does something, and by how much it fails to.

    Attributes:
        behaviour: What was looked at.
        holds: Whether the backend does it; None if the texts do not tell, or if what differs is rounding or
            not, depending on the type that the backend computes in, which is not known.
        worst: The largest relative L2 distance of two vectors that were to agree; for `normalizes` the
            largest distance of a length from 1. None where rows are told and nothing is measured.
        rows: Texts that show that it does not hold, or may not, as rows of the probe.
        is_widespread: Whether most of the texts show it: of `tells-apart`, that they have one vector.
    """

    behaviour: Behaviour
    holds: bool | None
    worst: float | None = None
    rows: tuple[int, ...] = ()
    is_widespread: bool = False

    @property
    def is_fault(self) -> bool:
        """Whether the backend is broken: it does not do what each must, or tells hardly any texts apart."""
        return self.holds is False and (self.behaviour.is_required or self.is_widespread)


@attrs.frozen(kw_only=True)
class ServerInfo:
    """What a server says of itself.

    Attributes:
        wire: The protocol.
        model_id: The model's name, as the server has it.
        model_sha: The commit of the model, 40 hex digits, if the server knows it.
        dtype: The type that the server computes in, as it spells it.
        pooling: How it pools, as it spells it.
        version: Of the server.
        max_input_length: Tokens of the longest text.
        max_batch: Texts of the largest batch.
        document: All that the server said, as it said it.
    """

    wire: Wire
    model_id: str | None = None
    model_sha: str | None = None
    dtype: str | None = None
    pooling: str | None = None
    version: str | None = None
    max_input_length: int | None = None
    max_batch: int | None = None
    document: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object, repr=False)


@attrs.frozen(kw_only=True)
class RefusedText:
    """A text that a backend does not take.

    Attributes:
        text: The text.
        reason: The backend's own words.
    """

    text: str
    reason: str


def _content(vectors: Any) -> tuple[tuple[int, ...], bytes]:
    return tuple(vectors.shape), bytes(vectors.tobytes())


@attrs.frozen(kw_only=True, hash=False)
class Probe(Shown):
    """What a backend makes of some texts.

    Attributes:
        backend: What was asked, in words without secrets.
        texts: The texts that have vectors.
        vectors: One row for each of them: a read-only numpy array of float32, shape `(texts, dimension)`.
        texts_version: Version of embaudit's own set of texts, if it is that; None for other texts.
        observations: What was observed, in the order of `Behaviour`; empty if nothing was looked at.
        refused: Texts that the backend does not take.
        server: What the server says of itself, if it is one and says something.
        dtype: The type that the backend computes in, as the caller said; None if nobody said so.
    """

    backend: str
    texts: tuple[str, ...] = attrs.field(repr=False)
    vectors: Any = attrs.field(repr=False, eq=_content)
    texts_version: str | None = None
    observations: tuple[Observation, ...] = attrs.field(default=(), repr=False)
    refused: tuple[RefusedText, ...] = attrs.field(default=(), repr=False)
    server: ServerInfo | None = None
    dtype: DType | None = None

    @property
    def dimension(self) -> int:
        """Numbers of one vector."""
        return int(self.vectors.shape[1])

    def observed(self, behaviour: Behaviour | str) -> Observation | None:
        """What was observed of a behaviour, or None if it was not looked at.

        Raises:
            UsageError: If there is no behaviour of that name.
        """
        wanted = Behaviour.parse(behaviour)
        return next((each for each in self.observations if each.behaviour is wanted), None)

    def does(self, behaviour: Behaviour | str) -> bool | None:
        """Whether the backend does something; None if that is not known.

        Raises:
            UsageError: If there is no behaviour of that name.
        """
        observation = self.observed(behaviour)
        return None if observation is None else observation.holds

    @property
    def faults(self) -> tuple[Observation, ...]:
        """What shows that the backend is broken."""
        return tuple(each for each in self.observations if each.is_fault)


@attrs.frozen(kw_only=True)
class ServerMismatch:
    """Something that a server says of itself, and that is otherwise in what it should serve.

    Attributes:
        field: What it is about: `model_id`, `model_sha`, `dtype`, `pooling`, `max_input_length`, `version`.
        expected: What it should be, in words.
        served: What the server says.
        why: What it means for the vectors.
    """

    field: str
    expected: str
    served: str
    why: str


@attrs.frozen(kw_only=True)
class ServerCheck:
    """What a server says of itself, held against what it should serve.

    It proves nothing of the vectors: a server may say what it likes.

    Attributes:
        compared: Fields that were compared.
        mismatches: Those of them that are otherwise.
        not_compared: Name of each field that was not compared, to the reason.
    """

    compared: tuple[str, ...] = ()
    mismatches: tuple[ServerMismatch, ...] = ()
    not_compared: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)

    @property
    def agrees(self) -> bool | None:
        """Whether what was compared is as it should be; None if nothing was compared."""
        return not self.mismatches if self.compared else None


@attrs.frozen(kw_only=True)
class DriftedText:
    """A text whose vector is another one now.

    Attributes:
        text: The text.
        row: Its row in the comparison.
        distance: L2 distance over the longer of both vectors.
        l2: L2 distance.
        cosine: Cosine.
    """

    text: str
    row: int
    distance: float
    l2: float
    cosine: float


@attrs.frozen(kw_only=True)
class ProbeDrift(Shown):
    """How a probe differs from a golden one.

    Attributes:
        texts: The texts that both have vectors of, in the golden order.
        comparison: Their vectors, golden against current.
        tolerance: The relative L2 distance up to which a text did not drift.
        drifted: The texts that did, the farthest first.
        only_golden: Texts that have no vector any more.
        only_current: Texts that had none.
        behaviours: Behaviours that hold now and did not, or the other way round.
        not_compared: Behaviours of which one of the probes does not tell whether they hold.
        faults: What shows that the backend is broken now.
        broken: The behaviours of those faults that the golden probe does not have.
        server: What the server says of itself now and did not: `expected` is the golden value.
    """

    texts: tuple[str, ...] = attrs.field(repr=False)
    comparison: EmbeddingComparison
    tolerance: float
    drifted: tuple[DriftedText, ...] = ()
    only_golden: tuple[str, ...] = ()
    only_current: tuple[str, ...] = ()
    behaviours: tuple[Behaviour, ...] = ()
    not_compared: tuple[Behaviour, ...] = ()
    faults: tuple[Observation, ...] = ()
    broken: tuple[Behaviour, ...] = ()
    server: tuple[ServerMismatch, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every golden text has its vector still, and the backend has no fault that it had not.

        What the server says of itself does not count: only its vectors and how it gives them.
        """
        return not self.drifted and not self.only_golden and not self.broken
