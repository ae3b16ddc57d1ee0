"""Audit the weight files of embedding models before they enter a notebook, a pipeline or a service.

How data flows, one call an arrow, in `embaudit.pipeline`:

    target            "cache:org/name@revision", a folder, PATH@revision of a git clone
      |  sources      where bytes come from
    Snapshot          one commit and its file listing
      |  reading      bytes to headers and documents; nothing is unpickled or executed
      +-> Declaration    what the repository says: config, modules, pooling, tokenizer
      +-> Checkpoint     what the bytes are: a table of tensors, from headers alone
      |  mapping, diffing, values
      +-> TensorMap      which tensor is which between two checkpoints, and whether their values agree
      +-> SnapshotDiff   what changed between two snapshots
      |  architectures, loaders
      +-> LoadPrediction what one loader, at one version, would do with it
      |  rules
    Finding, Skipped  what was found, and what could not be asked
      |
    AuditReport       all of it, as text, JSON or HTML

Example:
    >>> import tempfile, embaudit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = embaudit.audit(folder)
    >>> [finding.code for finding in report.findings]
    ['EMB108', 'EMB002']

`import embaudit` loads nothing else: each name comes in when it is first used. torch and numpy come in when
tensor values are looked at, and an audit that reads headers only never does that. Values know nothing of how
they are rendered; what a notebook shows of them is joined here.
"""

from importlib import import_module
from typing import Any

from embaudit.version import VERSION

__version__ = VERSION

_HOMES = {
    "embaudit.diffing": ("diff_snapshots",),
    "embaudit.embeddings": (
        "PROBE_TEXTS",
        "check_server",
        "compare_embeddings",
        "compare_probes",
        "diagnose",
        "load_probe",
        "probe",
        "save_probe",
    ),
    "embaudit.errors": (
        "BudgetError",
        "EmbauditError",
        "FormatError",
        "LimitError",
        "NoContentError",
        "RefusedError",
        "SourceError",
        "TargetError",
        "UnavailableError",
        "UnknownCommitError",
        "UsageError",
    ),
    "embaudit.gating": ("DownloadError", "GateError", "gate"),
    "embaudit.locking": ("load_lock", "lock", "save_lock", "verify"),
    "embaudit.mapping": ("map_tensors",),
    "embaudit.model.checkpoint": (
        "Checkpoint",
        "CheckpointFormat",
        "Oddity",
        "PickleGlobal",
        "PickleSummary",
        "ShardIndex",
    ),
    "embaudit.model.comparison": ("EmbeddingComparison", "Relation", "Rounding"),
    "embaudit.model.declaration": ("BadDocument", "Declaration"),
    "embaudit.model.diagnosis": ("Cause", "Diagnosis", "Hypothesis", "Verdict"),
    "embaudit.model.diff": ("FieldChange", "FileChange", "FileRename", "SnapshotDiff"),
    "embaudit.model.dtypes": ("DType",),
    "embaudit.model.embedding_pipeline": ("DenseLayer", "EmbeddingPipeline", "PoolingMode"),
    "embaudit.model.files": (
        "CacheState",
        "CommitInfo",
        "FarReader",
        "FileEntry",
        "FileKind",
        "FileState",
        "FlaggedFile",
        "History",
        "HubState",
        "Lineage",
        "Reader",
        "Snapshot",
        "Span",
    ),
    "embaudit.model.findings": ("Finding", "Severity", "Skipped", "Where"),
    "embaudit.model.limits": ("DEFAULT_LIMITS", "Limits"),
    "embaudit.model.lock": (
        "Lock",
        "LockedCheckpoint",
        "LockedCode",
        "LockedFile",
        "LockedProbe",
        "LockedTensor",
    ),
    "embaudit.model.outdated": ("LoaderMove", "ModelState", "Movement", "Outdated"),
    "embaudit.model.policy": ("PickleRule", "Policy", "RemoteCodeRule", "WaivedFinding", "Waiver"),
    "embaudit.model.prediction": (
        "DuplicateKey",
        "LoadPrediction",
        "MismatchedKey",
        "MisreadKey",
        "Outcome",
        "PredictedLoad",
    ),
    "embaudit.model.probe": (
        "Behaviour",
        "Probe",
        "ProbeDrift",
        "ServerCheck",
        "ServerInfo",
        "ServerMismatch",
    ),
    "embaudit.model.record": ("Cost",),
    "embaudit.model.tensor_map": ("Agreement", "Comparison", "Depth", "TensorMap", "TensorPair", "TiedName"),
    "embaudit.model.tensors": ("TensorInfo",),
    "embaudit.model.weight_formats": ("WeightFormat",),
    "embaudit.pipeline": ("audit",),
    "embaudit.policies": ("find_policy", "parse_policy", "read_policy"),
    "embaudit.predicting": ("predict_load",),
    "embaudit.reading": ("open_checkpoint",),
    "embaudit.report": ("AuditReport", "FindingsError"),
    "embaudit.sources": ("open_snapshot",),
    "embaudit.watching": ("outdated",),
}
"""The public names by the module that defines them; `__init__.pyi` tells type checkers the same."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - one list of the names is enough


class _Shower:
    """Lets values show themselves with the renderers, which come in when the first one does."""

    def html_of(self, value: object) -> Any:
        return import_module("embaudit.report.notebook").html_of(value)

    def text_of(self, value: object) -> Any:
        return import_module("embaudit.report.notebook").text_of(value)

    def frame_of(self, value: object) -> Any:
        return import_module("embaudit.report.frames").frame_of(value)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'embaudit' has no attribute {name!r}")
    import_module("embaudit.model.shown").show_with(_Shower())
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
