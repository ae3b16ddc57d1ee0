"""Questions: functions from facts to findings, grouped by code.

`EMB00x` the snapshot, `EMB01x` changes between two, `EMB02x` the hub and the history, `EMB10x` formats,
`EMB11x` the layout of torch files, `EMB12x` shards, `EMB13x` content, `EMB14x` files that could not be read,
`EMB20x` what one loader would do, `EMB22x` what several make of one repository, `EMB30x` what they make of a
text, `EMB31x` settings that readers understand differently.
"""

from embaudit.rules import (
    changes,
    content,
    declared,
    formats,
    history,
    hub,
    layout,
    loading,
    pipelines,
    services,
    shards,
    snapshot,
    updates,
)
from embaudit.rules.registry import RULES, Rule, ask_rules, rule, without

__all__ = [
    "RULES",
    "Rule",
    "ask_rules",
    "changes",
    "content",
    "declared",
    "formats",
    "history",
    "hub",
    "layout",
    "loading",
    "pipelines",
    "rule",
    "services",
    "shards",
    "snapshot",
    "updates",
    "without",
]
