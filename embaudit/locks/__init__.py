"""Locks: what a snapshot is, measured, and kept in a file.

    Repository --measure------> Lock      every digest, at depth full of every value
    two locks  --compare_files, compare_weights, compare_settings--> what drifted
    text       --write_whole--> a file    whole or not at all

Knows digests and how two of them lie to one another. Refuses to judge what a drift means: that is for rules.
"""

from embaudit.locks.drifting import (
    FilesDrift,
    SettingsDrift,
    WeightsDrift,
    compare_files,
    compare_settings,
    compare_weights,
)
from embaudit.locks.keeping import write_whole
from embaudit.locks.measuring import Measured, Measurement, have_at_hand, measure
from embaudit.locks.places import locked_place

__all__ = [
    "FilesDrift",
    "Measured",
    "Measurement",
    "SettingsDrift",
    "WeightsDrift",
    "compare_files",
    "compare_settings",
    "compare_weights",
    "have_at_hand",
    "locked_place",
    "measure",
    "write_whole",
]
