"""Snapshots to facts: every stage that reads, in order, and why a fact could not be had.

What a file of the repository does wrong becomes a fact about that file; only what the caller must handle is
raised.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

from embaudit.diffing.lineage import Relation, relate
from embaudit.diffing.snapshots import diff_related
from embaudit.errors import WITHHELD, LimitError, RefusedError, SourceError
from embaudit.loaders import LoaderRequest, ask_loader
from embaudit.mapping import map_tensors
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.diff import SnapshotDiff
from embaudit.model.facts import (
    Absent,
    ComparedValues,
    ContentCheck,
    Fact,
    Facts,
    LastCommits,
    LoadChange,
    LoadChanges,
    Loads,
    OnHub,
    UnreadableFile,
    ValueScans,
    WeightContents,
)
from embaudit.model.files import FileEntry, FileState, History, HoldingReader, Lineage, Snapshot
from embaudit.model.limits import Limits
from embaudit.model.policy import Policy
from embaudit.model.prediction import LoadPrediction
from embaudit.model.refs import is_commit
from embaudit.model.repository import Repository
from embaudit.model.tensor_map import Agreement, Depth, TensorMap
from embaudit.model.weight_forms import weight_forms
from embaudit.model.weights import same_model_pairs
from embaudit.reading import UNREADABLE, read_repository, unreadable
from embaudit.values import file_digest, git_blob_sha1, scan_many

MAX_DATED_FILES = 500
"""Files whose last commits are asked for. The largest sharded models have 200 files in each of two forms,
and a clone is asked about one after another."""


@attrs.frozen(kw_only=True)
class Collector:
    """Runs the stages that turn snapshots into facts, with the settings that all of them share."""

    depth: Depth
    loaders: tuple[LoaderRequest, ...] = ()
    policy: Policy | None = None
    limits: Limits
    progress: Callable[[int], None] | None

    def collect(self, snapshot: Snapshot, other: Snapshot | None) -> Facts:
        """Every fact that can be had, and why the others cannot."""
        repository = self._read(snapshot)
        predictions = self._predict(repository)
        found = [*self._snapshot_facts(repository, predictions)]
        found += [*_policy_facts(repository, self.policy)]
        found += [*_history_facts(snapshot, found)]
        found += self._diff_facts(snapshot, other, predictions)
        # A file that cannot be read is told once, however many stages meet it.
        gathered = tuple(_once(found))
        return Facts(
            known=tuple(fact for fact in gathered if not isinstance(fact, Absent)),
            absent=tuple(fact for fact in gathered if isinstance(fact, Absent)),
        )

    def _read(self, snapshot: Snapshot) -> Repository:
        """The snapshot that is audited; at depth full all is had at hand: it is hashed, scanned, compared."""
        if self.depth is Depth.FULL and isinstance(snapshot.reader, HoldingReader):
            snapshot.reader.hold(snapshot.files)
        return self._headers(snapshot)

    def _headers(self, snapshot: Snapshot) -> Repository:
        """Settings and headers; exactly where values are going to be read, all of them or those of pairs."""
        has_pairs = self.depth is Depth.SAMPLED and bool(weight_forms(snapshot.files).pairs)
        return read_repository(snapshot, self.limits, exact=self.depth is Depth.FULL or has_pairs)

    def _predict(self, repository: Repository) -> tuple[LoadPrediction, ...]:
        return tuple(ask_loader(repository, request) for request in self.loaders)

    def _snapshot_facts(
        self, repository: Repository, predictions: tuple[LoadPrediction, ...]
    ) -> Iterator[Fact | Absent]:
        yield from _repository_facts(repository)
        yield from predictions
        if predictions:
            yield Loads(predictions=predictions)
        else:
            yield Absent(kind=LoadPrediction, reason=_NO_LOADER)
            yield Absent(kind=Loads, reason=_NO_LOADER)
        yield from self._format_facts(repository.checkpoints)
        yield from self._content_facts(repository.snapshot, repository.checkpoints)

    def _format_facts(self, checkpoints: Mapping[str, Checkpoint]) -> Iterator[Fact | Absent]:
        for left, right in same_model_pairs(checkpoints):
            try:
                tensors = self._map(checkpoints[left], checkpoints[right])
            except WITHHELD:
                raise
            except UNREADABLE as error:
                yield unreadable(_culprit(error, checkpoints[left], checkpoints[right]), error)
                yield Absent(kind=TensorMap, reason=f"{left} and {right} were not compared: {error}")
                yield Absent(kind=ComparedValues, reason=f"{left} and {right} were not compared: {error}")
                continue
            yield tensors
            if self.depth is Depth.HEADERS and not tensors.tells_values:
                yield Absent(kind=ComparedValues, reason="depth headers reads no values")
            else:
                yield ComparedValues(tensors=tensors)

    def _map(self, left: Checkpoint, right: Checkpoint) -> TensorMap:
        return map_tensors(left, right, depth=self.depth, limits=self.limits, progress=self.progress)

    def _content_facts(
        self, snapshot: Snapshot, checkpoints: Mapping[str, Checkpoint]
    ) -> Iterator[Fact | Absent]:
        if self.depth is not Depth.FULL:
            reason = f"depth {self.depth} does not read whole files"
            yield Absent(kind=ContentCheck, reason=reason)
            yield Absent(kind=ValueScans, reason=reason)
            return
        yield from self._content_checks(snapshot)
        for checkpoint in checkpoints.values():
            try:
                yield self._scan(checkpoint)
            except WITHHELD:
                raise
            except UNREADABLE as error:
                yield unreadable(checkpoint.name, error)
                yield Absent(kind=ValueScans, reason=f"the values of {checkpoint.name} were not read")

    def _scan(self, checkpoint: Checkpoint) -> ValueScans:
        if checkpoint.reader is None:
            raise SourceError(f"{checkpoint.name} comes without a way to read it")
        jobs = tuple((tensor, checkpoint.reader) for tensor in checkpoint.tensors.values())
        scans = scan_many(jobs, limits=self.limits, progress=self.progress)
        notable = (scan for scan in scans if not scan.is_finite or scan.n_beyond_float16)
        return ValueScans(checkpoint=checkpoint.name, scans=tuple(notable))

    def _content_checks(self, snapshot: Snapshot) -> Iterator[Fact | Absent]:
        for entry in snapshot.files.values():
            if entry.identity is None or entry.state is not FileState.PRESENT:
                continue
            try:
                yield _checked(snapshot, entry)
            except WITHHELD:
                raise
            except UNREADABLE as error:
                yield unreadable(entry.path, error)
                yield Absent(kind=ContentCheck, reason=f"{entry.path} was not read")

    def _diff_facts(
        self, snapshot: Snapshot, other: Snapshot | None, predictions: tuple[LoadPrediction, ...]
    ) -> Iterator[Fact | Absent]:
        """What changed, told from the older to the newer one where the sources know the order."""
        if other is None:
            reason = "no other snapshot was given to compare with"
            yield Absent(kind=SnapshotDiff, reason=reason)
            yield Absent(kind=LoadChanges, reason=reason)
            return
        yield from _hub_facts(other, is_target=False)
        old, new, relation = _in_order(snapshot, other)
        diff = diff_related(old, new, relation, depth=self.depth, limits=self.limits, progress=self.progress)
        yield diff
        yield self._load_changes(diff, {id(snapshot): predictions})

    def _load_changes(
        self, diff: SnapshotDiff, known: Mapping[int, tuple[LoadPrediction, ...]]
    ) -> LoadChanges | Absent:
        """What becomes of every loader; `known` has what is predicted already, by the snapshot's identity.

        What loaders do with the files that were downloaded of a commit says nothing of the commit, so it is
        predicted anew for all of it.
        """
        if not self.loaders:
            return Absent(kind=LoadChanges, reason=_NO_LOADER)
        if diff.not_at_hand or _lacks_files(diff.old) or _lacks_files(diff.new):
            return Absent(kind=LoadChanges, reason="a download may lack files that its commit has")
        try:
            olds, news = (
                known.get(id(side)) or self._predict(self._headers(side)) for side in (diff.old, diff.new)
            )
        except RefusedError as error:
            return Absent(kind=LoadChanges, reason=f"the other snapshot was withdrawn: {error}")
        pairs = zip(olds, news, strict=True)
        return LoadChanges(changes=tuple(LoadChange(before=old, after=new) for old, new in pairs))


def _lacks_files(snapshot: Snapshot) -> bool:
    """Whether a file of its commit is known not to be at hand."""
    return any(entry.state is FileState.ABSENT for entry in snapshot.files.values())


_NO_LOADER = "no loader was asked about"


def _repository_facts(repository: Repository) -> Iterator[Fact | Absent]:
    yield repository.snapshot
    yield from _hub_facts(repository.snapshot, is_target=True)
    yield repository.declaration
    yield repository.weights
    for name in repository.weights.checkpoints:
        if name in repository.checkpoints:
            yield repository.checkpoints[name]
        elif name in repository.unreadable:
            yield repository.unreadable[name]
            yield Absent(kind=Checkpoint, reason=f"{name} was not read")
        else:
            # Told of the snapshot already: EMB006, EMB007, EMB021.
            yield Absent(kind=Checkpoint, reason=f"{name} is not at hand")


def _policy_facts(repository: Repository, policy: Policy | None) -> Iterator[Fact]:
    """What rules about a policy ask for; the model card is read only if it names licences."""
    if policy is None:
        return
    yield policy
    yield WeightContents(checkpoints=tuple(repository.checkpoints.values()), unread=dict(_unread(repository)))
    if policy.licences is not None:
        # Here, and not above: PyYAML takes longer to import than all policies, and few of them need it.
        from embaudit.reading.model_cards import read_model_card  # noqa: PLC0415

        yield read_model_card(repository.snapshot)


def _unread(repository: Repository) -> Iterator[tuple[str, str]]:
    """Weight files that were not read, and why; what was not downloaded enters nothing."""
    files = repository.snapshot.files
    for name in repository.weights.checkpoints:
        if name in repository.unreadable:
            yield name, repository.unreadable[name].problem
        elif name not in repository.checkpoints and files[name].state is not FileState.ABSENT:
            yield name, f"it is not at hand ({files[name].state})"
    for path in repository.weights.orphan_shards:
        if files[path].state is not FileState.ABSENT:
            yield path, "no index claims it"


def _hub_facts(snapshot: Snapshot, *, is_target: bool) -> Iterator[OnHub]:
    if snapshot.hub is not None:
        yield OnHub(snapshot=snapshot, hub=snapshot.hub, is_target=is_target)


def _history_facts(snapshot: Snapshot, found: Iterable[Fact | Absent]) -> Iterator[Fact | Absent]:
    """Which commits the weights come from, where there are several forms of them to tell apart."""
    files = weight_forms(snapshot.files).files
    history: object = snapshot.reader
    if not files:
        yield Absent(kind=LastCommits, reason="the snapshot holds its weights in one form")
    elif not isinstance(history, History):
        yield Absent(kind=LastCommits, reason=f"a {snapshot.source} does not know the history of its files")
    elif len(files) > MAX_DATED_FILES:
        yield Absent(kind=LastCommits, reason=f"the weights are in {len(files)} files, too many to ask about")
    else:
        same = tuple(
            (fact.tensors.left, fact.tensors.right)
            for fact in found
            if isinstance(fact, ComparedValues) and _is_proven(fact.tensors)
        )
        try:
            yield LastCommits(commits=history.last_commits(files), same_values=same)
        except (SourceError, LimitError) as error:
            reason = f"the history of the files is not known: {error}"
            yield Absent(kind=LastCommits, reason=reason, unanswered=True)


def _is_proven(tensors: TensorMap) -> bool:
    """Whether all values of two checkpoints were compared and are identical."""
    return tensors.same_model and all(pair.values is Agreement.IDENTICAL for pair in tensors.pairs)


def _checked(snapshot: Snapshot, entry: FileEntry) -> ContentCheck:
    """The digest that the source lists for a file, beside that of the bytes."""
    if snapshot.reader is None or entry.size is None:
        raise SourceError(f"{entry.path} comes without a way to read it")
    by_sha256 = entry.sha256 is not None
    digest = file_digest if by_sha256 else git_blob_sha1
    return ContentCheck(
        path=entry.path,
        algorithm="sha256" if by_sha256 else "git-sha1",
        claimed=entry.identity or "",
        computed=digest(snapshot.reader, entry.path, entry.size),
    )


def _once(facts: Iterable[Fact | Absent]) -> Iterator[Fact | Absent]:
    told: set[UnreadableFile] = set()
    for fact in facts:
        if isinstance(fact, UnreadableFile):
            if fact in told:
                continue
            told.add(fact)
        yield fact


def _culprit(error: Exception, left: Checkpoint, right: Checkpoint) -> str:
    """Which of two checkpoints an error is about: it names the file."""
    names_right = any(file in str(error) for file in (right.name, *right.files))
    return right.name if names_right else left.name


def _in_order(snapshot: Snapshot, other: Snapshot) -> tuple[Snapshot, Snapshot, Relation]:
    """The older of two snapshots, the newer one, and how they lie; without an order the other one is older.

    The history is asked once, in the direction that is the likelier one: a long way back takes many requests.
    """
    guess = _is_newer(other, snapshot) or _is_likely_newer(other, snapshot)
    relation = relate(snapshot, other) if guess else relate(other, snapshot)
    lineage = relation.lineage or Lineage()
    has_order = bool(lineage.ahead) != bool(lineage.behind)
    other_is_new = guess != relation.is_backwards if has_order else _is_newer(other, snapshot)
    old, new = (snapshot, other) if other_is_new else (other, snapshot)
    return old, new, relation if other_is_new == guess else relation.turned()


def _is_likely_newer(candidate: Snapshot, snapshot: Snapshot) -> bool:
    """Whether `candidate` is on the hub, whose branches are usually ahead of downloads and pinned commits."""
    if candidate.source != _HUB or snapshot.source != _HUB:
        return candidate.source == _HUB
    return is_commit(snapshot.revision) and not is_commit(candidate.revision)


_HUB = "hub"


def _is_newer(candidate: Snapshot, snapshot: Snapshot) -> bool:
    """Whether the source of `snapshot` places `candidate` after it."""
    later = {known.commit for known in snapshot.newer}
    return candidate.commit is not None and candidate.commit in later
