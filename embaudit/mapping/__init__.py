"""Two checkpoints to one map: which tensor is which, and whether their values agree."""

from embaudit.mapping.tensors import map_tensors

__all__ = ["map_tensors"]
