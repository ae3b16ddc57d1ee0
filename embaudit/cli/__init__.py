"""The command line: each command parses, makes one call, writes one string, and returns an exit code.

Exit codes: 0 passed, 1 findings at or above the threshold (or, for `diff` and `map`, a difference), 2 usage,
3 could not be audited.
"""

from embaudit.cli import audits, gates, locks, vectors
from embaudit.cli.frame import FINDINGS, NOT_AUDITED, PASSED, USAGE, cli, main

__all__ = ["FINDINGS", "NOT_AUDITED", "PASSED", "USAGE", "audits", "cli", "gates", "locks", "main", "vectors"]
