# What type checkers see: `__init__.py` loads the same names when they are first used.

from embaudit.diffing import diff_snapshots as diff_snapshots
from embaudit.embeddings import PROBE_TEXTS as PROBE_TEXTS
from embaudit.embeddings import check_server as check_server
from embaudit.embeddings import compare_embeddings as compare_embeddings
from embaudit.embeddings import compare_probes as compare_probes
from embaudit.embeddings import diagnose as diagnose
from embaudit.embeddings import load_probe as load_probe
from embaudit.embeddings import probe as probe
from embaudit.embeddings import save_probe as save_probe
from embaudit.errors import BudgetError as BudgetError
from embaudit.errors import EmbauditError as EmbauditError
from embaudit.errors import FormatError as FormatError
from embaudit.errors import LimitError as LimitError
from embaudit.errors import NoContentError as NoContentError
from embaudit.errors import RefusedError as RefusedError
from embaudit.errors import SourceError as SourceError
from embaudit.errors import TargetError as TargetError
from embaudit.errors import UnavailableError as UnavailableError
from embaudit.errors import UnknownCommitError as UnknownCommitError
from embaudit.errors import UsageError as UsageError
from embaudit.gating import DownloadError as DownloadError
from embaudit.gating import GateError as GateError
from embaudit.gating import gate as gate
from embaudit.locking import load_lock as load_lock
from embaudit.locking import lock as lock
from embaudit.locking import save_lock as save_lock
from embaudit.locking import verify as verify
from embaudit.mapping import map_tensors as map_tensors
from embaudit.model.checkpoint import Checkpoint as Checkpoint
from embaudit.model.checkpoint import CheckpointFormat as CheckpointFormat
from embaudit.model.checkpoint import Oddity as Oddity
from embaudit.model.checkpoint import PickleGlobal as PickleGlobal
from embaudit.model.checkpoint import PickleSummary as PickleSummary
from embaudit.model.checkpoint import ShardIndex as ShardIndex
from embaudit.model.comparison import EmbeddingComparison as EmbeddingComparison
from embaudit.model.comparison import Relation as Relation
from embaudit.model.comparison import Rounding as Rounding
from embaudit.model.declaration import BadDocument as BadDocument
from embaudit.model.declaration import Declaration as Declaration
from embaudit.model.diagnosis import Cause as Cause
from embaudit.model.diagnosis import Diagnosis as Diagnosis
from embaudit.model.diagnosis import Hypothesis as Hypothesis
from embaudit.model.diagnosis import Verdict as Verdict
from embaudit.model.diff import FieldChange as FieldChange
from embaudit.model.diff import FileChange as FileChange
from embaudit.model.diff import FileRename as FileRename
from embaudit.model.diff import SnapshotDiff as SnapshotDiff
from embaudit.model.dtypes import DType as DType
from embaudit.model.embedding_pipeline import DenseLayer as DenseLayer
from embaudit.model.embedding_pipeline import EmbeddingPipeline as EmbeddingPipeline
from embaudit.model.embedding_pipeline import PoolingMode as PoolingMode
from embaudit.model.files import CacheState as CacheState
from embaudit.model.files import CommitInfo as CommitInfo
from embaudit.model.files import FarReader as FarReader
from embaudit.model.files import FileEntry as FileEntry
from embaudit.model.files import FileKind as FileKind
from embaudit.model.files import FileState as FileState
from embaudit.model.files import FlaggedFile as FlaggedFile
from embaudit.model.files import History as History
from embaudit.model.files import HubState as HubState
from embaudit.model.files import Lineage as Lineage
from embaudit.model.files import Reader as Reader
from embaudit.model.files import Snapshot as Snapshot
from embaudit.model.files import Span as Span
from embaudit.model.findings import Finding as Finding
from embaudit.model.findings import Severity as Severity
from embaudit.model.findings import Skipped as Skipped
from embaudit.model.findings import Where as Where
from embaudit.model.limits import DEFAULT_LIMITS as DEFAULT_LIMITS
from embaudit.model.limits import Limits as Limits
from embaudit.model.lock import Lock as Lock
from embaudit.model.lock import LockedCheckpoint as LockedCheckpoint
from embaudit.model.lock import LockedCode as LockedCode
from embaudit.model.lock import LockedFile as LockedFile
from embaudit.model.lock import LockedProbe as LockedProbe
from embaudit.model.lock import LockedTensor as LockedTensor
from embaudit.model.outdated import LoaderMove as LoaderMove
from embaudit.model.outdated import ModelState as ModelState
from embaudit.model.outdated import Movement as Movement
from embaudit.model.outdated import Outdated as Outdated
from embaudit.model.policy import PickleRule as PickleRule
from embaudit.model.policy import Policy as Policy
from embaudit.model.policy import RemoteCodeRule as RemoteCodeRule
from embaudit.model.policy import WaivedFinding as WaivedFinding
from embaudit.model.policy import Waiver as Waiver
from embaudit.model.prediction import DuplicateKey as DuplicateKey
from embaudit.model.prediction import LoadPrediction as LoadPrediction
from embaudit.model.prediction import MismatchedKey as MismatchedKey
from embaudit.model.prediction import MisreadKey as MisreadKey
from embaudit.model.prediction import Outcome as Outcome
from embaudit.model.prediction import PredictedLoad as PredictedLoad
from embaudit.model.probe import Behaviour as Behaviour
from embaudit.model.probe import Probe as Probe
from embaudit.model.probe import ProbeDrift as ProbeDrift
from embaudit.model.probe import ServerCheck as ServerCheck
from embaudit.model.probe import ServerInfo as ServerInfo
from embaudit.model.probe import ServerMismatch as ServerMismatch
from embaudit.model.record import Cost as Cost
from embaudit.model.tensor_map import Agreement as Agreement
from embaudit.model.tensor_map import Comparison as Comparison
from embaudit.model.tensor_map import Depth as Depth
from embaudit.model.tensor_map import TensorMap as TensorMap
from embaudit.model.tensor_map import TensorPair as TensorPair
from embaudit.model.tensor_map import TiedName as TiedName
from embaudit.model.tensors import TensorInfo as TensorInfo
from embaudit.model.weight_formats import WeightFormat as WeightFormat
from embaudit.pipeline import audit as audit
from embaudit.policies import find_policy as find_policy
from embaudit.policies import parse_policy as parse_policy
from embaudit.policies import read_policy as read_policy
from embaudit.predicting import predict_load as predict_load
from embaudit.reading import open_checkpoint as open_checkpoint
from embaudit.report import AuditReport as AuditReport
from embaudit.report import FindingsError as FindingsError
from embaudit.sources import open_snapshot as open_snapshot
from embaudit.watching import outdated as outdated

