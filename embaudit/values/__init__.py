"""Tensor bytes to comparisons."""
