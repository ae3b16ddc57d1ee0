"""The report and its renderers: everything that a person or a program is shown."""

from embaudit.report.audit_report import FORMATS, AuditReport, FindingsError

__all__ = ["FORMATS", "AuditReport", "FindingsError"]
