"""Short ways to write the tensors of an architecture: the layers of torch, as rows of `TensorPattern`."""

from typing import Any

from embaudit.model.architecture import TensorPattern

Patterns = tuple[TensorPattern, ...]


def tensor(name: str, *shape: str, **how: Any) -> Patterns:
    """One tensor of that shape; `how` are further fields of `TensorPattern`."""
    return (TensorPattern(name, shape, **how),)


def table(name: str, rows: str, columns: str, **how: Any) -> Patterns:
    """`torch.nn.Embedding(rows, columns)`."""
    return tensor(f"{name}.weight", rows, columns, **how)


def linear(name: str, n_out: str, n_in: str, *, bias: bool = True, **how: Any) -> Patterns:
    """`torch.nn.Linear(n_in, n_out, bias=bias)`, in the order in which its weight is stored."""
    weight = tensor(f"{name}.weight", n_out, n_in, **how)
    return (*weight, *tensor(f"{name}.bias", n_out, **how)) if bias else weight


def norm(name: str, size: str, *, bias: bool = True, **how: Any) -> Patterns:
    """`torch.nn.LayerNorm(size)`; without `bias` an RMSNorm too."""
    weight = tensor(f"{name}.weight", size, **how)
    return (*weight, *tensor(f"{name}.bias", size, **how)) if bias else weight
