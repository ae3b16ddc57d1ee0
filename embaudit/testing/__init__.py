"""Shipped to users: what they need to test their own use of embaudit."""

from embaudit.testing.audit_contract import ABOUT_THE_SOURCE, AuditContract, audit_differences
from embaudit.testing.everywhere import Everywhere
from embaudit.testing.source_contract import SourceContract

__all__ = ["ABOUT_THE_SOURCE", "AuditContract", "Everywhere", "SourceContract", "audit_differences"]
