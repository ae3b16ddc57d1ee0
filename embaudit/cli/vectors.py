"""The commands that look at vectors: compare, probe, diagnose."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from embaudit.cli.frame import FILE, FINDINGS, NOT_AUDITED, OUTPUT, PASSED, cli, write
from embaudit.cli.texts import read_texts
from embaudit.embeddings import (
    PROBE_TEXTS,
    check_server,
    compare_embeddings,
    compare_probes,
    diagnose,
    load_probe,
    probe,
    save_probe,
)
from embaudit.embeddings.diagnosing import MOST_PASSES
from embaudit.errors import TargetError, UsageError
from embaudit.loaders import declared_pipeline
from embaudit.model.diagnosis import Verdict
from embaudit.model.probe import COMPUTED_IN, Probe, ServerCheck
from embaudit.reading import read_repository
from embaudit.report.diagnosis import render_diagnosis, render_diagnosis_html, render_diagnosis_json
from embaudit.report.embeddings import render_comparison, render_comparison_html, render_comparison_json
from embaudit.report.probes import (
    render_drift,
    render_drift_html,
    render_drift_json,
    render_probe,
    render_probe_html,
    render_probe_json,
)
from embaudit.sources import open_snapshot

API_KEY_VARIABLE = "EMBAUDIT_API_KEY"
"""The variable that holds the key of a server: a key on the command line would stand in the process list."""

_FORM = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="Form of the output.",
)
_TEXTS = click.option(
    "--texts",
    "texts_file",
    type=FILE,
    help="The texts: one a line, or a JSON array of strings in a .json file.",
)


@cli.command("compare")
@click.argument("expected")
@click.argument("observed")
@_TEXTS
@_FORM
@OUTPUT
def compare_command(
    expected: str, observed: str, texts_file: Path | None, form: str, output: Path | None
) -> None:
    """Tell what turns the vectors EXPECTED into the vectors OBSERVED; exit with 1 unless they agree.

    Both are files: .npy, .npz, .safetensors, .json or .jsonl.
    """
    comparison = compare_embeddings(Path(expected), Path(observed))
    texts = () if texts_file is None else _read_texts(texts_file)
    if texts and len(texts) != comparison.n_rows:
        raise UsageError(f"{texts_file} has {len(texts):,} texts for {comparison.n_rows:,} vectors")
    write(
        _in_form(
            form,
            lambda: render_comparison(comparison, texts),
            lambda: render_comparison_json(comparison),
            lambda: render_comparison_html(comparison, texts),
        ),
        output,
    )
    sys.exit(PASSED if comparison.agrees else FINDINGS)


@cli.command("probe")
@click.argument("backend")
@_TEXTS
@click.option("--save", type=FILE, help="Keep the probe in this .safetensors file.")
@click.option("--golden", type=FILE, help="A probe that was kept: tell what drifted since.")
@click.option("--tolerance", type=float, help="Relative distance up to which a text did not drift.")
@click.option(
    "--target",
    help="The repository that the server should serve: what the server says of itself is held against it. "
    "That proves nothing of its vectors.",
)
@click.option(
    "--dtype",
    type=click.Choice([str(dtype) for dtype in COMPUTED_IN]),
    help="What the server computes in, where it does not say so itself.",
)
@click.option("--timeout", type=float, metavar="SECONDS", help="What one request may take.")
@click.option("--quick", is_flag=True, help="Ask once; leave out batches, order and repetition.")
@_FORM
@OUTPUT
def probe_command(
    backend: str,
    texts_file: Path | None,
    save: Path | None,
    golden: Path | None,
    tolerance: float | None,
    target: str | None,
    dtype: str | None,
    timeout: float | None,
    quick: bool,
    form: str,
    output: Path | None,
) -> None:
    """Send a fixed set of texts to the server BACKEND; exit with 1 if it misbehaves, drifted or is another.

    Exit with 3 if nothing that it says of itself could be held against the target.

    BACKEND is tei+http://HOST:PORT, openai+http://HOST:PORT/v1?model=NAME, or plain http://HOST:PORT. The
    variable EMBAUDIT_API_KEY holds its key, if it has one.
    """
    if tolerance is not None and golden is None:
        raise UsageError("--tolerance is for what drifted since a --golden probe")
    earlier = None if golden is None else load_probe(golden)
    probed = probe(
        backend,
        _texts_to_probe(texts_file, earlier),
        observe=not quick,
        api_key=os.environ.get(API_KEY_VARIABLE) or None,
        timeout=timeout,
        dtype=dtype,
    )
    if save is not None:
        save_probe(probed, save)
    check = None if target is None else _checked(probed, target)
    if earlier is None:
        shown = _in_form(
            form,
            lambda: render_probe(probed, check),
            lambda: render_probe_json(probed, check),
            lambda: render_probe_html(probed, check),
        )
        agrees = True
    else:
        drift = compare_probes(earlier, probed, tolerance=tolerance)
        shown = _in_form(
            form,
            lambda: render_drift(drift, check),
            lambda: render_drift_json(drift, check),
            lambda: render_drift_html(drift, check),
        )
        agrees = drift.agrees
    write(shown, output)
    sys.exit(_exit_code(agrees=agrees and not probed.faults, check=check))


@cli.command("diagnose")
@click.argument("target")
@click.argument("observed")
@click.option(
    "--texts",
    "texts_file",
    type=FILE,
    required=True,
    help="What they are vectors of: one a line, or a JSON array of strings in a .json file.",
)
@click.option("--loader", help="Who made them: 'embed_anything==0.4.12'.")
@click.option("--against", metavar="TARGET", help="Another commit whose vectors they may be.")
@click.option(
    "--most-passes",
    type=click.IntRange(min=1),
    default=MOST_PASSES,
    show_default=True,
    help="How often the model is run over the texts at most.",
)
@_FORM
@OUTPUT
def diagnose_command(
    target: str,
    observed: str,
    texts_file: Path,
    loader: str | None,
    against: str | None,
    most_passes: int,
    form: str,
    output: Path | None,
) -> None:
    """Find out why the vectors OBSERVED are not those that TARGET promises; exit with 1 unless they agree.

    OBSERVED is a file: .npy, .npz, .safetensors, .json or .jsonl. This runs the model, which needs
    embaudit[transformers].
    """
    texts = _read_texts(texts_file)
    diagnosis = diagnose(
        target,
        Path(observed),
        texts=texts,
        loader=loader,
        against=against,
        most_passes=most_passes,
    )
    write(
        _in_form(
            form,
            lambda: render_diagnosis(diagnosis),
            lambda: render_diagnosis_json(diagnosis),
            lambda: render_diagnosis_html(diagnosis, texts),
        ),
        output,
    )
    sys.exit(PASSED if diagnosis.verdict is Verdict.AGREES else FINDINGS)


def _texts_to_probe(texts_file: Path | None, golden: Probe | None) -> Sequence[str]:
    """The texts that were named; else those of the golden probe, else embaudit's own."""
    if texts_file is not None:
        return _read_texts(texts_file)
    return PROBE_TEXTS if golden is None else golden.texts


def _read_texts(texts_file: Path) -> tuple[str, ...]:
    """The texts of a file; a pipe into which nobody writes would be waited for without end."""
    if texts_file.exists() and not texts_file.is_file():
        raise TargetError(f"{texts_file}: is no regular file")
    return read_texts(texts_file)


def _checked(probed: Probe, target: str) -> ServerCheck:
    snapshot = open_snapshot(target)
    return check_server(probed.server, snapshot, pipeline=declared_pipeline(read_repository(snapshot)))


def _exit_code(*, agrees: bool, check: ServerCheck | None) -> int:
    """A finding weighs more than what could not be compared, and that more than that all else is well."""
    if not agrees or (check is not None and check.mismatches):
        return FINDINGS
    if check is not None and check.agrees is None:
        click.echo("embaudit: nothing that the server says could be held against the target", err=True)
        return NOT_AUDITED
    return PASSED


def _in_form(form: str, text: Callable[[], str], json: Callable[[], str], html: Callable[[], str]) -> str:
    """What is shown, in the form that was asked for; the others are not made."""
    return {"text": text, "json": json, "html": html}[form]()
