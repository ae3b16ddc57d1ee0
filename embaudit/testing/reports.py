"""Reports made by hand, ordinary and hostile: for tests of renderers and of programs that read reports."""

from typing import Any

from embaudit.model.checkpoint import Checkpoint, Oddity, PickleSummary
from embaudit.model.declaration import Declaration
from embaudit.model.diff import FieldChange, FileRename, SnapshotDiff
from embaudit.model.files import CommitInfo
from embaudit.model.findings import Finding, Severity, Skipped, Where
from embaudit.model.policy import Policy, WaivedFinding, Waiver
from embaudit.model.prediction import Outcome
from embaudit.model.record import Cost
from embaudit.model.tensor_map import Depth, TensorMap, TiedName
from embaudit.report import AuditReport
from embaudit.testing.facts import (
    COMMIT_A,
    make_checkpoint,
    make_entry,
    make_load,
    make_pair,
    make_prediction,
    make_snapshot,
)


def make_finding(code: str = "EMB106", severity: Severity = Severity.ERROR, **fields: Any) -> Finding:
    """A finding about a weight file, unless `fields` say otherwise."""
    defaults: dict[str, Any] = {"message": "It differs.", "where": Where(path="pytorch_model.bin")}
    return Finding(**{**defaults, "code": code, "severity": severity, **fields})


def make_report(*findings: Finding, **fields: Any) -> AuditReport:
    """A report of these findings about an empty folder, unless `fields` say otherwise."""
    defaults: dict[str, Any] = {
        "target": "./my-model",
        "source": "folder",
        "depth": Depth.HEADERS,
        "created": "2026-01-01T00:00:00+00:00",
        "tool_version": "1.2.3",
        "cost": Cost(requests=1, bytes_read=2, seconds=0.5),
    }
    return AuditReport(**{**defaults, "findings": findings, **fields})


def report_of(text: str, *, repo_id: str | None = None) -> AuditReport:
    """A report in which every text that can come from a repository or a policy is `text`."""
    entry = make_entry(text, detail=text)
    finding = make_finding(
        message=text,
        where=Where(path=text, tensor=text, field=text),
        loader=text,
        evidence={text: {text: [text, {text: text}]}},
        remedy=text,
    )
    quoting = make_finding("EMB107", message=f"`{text}` is {text!r} is {text}")
    waiver = Waiver(code="EMB106", reason=text or "accepted", path=text, tensor=text, loader=text)
    return make_report(
        finding,
        quoting,
        target=text,
        source="hub" if repo_id else "folder",
        repo_id=repo_id,
        revision=text,
        against=text,
        files={text: entry},
        declaration=Declaration(documents=_documents(text)),
        checkpoints={text: _checkpoint(text)},
        mappings=(_tensor_map(text),),
        loads=(make_prediction(make_load(Outcome.REFUSED, files=(text,), reasons=(text,), dtype=text)),),
        diff=_diff(text),
        policy=Policy(source=text, waivers=(waiver,)),
        waived=(WaivedFinding(finding=finding, waiver=waiver),),
        skipped=(Skipped(code="EMB001", reason=text),),
    )


def _documents(text: str) -> dict[str, Any]:
    return {
        "config.json": {
            "model_type": text,
            "architectures": [text],
            "auto_map": {"AutoModel": f"{text}--{text}.{text}"},
        },
        text: {text: text},
    }


def _checkpoint(text: str) -> Checkpoint:
    return make_checkpoint(
        (text,),
        name=text,
        metadata={text: text},
        state_dict=text,
        tied=(frozenset({text, "b"}),),
        pickle=PickleSummary(protocol=2, tensor_only=False, reasons=(text,)),
        oddities=(Oddity(file=text, problem=text),),
    )


def _tensor_map(text: str) -> TensorMap:
    return TensorMap(
        left=text,
        right=text,
        depth=Depth.FULL,
        pairs=(make_pair(text, renamed_by=text),),
        only_left=(text,),
        only_right=(text,),
        tied=(TiedName(name=text, tied_to=text, side="left"),),
    )


def _diff(text: str) -> SnapshotDiff:
    entry = make_entry(text)
    commit = CommitInfo(commit=COMMIT_A, title=text, date=text)
    change = FieldChange(file=text, field=text, old=text, new=[text], affects_embeddings=True, why=text)
    return SnapshotDiff(
        old=make_snapshot((entry,)),
        new=make_snapshot((entry,)),
        added=(entry,),
        removed=(entry,),
        renamed=(FileRename(old_path=text, new_path=text, kind=entry.kind),),
        uncompared=(text,),
        commits=(commit,),
        lost_commits=(commit,),
        unknown_commit=text,
        field_changes=(change,),
        tensors=(_tensor_map(text),),
        notes=(text,),
    )
