"""Reads what a snapshot holds: its files, its declared settings, its checkpoints.

Joins `embaudit.sources`, which knows where bytes come from, with `embaudit.formats`, which knows what they
mean, and is the only place to do so. Knows which files of a repository are weights of their own, and how
shards come together. Refuses to know any byte layout, and what a loader would make of it all.
"""

from embaudit.reading.checkpoints import SHARD_GROUP, SHARD_READERS, read_checkpoint
from embaudit.reading.declarations import read_declaration
from embaudit.reading.files import read_document, view_file
from embaudit.reading.opening import open_checkpoint
from embaudit.reading.repositories import UNREADABLE, read_repository, unreadable
from embaudit.reading.weight_names import checkpoint_names, orphan_shards, read_index, read_indexes

__all__ = [
    "SHARD_GROUP",
    "SHARD_READERS",
    "UNREADABLE",
    "checkpoint_names",
    "open_checkpoint",
    "orphan_shards",
    "read_checkpoint",
    "read_declaration",
    "read_document",
    "read_index",
    "read_indexes",
    "read_repository",
    "unreadable",
    "view_file",
]
