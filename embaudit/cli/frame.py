"""What every command shares: options, exit codes, how output is written and errors are told."""

import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
from tqdm import tqdm

from embaudit.errors import EmbauditError, UsageError
from embaudit.model.findings import Severity
from embaudit.model.tensor_map import Depth
from embaudit.report import FORMATS
from embaudit.report.wording import plain
from embaudit.version import VERSION

PASSED, FINDINGS, USAGE, NOT_AUDITED = 0, 1, 2, 3
"""The exit codes."""

FILE = click.Path(dir_okay=False, path_type=Path)
"""An option or argument that is a file."""

DEPTH = click.option(
    "--depth",
    type=click.Choice([str(depth) for depth in Depth]),
    default=str(Depth.HEADERS),
    show_default=True,
    help="How much tensor data to read: none, a few KiB of each tensor, or all.",
)
OUTPUT = click.option(
    "--output",
    "-o",
    type=FILE,
    help="Write to a file instead of the terminal.",
)
FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the output.",
)
REPORT_FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Form of the output.",
)
LOADER = click.option(
    "--loader",
    "loaders",
    multiple=True,
    metavar="LOADER",
    help="What a loader would do: transformers, 'tei==1.5.0', 'sentence-transformers>=5'.",
)
FAIL_ON = click.option(
    "--fail-on",
    type=click.Choice([str(severity) for severity in Severity]),
    help="The mildest severity that makes the exit code 1: that of the policy, or error, unless it is given.",
)
POLICY = click.option(
    "--policy",
    type=FILE,
    metavar="FILE",
    help="A TOML file with what TARGET has to comply with, or a pyproject.toml with a table [tool.embaudit].",
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


def write(text: str, output: Path | None) -> None:
    """Write a text to a file, or to the terminal, with a line's end.

    Raises:
        UsageError: If the file cannot be written.
    """
    ending = "" if text.endswith("\n") else "\n"
    if output is None:
        click.echo(text + ending, nl=False)
        return
    try:
        output.write_text(text + ending, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error


@contextmanager
def progress(depth: str) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while tensor data is read, on a terminal only."""
    shown = depth != Depth.HEADERS and sys.stderr.isatty()
    with tqdm(unit="B", unit_scale=True, file=sys.stderr, disable=not shown, leave=False) as bar:

        def advance(n_bytes: int) -> None:
            bar.update(n_bytes)

        yield advance


def main() -> NoReturn:
    """Run the command line, and leave with its exit code; a fault of embaudit's own is 3, never 1."""
    for stream in (sys.stdout, sys.stderr):
        # A name may hold characters that the terminal's encoding lacks: they are told by their numbers.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli()
    except Exception:  # noqa: BLE001 - the last stop: python itself would leave with 1, which means findings
        traceback.print_exc()
        sys.exit(NOT_AUDITED)
    sys.exit(PASSED)
