"""What a loader is shown: one snapshot, its settings, and the headers of its weight files."""

from collections.abc import Mapping

import attrs

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.declaration import Declaration
from embaudit.model.facts import UnreadableFile, WeightFiles
from embaudit.model.files import Snapshot
from embaudit.model.frozen import FrozenMapping, frozen_mapping


@attrs.frozen(kw_only=True)
class Repository:
    """Everything about a repository that a prediction may rest on.

    Attributes:
        snapshot: Its files.
        declaration: What it says about its model.
        checkpoints: Name to checkpoint, for every weight file whose header could be read. A file that belongs
            to an index is not among them unless loaders open it by its name.
        unreadable: Path to what is wrong, for weight files whose header could not be read.
        not_at_hand: Weight files that are listed and cannot be opened here: LFS pointers, broken links. What
            a loader would make of them elsewhere is not known.
        weights: Which weight files there are, told from the listing.
    """

    snapshot: Snapshot
    declaration: Declaration
    checkpoints: Mapping[str, Checkpoint] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    unreadable: Mapping[str, UnreadableFile] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    not_at_hand: tuple[str, ...] = ()
    weights: WeightFiles = attrs.Factory(WeightFiles)
