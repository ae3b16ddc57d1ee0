"""Which files of an audited snapshot whoever uses the model needs.

Judged by the audit alone: what each loader was predicted to read, what kind of file each is, what the policy
says of code. Refuses to know how files are fetched.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from embaudit.model.files import FileEntry, FileKind, FileState
from embaudit.model.policy import DEFAULT_POLICY, RemoteCodeRule
from embaudit.model.prediction import LoadPrediction
from embaudit.model.weight_forms import weight_forms
from embaudit.report import AuditReport

_READ_WHOLE = frozenset({FileKind.CONFIG, FileKind.TOKENIZER, FileKind.POOLING})
_WEIGHTS = frozenset({FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX})
_EVERY_WEIGHT = _WEIGHTS | {FileKind.FOREIGN_WEIGHTS}
_DOCUMENTS = frozenset({"readme", "license", "licence", "notice"})
"""sentence-transformers keeps the README as the model's card, and a licence goes where its files go."""
_TEXTS = frozenset({"", ".md", ".txt"})
_NEVER_READ = frozenset(
    {
        *(".csv", ".tsv", ".parquet", ".arrow", ".jsonl", ".npy", ".npz"),
        *(".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".zst", ".7z", ".rar"),
        *(".gif", ".svg", ".webp", ".jpeg", ".mp4", ".ipynb", ".log"),
    }
)
"""Endings of data, archives and pictures, which no loader of a model opens. A vocabulary may have any other
name, and a loader that lacks one may take another in silence, so that whatever is not known goes along."""


def files_to_use(report: AuditReport) -> tuple[str, ...]:
    """The files that the loaders which were asked about read, sorted; without loaders, what any would.

    Weights: those that were predicted to be read, in any version that was asked about; for a loader of which
    that is not known, every weight file of every program. Without a loader each model once, in the form that
    loaders prefer, and no exports for other programs. No state of a training, no pictures and data.
    """
    weights = frozenset(_weights(report))
    return tuple(sorted(path for path, entry in report.files.items() if _is_used(report, entry, weights)))


def _is_used(report: AuditReport, entry: FileEntry, weights: frozenset[str]) -> bool:
    if entry.path in weights or entry.kind in _READ_WHOLE:
        return True
    pure = PurePosixPath(entry.path)
    match entry.kind:
        case FileKind.CODE:
            policy = DEFAULT_POLICY if report.policy is None else report.policy
            return policy.remote_code is not RemoteCodeRule.FORBIDDEN
        case FileKind.DOCS:
            return pure.stem.lower() in _DOCUMENTS and pure.suffix.lower() in _TEXTS
        case FileKind.OTHER:
            return pure.suffix.lower() not in _NEVER_READ
        case _:
            return False


def _weights(report: AuditReport) -> Iterator[str]:
    for load in report.loads:
        yield from _read_by(load) or _at_hand(report.files, _EVERY_WEIGHT)
    if not report.loads:
        doubled = {path for other, _ in weight_forms(report.files).pairs for path in other.files}
        yield from (path for path in _at_hand(report.files, _WEIGHTS) if path not in doubled)


def _read_by(load: LoadPrediction) -> frozenset[str]:
    """The files that a loader reads in any of the versions that were asked about."""
    return frozenset(path for each in (load, *load.eras) for path in each.files)


def _at_hand(files: Mapping[str, FileEntry], kinds: frozenset[FileKind]) -> tuple[str, ...]:
    """The files of some kinds that can be read."""
    return tuple(
        path for path, entry in files.items() if entry.kind in kinds and entry.state is FileState.PRESENT
    )
