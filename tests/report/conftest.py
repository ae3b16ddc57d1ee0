"""Reports that the tests of several renderers share."""

from datetime import date

import pytest

from embaudit.demo import run_demo
from embaudit.model.declaration import Declaration
from embaudit.model.diff import FieldChange, SnapshotDiff
from embaudit.model.findings import Severity, Skipped, Where
from embaudit.model.policy import Policy, WaivedFinding, Waiver
from embaudit.model.prediction import Outcome
from embaudit.report import AuditReport
from embaudit.testing.facts import (
    COMMIT_A,
    COMMIT_B,
    make_checkpoint,
    make_entry,
    make_load,
    make_prediction,
    make_snapshot,
)
from embaudit.testing.reports import make_finding, make_report


@pytest.fixture(scope="session")
def demo_report() -> AuditReport:
    """The report of the demonstration: a real audit with loads and a diff."""
    return run_demo().report


@pytest.fixture
def small_report() -> AuditReport:
    """A report with something in every part of it, and a name that is not plain."""
    waiver = Waiver(code="EMB107", reason="Read by nothing of ours.", expires=date(2027, 1, 31))
    change = FieldChange(file="config.json", field="hidden_act", old="gelu", new="relu",
                         affects_embeddings=True, why="it is the activation")  # fmt: skip
    files = (
        make_entry("config.json", git_sha1="1" * 40),
        make_entry("pytorch_model.bin", sha256="2" * 64, size=4096),
    )
    return make_report(
        make_finding(
            "EMB110",
            message="1 of 2 tensors begins inside a storage: candle 0.8.4 reads `layer|0` from byte 8,192.",
            where=Where(path="pytorch_model.bin", tensor="layer|0"),
            evidence={"n_tensors": 1, "affected": ["candle>=0.3.3,<=0.8.4"]},
            remedy="Serve a revision with `model.safetensors`.",
        ),
        make_finding("EMB204", Severity.WARNING, loader="tei==1.5.0", message="It is refused."),
        make_finding("EMB003", Severity.INFO, where=Where(field="commit"), message="The branch moved."),
        target="cache:org/name@main",
        source="cache",
        repo_id="org/name",
        revision="main",
        commit=COMMIT_A,
        against="org/name",
        files={entry.path: entry for entry in files},
        declaration=Declaration(documents={"config.json": _config()}),
        checkpoints={"pytorch_model.bin": make_checkpoint(("layer|0", "layer|1"))},
        loads=(make_prediction(make_load(Outcome.REFUSED), version="==5.0.0"),),
        diff=SnapshotDiff(
            old=make_snapshot(commit=COMMIT_A),
            new=make_snapshot(commit=COMMIT_B),
            added=(make_entry("model.safetensors"),),
            field_changes=(change,),
        ),
        policy=Policy(fail_on=Severity.WARNING),
        waived=(WaivedFinding(finding=make_finding("EMB107"), waiver=waiver),),
        skipped=(Skipped(code="EMB026", reason="the snapshot holds its weights in one form"),),
        asked=("EMB101", "EMB110"),
    )


def _config() -> dict[str, object]:
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": 32,
        "auto_map": {"AutoModel": "org/code--modeling.Model"},
    }
