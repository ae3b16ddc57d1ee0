"""Prints the tensors that models have in this environment's transformers.

A list of `{"class_name": ..., "config": {...}}` comes as JSON on standard input. For each of them the output
has `parameters`, `stored` (buffers that `state_dict` has) and `computed` (buffers that it leaves out): names
to shapes. A model that cannot be made has `error` instead.
"""

import json
import sys
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING


def main() -> None:
    """Reads the models and prints what they have, as one line of JSON."""
    print(json.dumps([describe(**model) for model in json.load(sys.stdin)]))


def describe(class_name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The names and shapes of one model."""
    try:
        made = make(class_name, config)
    except Exception as error:  # noqa: BLE001 - what a library raises for a configuration is no fixed set
        return {"error": f"{type(error).__name__}: {error}"}
    state, buffers = made.state_dict(), dict(made.named_buffers())
    return {
        "parameters": {name: list(state[name].shape) for name in state if name not in buffers},
        "stored": {name: list(state[name].shape) for name in state if name in buffers},
        "computed": {name: list(buffers[name].shape) for name in buffers if name not in state},
    }


def make(class_name: str, config: dict[str, Any]) -> torch.nn.Module:
    """A model of that class, without values."""
    with torch.device("meta"):
        return getattr(transformers, class_name)(CONFIG_MAPPING[config["model_type"]].from_dict(config))


if __name__ == "__main__":
    main()
