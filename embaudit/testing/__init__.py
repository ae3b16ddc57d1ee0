"""Shipped to users: what they need to test their own use of embaudit."""

from embaudit.testing.source_contract import SourceContract

__all__ = ["SourceContract"]
