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


def linear(name: str, n_out: str, n_in: str, *, bias: bool | str = True, **how: Any) -> Patterns:
    """`torch.nn.Linear(n_in, n_out, bias=bias)`, in the order in which its weight is stored.

    Args:
        name: The module.
        n_out: Size of the output.
        n_in: Size of the input.
        bias: Whether it has one, or the size that says so (`attention_bias`).
        how: Further fields of `TensorPattern`, for both of its tensors.
    """
    return (*tensor(f"{name}.weight", n_out, n_in, **how), *_bias(name, n_out, bias, how))


def norm(name: str, size: str, *, bias: bool | str = True, **how: Any) -> Patterns:
    """`torch.nn.LayerNorm(size)`; without `bias` an RMSNorm too. `bias` is as in `linear`."""
    return (*tensor(f"{name}.weight", size, **how), *_bias(name, size, bias, how))


def _bias(name: str, size: str, bias: bool | str, how: dict[str, Any]) -> Patterns:
    if isinstance(bias, str):
        return tensor(f"{name}.bias", size, **{**how, "when": bias})
    return tensor(f"{name}.bias", size, **how) if bias else ()