__version__: str
__all__ = [
    "DEFAULT_LIMITS",
    "PROBE_TEXTS",
    "Agreement",
    "AuditReport",
    "BadDocument",
    "Behaviour",
    "BudgetError",
    "CacheState",
    "Cause",
    "Checkpoint",
    "CheckpointFormat",
    "CommitInfo",
    "Comparison",
    "Cost",
    "DType",
    "Declaration",
    "DenseLayer",
    "Depth",
    "Diagnosis",
    "DownloadError",
    "DuplicateKey",
    "EmbauditError",
    "EmbeddingComparison",
    "EmbeddingPipeline",
    "FarReader",
    "FieldChange",
    "FileChange",
    "FileEntry",
    "FileKind",
    "FileRename",
    "FileState",
    "Finding",
    "FindingsError",
    "FlaggedFile",
    "FormatError",
    "GateError",
    "History",
    "HubState",
    "Hypothesis",
    "LimitError",
    "Limits",
    "Lineage",
    "LoadPrediction",
    "LoaderMove",
    "Lock",
    "LockedCheckpoint",
    "LockedCode",
    "LockedFile",
    "LockedProbe",
    "LockedTensor",
    "MismatchedKey",
    "MisreadKey",
    "ModelState",
    "Movement",
    "NoContentError",
    "Oddity",
    "Outcome",
    "Outdated",
    "PickleGlobal",
    "PickleRule",
    "PickleSummary",
    "Policy",
    "PoolingMode",
    "PredictedLoad",
    "Probe",
    "ProbeDrift",
    "Reader",
    "RefusedError",
    "Relation",
    "RemoteCodeRule",
    "Rounding",
    "ServerCheck",
    "ServerInfo",
    "ServerMismatch",
    "Severity",
    "ShardIndex",
    "Skipped",
    "Snapshot",
    "SnapshotDiff",
    "SourceError",
    "Span",
    "TargetError",
    "TensorInfo",
    "TensorMap",
    "TensorPair",
    "TiedName",
    "UnavailableError",
    "UnknownCommitError",
    "UsageError",
    "Verdict",
    "WaivedFinding",
    "Waiver",
    "WeightFormat",
    "Where",
    "audit",
    "check_server",
    "compare_embeddings",
    "compare_probes",
    "diagnose",
    "diff_snapshots",
    "find_policy",
    "gate",
    "load_lock",
    "load_probe",
    "lock",
    "map_tensors",
    "open_checkpoint",
    "open_snapshot",
    "outdated",
    "parse_policy",
    "predict_load",
    "probe",
    "read_policy",
    "save_lock",
    "save_probe",
    "verify",
]
