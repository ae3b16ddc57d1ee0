"""The facts that rules are asked about, each a type of its own: a rule's signature is its needs."""

from collections.abc import Mapping
from typing import TypeVar

import attrs

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.declaration import Declaration, ModelCard
from embaudit.model.diff import SnapshotDiff
from embaudit.model.files import CommitInfo, HubState, Snapshot
from embaudit.model.frozen import FrozenMapping, frozen_mapping
from embaudit.model.lock import LockDrift, ServedDrift
from embaudit.model.policy import Policy, RecordedAudit, WaiverUse
from embaudit.model.prediction import LoadPrediction
from embaudit.model.tensor_map import TensorMap
from embaudit.model.values import ValueScan


@attrs.frozen(kw_only=True)
class WeightFiles:
    """Which weight files a snapshot holds, told from its listing.

    Attributes:
        checkpoints: Names that are a checkpoint of their own: single files and shard indexes.
        orphan_shards: Files named like shards that no index claims.
    """

    checkpoints: tuple[str, ...] = ()
    orphan_shards: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class OnHub:
    """A snapshot of the hub, with what the hub says of it.

    Attributes:
        snapshot: The snapshot; its `hub` is there.
        hub: What the hub says.
        is_target: Whether it is what is audited, and not what that is compared with.
    """

    snapshot: Snapshot
    hub: HubState
    is_target: bool = True


@attrs.frozen(kw_only=True)
class UnreadableFile:
    """A weight file whose header could not be read.

    Attributes:
        path: Path inside the repository.
        problem: What is wrong, and where in the file.
        limit: The limit that it exceeds; empty if it is malformed.
        no_content: Whether it is listed without a content: the hub lacks its LFS object.
    """

    path: str
    problem: str
    limit: str = ""
    no_content: bool = False


@attrs.frozen(kw_only=True)
class WeightContents:
    """All weights of a snapshot: those whose headers were read, and why the others were not.

    Attributes:
        checkpoints: Those that were read.
        unread: Path to the reason, for weight files that are there and were not read, shards that no index
            claims among them.
    """

    checkpoints: tuple[Checkpoint, ...] = ()
    unread: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)


@attrs.frozen(kw_only=True)
class ComparedValues:
    """A map that tells of values: they were compared, or the files' checksums were.

    Attributes:
        tensors: The map.
    """

    tensors: TensorMap


@attrs.frozen(kw_only=True)
class ContentCheck:
    """A file whose content was hashed and compared with the digest that its source claims.

    Attributes:
        path: Path inside the repository.
        algorithm: `sha256` or `git-sha1`.
        claimed: Hex digest that the source gives.
        computed: Hex digest of the bytes.
    """

    path: str
    algorithm: str
    claimed: str
    computed: str


@attrs.frozen(kw_only=True)
class ValueScans:
    """What a look at every value of a checkpoint found.

    Attributes:
        checkpoint: Its name.
        scans: One for each tensor that holds a value that is not finite, or would not be in float16.
    """

    checkpoint: str
    scans: tuple[ValueScan, ...] = ()


@attrs.frozen(kw_only=True)
class Loads:
    """What every loader that was asked about would do: for questions about several of them.

    Attributes:
        predictions: In the order in which they were asked.
    """

    predictions: tuple[LoadPrediction, ...] = ()


@attrs.frozen(kw_only=True)
class LastCommits:
    """Which commit last changed each weight file, where the snapshot has weights in several forms.

    Attributes:
        commits: Path to commit; what the history does not tell is left out.
        same_values: Pairs of checkpoints, by name, whose values were all compared and are identical.
    """

    commits: Mapping[str, CommitInfo] = attrs.field(converter=frozen_mapping)
    same_values: tuple[tuple[str, str], ...] = ()


@attrs.frozen(kw_only=True)
class LoadChange:
    """What one loader would do with the older and with the newer of two snapshots.

    Attributes:
        before: With the older one.
        after: With the newer one.
    """

    before: LoadPrediction
    after: LoadPrediction


@attrs.frozen(kw_only=True)
class LoadChanges:
    """What becomes of every loader that was asked about, from the older to the newer of two snapshots.

    Attributes:
        changes: In the order in which the loaders were asked about.
    """

    changes: tuple[LoadChange, ...] = ()


Fact = (
    Snapshot
    | Declaration
    | OnHub
    | WeightFiles
    | Checkpoint
    | UnreadableFile
    | TensorMap
    | ComparedValues
    | SnapshotDiff
    | ContentCheck
    | ValueScans
    | LoadPrediction
    | Loads
    | LastCommits
    | LoadChanges
    | LockDrift
    | ServedDrift
    | Policy
    | WeightContents
    | ModelCard
    | RecordedAudit
    | WaiverUse
)
"""The closed union of what a rule may ask for."""

F = TypeVar("F", bound=Fact)


@attrs.frozen(kw_only=True)
class Absent:
    """A fact that could not be had, and why.

    Attributes:
        kind: Its type.
        reason: Why, one clause.
        unanswered: Whether it was wanted and could not be had, and no finding tells of it; see `Skipped`.
    """

    kind: type[Fact]
    reason: str
    unanswered: bool = False


@attrs.frozen(kw_only=True)
class Facts:
    """Everything that one audit learned, and what it could not learn.

    Attributes:
        known: The facts, in the order in which they were found.
        absent: What is missing.
    """

    known: tuple[Fact, ...] = ()
    absent: tuple[Absent, ...] = ()

    def every(self, kind: type[F]) -> tuple[F, ...]:
        """The known facts of one type, in order."""
        return tuple(fact for fact in self.known if isinstance(fact, kind))

    def one(self, kind: type[F]) -> F | None:
        """The first known fact of one type, or None."""
        return next(iter(self.every(kind)), None)
