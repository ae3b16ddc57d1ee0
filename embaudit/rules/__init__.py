"""Questions: functions from facts to findings, grouped by code.

`EMB00x` the snapshot, `EMB01x` changes between two, `EMB02x` the hub and the history, `EMB10x` formats,
`EMB11x` the layout of torch files, `EMB12x` shards, `EMB13x` content, `EMB14x` files that could not be read,
`EMB20x` what one loader would do, `EMB22x` what several make of one repository, `EMB30x` what they make of a
text, `EMB31x` settings that readers understand differently, `EMB50x` and `EMB51x` what differs from a lock,
`EMB52x` what a running server does otherwise than was locked, `EMB60x` what a policy asks for, `EMB61x`
what is to be said of the policy itself.
"""

from embaudit.rules import (
    changes,
    content,
    declared,
    drift,
    formats,
    history,
    hub,
    layout,
    loading,
    pipelines,
    requirements,
    served,
    services,
    shards,
    snapshot,
    updates,
    waivers,
)
from embaudit.rules.registry import RULES, Rule, ask_rules, rule, without, worst_first

__all__ = [
    "RULES",
    "Rule",
    "ask_rules",
    "changes",
    "content",
    "declared",
    "drift",
    "formats",
    "history",
    "hub",
    "layout",
    "loading",
    "pipelines",
    "requirements",
    "rule",
    "served",
    "services",
    "shards",
    "snapshot",
    "updates",
    "waivers",
    "without",
    "worst_first",
]
