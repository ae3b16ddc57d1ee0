"""The commands that keep what was audited, and hold what is there against it: lock, verify, outdated."""

import os
import sys
from pathlib import Path

import click

from embaudit.cli.audits import in_form
from embaudit.cli.frame import (
    FILE,
    FINDINGS,
    LOADER,
    NOT_AUDITED,
    OUTPUT,
    PASSED,
    REPORT_FORMAT,
    cli,
    progress,
    write,
)
from embaudit.cli.vectors import API_KEY_VARIABLE
from embaudit.errors import UsageError
from embaudit.locking import lock, save_lock, verify
from embaudit.model.findings import Severity
from embaudit.model.tensor_map import Depth
from embaudit.policies import find_policy
from embaudit.report.locks import describe_lock
from embaudit.report.outdated import OUTDATED_FORMATS, render_outdated
from embaudit.watching import outdated

LOCK_FILE = "embaudit.lock"
"""Where a lock is kept unless another file is named."""

_DEPTH = click.option(
    "--depth",
    type=click.Choice([str(Depth.HEADERS), str(Depth.FULL)]),
    default=str(Depth.FULL),
    show_default=True,
    help="Digest every byte, or take listed digests for what they claim and read no tensor data.",
)


@cli.command("lock")
@click.argument("target")
@click.option("--revision", help="Branch, tag or commit, where TARGET does not name it.")
@click.option(
    "--output", "-o", type=FILE, default=LOCK_FILE, show_default=True, help="The file that keeps the lock."
)
@LOADER
@_DEPTH
@click.option(
    "--probe", "golden", type=FILE, help="A golden probe that lies beside the lock: a .safetensors file."
)
@click.option("--policy", "policy_file", type=FILE, help="A policy that goes with the lock, a TOML file.")
def lock_command(
    target: str,
    revision: str | None,
    output: Path,
    loaders: tuple[str, ...],
    depth: str,
    golden: Path | None,
    policy_file: Path | None,
) -> None:
    """Write down what TARGET is: every digest, its pipeline, what loaders make of it.

    A lock that is there already is rewritten only if something changed.
    """
    if golden is not None and golden.resolve().parent != output.resolve().parent:
        raise UsageError(f"{golden} must lie beside {output}, so that whoever has the lock has it, too")
    with progress(depth) as advance:
        locked = lock(
            target,
            revision=revision,
            depth=depth,
            loaders=loaders,
            policy=policy_file,
            probe=golden,
            progress=advance,
        )
    save_lock(locked, output)
    write(describe_lock(locked), None)


@cli.command("verify")
@click.argument("lock_file", metavar="[LOCK]", type=FILE, default=LOCK_FILE)
@click.argument("target", required=False)
@click.option("--revision", help="Branch, tag or commit, where TARGET does not name it.")
@_DEPTH
@click.option("--probe", "golden", type=FILE, help="The golden probe, if it does not lie beside the lock.")
@REPORT_FORMAT
@click.option(
    "--fail-on",
    type=click.Choice([str(severity) for severity in Severity]),
    help="The mildest severity that makes the exit code 1; by default that of the locked policy, or error.",
)
@click.option("--output", "-o", type=FILE, help="Write to a file instead of the terminal.")
def verify_command(
    lock_file: Path,
    target: str | None,
    revision: str | None,
    depth: str,
    golden: Path | None,
    form: str,
    fail_on: str | None,
    output: Path | None,
) -> None:
    """Hold TARGET against LOCK (embaudit.lock); exit with 1 if it is not what was locked.

    A TARGET is what `audit` takes, or the address of a running server, tei+http://HOST:PORT, whose key is in
    EMBAUDIT_API_KEY. Without one, it is what was locked, at the locked commit.
    """
    with progress(depth) as advance:
        report = verify(
            lock_file,
            target,
            revision=revision,
            depth=depth,
            probe=golden,
            api_key=os.environ.get(API_KEY_VARIABLE) or None,
            progress=advance,
        )
    write(in_form(report, form, output, fail_on=fail_on), output)
    sys.exit(PASSED if report.passed(fail_on) else FINDINGS)


@cli.command("outdated")
@click.argument("lock_files", metavar="[LOCK]...", nargs=-1, type=FILE)
@click.option("--cache", is_flag=True, help="Ask about every model in the Hugging Face cache, too.")
@click.option(
    "--cache-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The cache to ask about, if it is not the usual one.",
)
@click.option(
    "--policy",
    "policy_file",
    type=FILE,
    help="The policy whose loaders are asked about, a TOML file. Without it: embaudit.toml, or"
    " [tool.embaudit] of pyproject.toml, of the working directory, if there is one.",
)
@LOADER
@click.option(
    "--format",
    "form",
    type=click.Choice(OUTDATED_FORMATS),
    default="text",
    show_default=True,
    help="Form of the output.",
)
@OUTPUT
def outdated_command(
    lock_files: tuple[Path, ...],
    cache: bool,
    cache_dir: Path | None,
    policy_file: Path | None,
    loaders: tuple[str, ...],
    form: str,
    output: Path | None,
) -> None:
    """Tell which locked or cached models moved on the hub, and whether that matters to the loaders.

    Without a LOCK it is embaudit.lock, or with --cache the cache alone. Exit codes: 0 nothing moved that
    matters, 1 something did, 2 usage, 3 some model could not be looked up, whatever the others are.
    """
    in_cache = cache_dir or cache
    found = outdated(
        lock_files or (() if in_cache else (Path(LOCK_FILE),)),
        cache=in_cache,
        policy=find_policy(Path.cwd()) if policy_file is None else policy_file,
        loaders=loaders,
    )
    write(render_outdated(found, form), output)
    if not found.is_complete:
        sys.exit(NOT_AUDITED)
    sys.exit(FINDINGS if found.matters else PASSED)
