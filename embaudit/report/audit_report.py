"""The one structured result of an audit, with its ways of showing and storing itself."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from embaudit.errors import EmbauditError, FormatError, UsageError
from embaudit.loaders import parse_loader
from embaudit.model.findings import Severity
from embaudit.model.prediction import LoadPrediction
from embaudit.model.record import SCHEMA_VERSION, AuditRecord
from embaudit.report.codec import from_jsonable, render_json, schema_of
from embaudit.report.cyclonedx import render_cyclonedx
from embaudit.report.frames import frame_of
from embaudit.report.html import render_html
from embaudit.report.junit import render_junit
from embaudit.report.markdown import render_markdown
from embaudit.report.sarif import render_sarif
from embaudit.report.text import render_text


class FindingsError(EmbauditError):
    """A report holds findings at or above the threshold that the caller set.

    Attributes:
        report: The whole report.
        fail_on: The threshold.
    """

    def __init__(self, report: "AuditReport", fail_on: Severity) -> None:
        super().__init__(report, fail_on)
        self.report = report
        self.fail_on = fail_on

    def __str__(self) -> str:
        reasons = [finding for finding in self.report.findings if finding.severity >= self.fail_on]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return f"{self.report.target}: {reasons[0].code}: {reasons[0].message}{more}"


_RENDERERS: Mapping[str, Callable[[AuditRecord, Severity], str]] = {
    "text": lambda record, _: render_text(record),
    "json": lambda record, _: render_json(record),
    "markdown": lambda record, _: render_markdown(record),
    "html": lambda record, _: render_html(record),
    "sarif": lambda record, _: render_sarif(record),
    "junit": lambda record, fail_on: render_junit(record, fail_on=fail_on),
    "cyclonedx": lambda record, _: render_cyclonedx(record),
}
"""Form to what makes it of a record and of the mildest severity that does not pass."""

FORMATS = tuple(_RENDERERS)
"""The forms that `AuditReport.render` knows."""


@attrs.frozen(kw_only=True, repr=False)
class AuditReport(AuditRecord):
    """What an audit found, and everything that it was found from; see `AuditRecord` for its fields."""

    def __repr__(self) -> str:
        worst = "passed" if self.worst is None else f"worst: {self.worst}"
        return f"<AuditReport {self.target!r}: {len(self.findings)} findings, {worst}>"

    def __str__(self) -> str:
        return render_text(self)

    def _repr_html_(self) -> str:
        return render_html(self, whole_page=False)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython prints in a terminal."""
        printer.text(repr(self) if cycle else render_text(self))

    def to_frame(self) -> Any:
        """The findings as a `pandas.DataFrame`, the waived ones after the others.

        Raises:
            UsageError: If pandas is not installed; `pip install 'embaudit[notebook]'` brings it.
        """
        return frame_of(self)

    def load(self, loader: str) -> LoadPrediction:
        """What a loader would do.

        Args:
            loader: The request as it was given to the audit (`tei==1.5.0`), or the loader's name or alias,
                with versions or without; of several requests that fit the first is meant.

        Raises:
            UsageError: If it names no loader, or the audit was not asked about it.
        """
        request = parse_loader(loader)
        exact = [load for load in self.loads if load.asked == loader]
        named = [load for load in self.loads if load.loader == request.loader.name]
        versions = str(request.versions)
        matching = [load for load in named if versions in {"", load.version}]
        if exact or matching:
            return (exact or matching)[0]
        asked = ", ".join(load.asked for load in self.loads) or "no loader"
        raise UsageError(f"the audit was not asked about {loader!r}; it was asked about {asked}")

    def render(self, form: str = "text", *, fail_on: str | Severity | None = None) -> str:
        """The report in another form.

        Args:
            form: `text`; `json`, which `from_json` reads; `markdown`, which fits into a comment on a pull
                request; `html`, one page that needs no other file; `sarif` 2.1.0, for code scanning; `junit`,
                for whatever shows tests; `cyclonedx` 1.6, a bill of materials of the model.
            fail_on: The mildest severity that does not pass, which only `junit` tells; None for that of the
                policy, or `error`.

        Raises:
            UsageError: If there is no form or severity of that name.
        """
        if form not in _RENDERERS:
            raise UsageError(f"{form!r} is not a form of the report; use one of {', '.join(FORMATS)}")
        return _RENDERERS[form](self, self.threshold(fail_on))

    def raise_for_findings(self, fail_on: str | Severity | None = None) -> None:
        """Do nothing if the report passed.

        Raises:
            FindingsError: If a finding is at or above the threshold, the policy's unless it is given; carries
                the report.
            UsageError: If there is no severity of that name.
        """
        if not self.passed(fail_on):
            raise FindingsError(self, self.threshold(fail_on))

    def to_json(self) -> str:
        """The report as JSON text, which `from_json` turns back into an equal report."""
        return render_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "AuditReport":
        """The report that `to_json` wrote. Its checkpoints hold no way to read values any more.

        Raises:
            FormatError: If the text is no report, or one of a newer schema than this embaudit reads.
        """
        try:
            document = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise FormatError(f"not JSON: {error}", "report") from error
        version = document.get("schema_version") if isinstance(document, dict) else None
        if not isinstance(version, str) or version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
            raise FormatError(f"schema {version!r} is not the one read here, {SCHEMA_VERSION}", "report")
        return from_jsonable(cls, document, "report")

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON Schema (2020-12) of `to_json`."""
        return schema_of(cls)
