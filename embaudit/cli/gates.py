"""The command that lets a model pass or not: gate."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from embaudit.cli.audits import in_form
from embaudit.cli.frame import (
    DEPTH,
    FILE,
    FINDINGS,
    LOADER,
    OUTPUT,
    PASSED,
    REPORT_FORMAT,
    cli,
    progress,
    write,
)
from embaudit.errors import UsageError
from embaudit.gating import GateError, Place, fetch, gate
from embaudit.locking import load_lock
from embaudit.locks import locked_place
from embaudit.model.lock import Lock
from embaudit.model.policy import Policy
from embaudit.policies import find_policy, read_policy
from embaudit.report import AuditReport
from embaudit.report.wording import plain

_FOLDER = click.Path(file_okay=False, path_type=Path)


@cli.command("gate")
@click.argument("target", required=False)
@click.option(
    "--lock",
    "lock_file",
    type=FILE,
    help="A lock that TARGET must not have drifted from; without TARGET, what was locked, at its commit.",
)
@click.option(
    "--policy",
    "policy_file",
    type=FILE,
    help="The policy, a TOML file. Without it: embaudit.toml, or [tool.embaudit] of pyproject.toml, of the"
    " working directory, else the defaults.",
)
@click.option("--revision", help="Branch, tag or commit, where TARGET does not name it.")
@click.option("--against", metavar="TARGET", help="Another snapshot of the same model to compare with.")
@LOADER
@DEPTH
@REPORT_FORMAT
@OUTPUT
@click.option("--download", is_flag=True, help="Fetch what passed, and print the folder that holds it.")
@click.option("--cache-dir", type=_FOLDER, help="The Hugging Face cache to download to.")
@click.option("--local-dir", type=_FOLDER, help="A folder to download to instead of a cache.")
@click.option("--quiet", "-q", is_flag=True, help="No report and no progress; only why TARGET does not pass.")
def gate_command(
    target: str | None,
    lock_file: Path | None,
    policy_file: Path | None,
    revision: str | None,
    against: str | None,
    loaders: tuple[str, ...],
    depth: str,
    form: str,
    output: Path | None,
    download: bool,
    cache_dir: Path | None,
    local_dir: Path | None,
    quiet: bool,
) -> None:
    """Let TARGET pass if it meets a policy, before a byte of its weights is downloaded.

    What matters first is told in one line on standard error, the report after it. With --download the folder
    alone is on standard output: MODEL=$(embaudit gate TARGET --download). Each --loader has to load TARGET
    faithfully. Exit codes: 0 passes, 1 does not meet the policy, 2 usage, 3 could not be audited or fetched.
    """
    locked = None if lock_file is None else load_lock(lock_file)
    if target is None:
        target = _locked_target(locked)
    policy = _policy(policy_file, locked)
    place = Place.of(target, download=download, cache_dir=cache_dir, local_dir=local_dir)
    report, refusal = _decided(target, policy, locked, revision, against, loaders, depth)
    if refusal or not quiet:
        click.echo(f"embaudit: {plain(refusal or _passes(report))}", err=True)
    if output is not None:
        write(in_form(report, form, output), output)
    elif not quiet:
        click.echo(in_form(report, form, output, coloured=not download), err=download)
    if refusal:
        sys.exit(FINDINGS)
    if place is not None:
        with _bars(shown=not quiet):
            folder = fetch(report, place)
        click.echo(str(folder))
    sys.exit(PASSED)


def _policy(file: Path | None, locked: Lock | None) -> Policy | None:
    """The policy that is named, or went with the lock, or is found."""
    if file is not None:
        return read_policy(file)
    promised = None if locked is None else locked.policy
    return find_policy(Path.cwd()) if promised is None else promised


def _locked_target(locked: Lock | None) -> str:
    if locked is None:
        raise UsageError("name a TARGET, or a lock whose target is meant: --lock embaudit.lock")
    return locked_place(locked)


def _decided(
    target: str,
    policy: Policy | None,
    locked: Lock | None,
    revision: str | None,
    against: str | None,
    loaders: tuple[str, ...],
    depth: str,
) -> tuple[AuditReport, str]:
    """The report, and why the target does not pass; empty if it does."""
    try:
        with progress(depth) as advance:
            report = gate(
                target,
                policy=policy,
                lock=locked,
                revision=revision,
                against=against,
                loaders=loaders,
                depth=depth,
                progress=advance,
            )
    except GateError as error:
        return error.report, str(error)
    return report, ""


def _passes(report: AuditReport) -> str:
    """The good news, with what it is about."""
    commit = "" if report.commit is None else f" at commit {report.commit}"
    source = "" if report.policy is None else report.policy.source
    return f"{report.target} passes{commit}, by {source or 'the default policy'}"


@contextmanager
def _bars(*, shown: bool) -> Iterator[None]:
    """huggingface_hub's progress bars as they are set, or none."""
    # Here, and not above: they take longer to import than all of embaudit. Public, but loaded lazily.
    from huggingface_hub.utils import (  # type: ignore[attr-defined] # noqa: PLC0415
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
