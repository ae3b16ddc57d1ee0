"""What may pass: a policy out of a TOML file, and what it makes of the findings of an audit.

Knows the keys of a policy, where its file lies, and how findings are weighed and waived. What a repository
must be like to comply is asked by rules, `embaudit.rules.requirements`, as everything else is.
"""

from embaudit.policies.files import MAX_POLICY_BYTES, find_policy, read_policy
from embaudit.policies.judging import Judgement, covers, judge, judge_age
from embaudit.policies.keys import KEYS, WAIVER_KEYS
from embaudit.policies.parsing import parse_policy

__all__ = [
    "KEYS",
    "MAX_POLICY_BYTES",
    "WAIVER_KEYS",
    "Judgement",
    "covers",
    "find_policy",
    "judge",
    "judge_age",
    "parse_policy",
    "read_policy",
]
