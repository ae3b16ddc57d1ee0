"""The commands that look at repositories: audit, diff, inspect, map, predict, demo."""

import os
import sys
from pathlib import Path

import click

from embaudit.cli.frame import (
    DEPTH,
    FAIL_ON,
    FINDINGS,
    FORMAT,
    LOADER,
    OUTPUT,
    PASSED,
    POLICY,
    REPORT_FORMAT,
    cli,
    progress,
    write,
)
from embaudit.demo import run_demo
from embaudit.diffing import diff_snapshots
from embaudit.errors import UsageError
from embaudit.mapping import map_tensors
from embaudit.model.prediction import Outcome
from embaudit.pipeline import audit
from embaudit.predicting import predict_load
from embaudit.reading import open_checkpoint
from embaudit.report import AuditReport
from embaudit.report.codec import render_json
from embaudit.report.loads import render_prediction
from embaudit.report.text import MAX_ROWS, render_checkpoint, render_diff, render_map, render_text


@cli.command("audit")
@click.argument("target")
@click.option("--revision", help="Branch, tag or commit, where TARGET does not name it.")
@click.option("--against", metavar="TARGET", help="Another snapshot of the same model to compare with.")
@LOADER
@DEPTH
@click.option(
    "--ignore", multiple=True, metavar="CODE", help="A rule not to ask, or the beginning of codes: EMB1."
)
@POLICY
@REPORT_FORMAT
@FAIL_ON
@OUTPUT
def audit_command(
    target: str,
    revision: str | None,
    against: str | None,
    loaders: tuple[str, ...],
    depth: str,
    ignore: tuple[str, ...],
    policy: Path | None,
    form: str,
    fail_on: str | None,
    output: Path | None,
) -> None:
    """Audit TARGET.

    A TARGET is org/name@revision on the hub, a folder, cache:org/name@revision, or PATH@revision of a clone.
    """
    with progress(depth) as advance:
        report = audit(
            target,
            revision=revision,
            against=against,
            loaders=loaders,
            depth=depth,
            policy=policy,
            ignore=ignore,
            progress=advance,
        )
    write(in_form(report, form, output, fail_on=fail_on), output)
    sys.exit(PASSED if report.passed(fail_on) else FINDINGS)


@cli.command("diff")
@click.argument("old")
@click.argument("new")
@DEPTH
@FORMAT
@OUTPUT
def diff_command(old: str, new: str, depth: str, form: str, output: Path | None) -> None:
    """Show what changed from the snapshot OLD to the snapshot NEW; exit with 1 if anything did."""
    with progress(depth) as advance:
        diff = diff_snapshots(old, new, depth=depth, progress=advance)
    write(render_json(diff) if form == "json" else render_diff(diff), output)
    sys.exit(FINDINGS if diff.differs else PASSED)


@cli.command("inspect")
@click.argument("target")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="List every tensor, however many there are.")
@FORMAT
@OUTPUT
def inspect_command(target: str, name: str | None, every: bool, form: str, output: Path | None) -> None:
    """List the tensors of a weight file, or of the file NAME of a snapshot, from its header alone."""
    checkpoint = open_checkpoint(target, name)
    max_rows = len(checkpoint.tensors) if every else MAX_ROWS
    shown = render_json(checkpoint) if form == "json" else render_checkpoint(checkpoint, max_rows=max_rows)
    write(shown, output)


@cli.command("map")
@click.argument("left")
@click.argument("right")
@DEPTH
@FORMAT
@OUTPUT
def map_command(left: str, right: str, depth: str, form: str, output: Path | None) -> None:
    """Pair the tensors of two weight files; exit with 1 if they do not hold the same model."""
    with progress(depth) as advance:
        tensors = map_tensors(left, right, depth=depth, progress=advance)
    write(render_json(tensors) if form == "json" else render_map(tensors), output)
    sys.exit(PASSED if tensors.same_model else FINDINGS)


@cli.command("predict")
@click.argument("target")
@click.option("--revision", help="Branch, tag or commit, where TARGET does not name it.")
@LOADER
@FORMAT
@OUTPUT
def predict_command(
    target: str, revision: str | None, loaders: tuple[str, ...], form: str, output: Path | None
) -> None:
    """Tell what loaders would do with TARGET; exit with 1 unless every load is faithful."""
    if not loaders:
        raise UsageError("name a loader: --loader transformers, --loader 'tei==1.5.0'")
    predictions = [predict_load(target, loader, revision=revision) for loader in loaders]
    if form == "json":
        shown = render_json(predictions)
    else:
        shown = "\n".join(render_prediction(each, max_rows=MAX_ROWS) for each in predictions)
    write(shown, output)
    faithful = all(each.outcome is Outcome.FAITHFUL for each in predictions)
    sys.exit(PASSED if faithful else FINDINGS)


@cli.command("demo")
@REPORT_FORMAT
@OUTPUT
def demo_command(form: str, output: Path | None) -> None:
    """Rebuild a real incident in a temporary folder, offline, and audit it."""
    demo = run_demo()
    shown = in_form(demo.report, form, output)
    write(f"{demo.story}\n\n{shown}\n{demo.explanation}\n" if form == "text" else shown, output)


def in_form(
    report: AuditReport,
    form: str,
    output: Path | None,
    *,
    coloured: bool = True,
    fail_on: str | None = None,
) -> str:
    """The report in a form; coloured only where it may be, and goes to a terminal that shows colours."""
    if form == "text":
        return render_text(report, colour=coloured and output is None and _is_coloured())
    return report.render(form, fail_on=fail_on)


def _is_coloured() -> bool:
    """By the conventions of https://no-color.org: a terminal, and no NO_COLOR that is set and not empty."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
