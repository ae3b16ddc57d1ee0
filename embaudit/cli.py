"""The command line: each command parses, makes one call, writes one string, and returns an exit code.

Exit codes: 0 passed, 1 findings at or above the threshold (or, for `diff` and `map`, a difference), 2 usage,
3 could not be audited.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
from tqdm import tqdm

from embaudit.demo import run_demo
from embaudit.diffing import diff_snapshots
from embaudit.errors import EmbauditError, UsageError
from embaudit.mapping import map_tensors
from embaudit.model.findings import Severity
from embaudit.model.prediction import Outcome
from embaudit.model.tensor_map import Depth
from embaudit.pipeline import audit
from embaudit.predicting import predict_load
from embaudit.reading import open_checkpoint
from embaudit.report import FORMATS, AuditReport
from embaudit.report.codec import render_json
from embaudit.report.loads import render_prediction
from embaudit.report.text import MAX_ROWS, render_checkpoint, render_diff, render_map, render_text
from embaudit.report.wording import plain
from embaudit.version import VERSION

PASSED, FINDINGS, USAGE, NOT_AUDITED = 0, 1, 2, 3
"""The exit codes."""

_DEPTH = click.option(
    "--depth",
    type=click.Choice([str(depth) for depth in Depth]),
    default=str(Depth.HEADERS),
    show_default=True,
    help="How much tensor data to read: none, a few KiB of each tensor, or all.",
)
_OUTPUT = click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file instead of the terminal.",
)
_FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the output.",
)
_REPORT_FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Form of the output.",
)
_LOADER = click.option(
    "--loader",
    "loaders",
    multiple=True,
    metavar="LOADER",
    help="What a loader would do: transformers, 'tei==1.5.0', 'sentence-transformers>=5'.",
)
_FAIL_ON = click.option(
    "--fail-on",
    type=click.Choice([str(severity) for severity in Severity]),
    default=str(Severity.ERROR),
    show_default=True,
    help="The mildest severity that makes the exit code 1.",
)


class _Auditing(click.Group):
    """Turns what embaudit raises into one clear line and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except EmbauditError as error:
            click.echo(f"embaudit: {plain(str(error))}", err=True)
            context.exit(USAGE if isinstance(error, UsageError) else NOT_AUDITED)
        except BrokenPipeError:
            # The reader, `head` for one, has seen enough; python would complain once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(NOT_AUDITED)
        except (OSError, KeyboardInterrupt) as error:
            # No space for the output, or an impatient user: not "audited, with findings".
            click.echo(f"embaudit: not finished: {type(error).__name__} {error}".rstrip(), err=True)
            context.exit(NOT_AUDITED)


@click.group(cls=_Auditing, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="embaudit")
def cli() -> None:
    """Tell, before a model enters your code, whether its weight files are what they should be."""


@cli.command("audit")
@click.argument("target")
@click.option("--revision", help="Branch, tag or commit, where TARGET does not name it.")
@click.option("--against", metavar="TARGET", help="Another snapshot of the same model to compare with.")
@_LOADER
@_DEPTH
@click.option(
    "--ignore", multiple=True, metavar="CODE", help="A rule not to ask, or the beginning of codes: EMB1."
)
@_REPORT_FORMAT
@_FAIL_ON
@_OUTPUT
def audit_command(
    target: str,
    revision: str | None,
    against: str | None,
    loaders: tuple[str, ...],
    depth: str,
    ignore: tuple[str, ...],
    form: str,
    fail_on: str,
    output: Path | None,
) -> None:
    """Audit TARGET.

    A TARGET is org/name@revision on the hub, a folder, cache:org/name@revision, or PATH@revision of a clone.
    """
    with _progress(depth) as advance:
        report = audit(
            target,
            revision=revision,
            against=against,
            loaders=loaders,
            depth=depth,
            ignore=ignore,
            progress=advance,
        )
    _write(_shown(report, form, output), output)
    sys.exit(PASSED if report.passed(fail_on) else FINDINGS)


@cli.command("diff")
@click.argument("old")
@click.argument("new")
@_DEPTH
@_FORMAT
@_OUTPUT
def diff_command(old: str, new: str, depth: str, form: str, output: Path | None) -> None:
    """Show what changed from the snapshot OLD to the snapshot NEW; exit with 1 if anything did."""
    with _progress(depth) as advance:
        diff = diff_snapshots(old, new, depth=depth, progress=advance)
    _write(render_json(diff) if form == "json" else render_diff(diff), output)
    sys.exit(FINDINGS if diff.differs else PASSED)


@cli.command("inspect")
@click.argument("target")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="List every tensor, however many there are.")
@_FORMAT
@_OUTPUT
def inspect_command(target: str, name: str | None, every: bool, form: str, output: Path | None) -> None:
    """List the tensors of a weight file, or of the file NAME of a snapshot, from its header alone."""
    checkpoint = open_checkpoint(target, name)
    max_rows = len(checkpoint.tensors) if every else MAX_ROWS
    shown = render_json(checkpoint) if form == "json" else render_checkpoint(checkpoint, max_rows=max_rows)
    _write(shown, output)


@cli.command("map")
@click.argument("left")
@click.argument("right")
@_DEPTH
@_FORMAT
@_OUTPUT
def map_command(left: str, right: str, depth: str, form: str, output: Path | None) -> None:
    """Pair the tensors of two weight files; exit with 1 if they do not hold the same model."""
    with _progress(depth) as advance:
        tensors = map_tensors(left, right, depth=depth, progress=advance)
    _write(render_json(tensors) if form == "json" else render_map(tensors), output)
    sys.exit(PASSED if tensors.same_model else FINDINGS)


@cli.command("predict")
@click.argument("target")
@click.option("--revision", help="Branch, tag or commit, where TARGET does not name it.")
@_LOADER
@_FORMAT
@_OUTPUT
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
    _write(shown, output)
    faithful = all(each.outcome is Outcome.FAITHFUL for each in predictions)
    sys.exit(PASSED if faithful else FINDINGS)


@cli.command("demo")
@_REPORT_FORMAT
@_OUTPUT
def demo_command(form: str, output: Path | None) -> None:
    """Rebuild a real incident in a temporary folder, offline, and audit it."""
    demo = run_demo()
    shown = _shown(demo.report, form, output)
    _write(f"{demo.story}\n\n{shown}\n{demo.explanation}\n" if form == "text" else shown, output)


def _shown(report: AuditReport, form: str, output: Path | None) -> str:
    if form == "text":
        return render_text(report, colour=output is None and _is_coloured())
    return report.render(form)


def _is_coloured() -> bool:
    """By the conventions of https://no-color.org: a terminal, and no NO_COLOR that is set and not empty."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _write(text: str, output: Path | None) -> None:
    ending = "" if text.endswith("\n") else "\n"
    if output is None:
        click.echo(text + ending, nl=False)
        return
    try:
        output.write_text(text + ending, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error


@contextmanager
def _progress(depth: str) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while tensor data is read, on a terminal only."""
    shown = depth != Depth.HEADERS and sys.stderr.isatty()
    with tqdm(unit="B", unit_scale=True, file=sys.stderr, disable=not shown, leave=False) as bar:

        def advance(n_bytes: int) -> None:
            bar.update(n_bytes)

        yield advance


def main() -> NoReturn:
    """Run the command line, and leave with its exit code; a fault of embaudit's own is 3, never 1."""
    try:
        cli()
    except Exception:  # noqa: BLE001 - the last stop: python itself would leave with 1, which means findings
        traceback.print_exc()
        sys.exit(NOT_AUDITED)
    sys.exit(PASSED)
