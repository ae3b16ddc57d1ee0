"""Lists the tensors that models have in the transformers of the environment that runs this.

    python list_tensors_with_transformers.py < MODELS

Standard input is a JSON array of objects with `class_name` and `config`. Standard output is one too: of each
model `parameters`, `stored` (buffers in its `state_dict`) and `computed` (its other buffers) are names to
shapes; `tied` has the groups of names that are one parameter; `base_prefix` and `ignored` are the class's
`base_model_prefix` and `_keys_to_ignore_on_load_unexpected`, `aliases` its configuration's `attribute_map`. A
model that cannot be made has an `error` instead.
"""

import json
import sys
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING

Shapes = dict[str, list[int]]


def main() -> None:
    """List each model."""
    listed = [_listed(asked["class_name"], asked["config"]) for asked in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(listed) + "\n")


def _listed(class_name: str, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        with torch.device("meta"):
            config = CONFIG_MAPPING[fields["model_type"]].from_dict(fields)
            model = getattr(transformers, class_name)(config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    state, buffers = model.state_dict(), dict(model.named_buffers())
    return {
        "parameters": _shapes({name: state[name] for name in state if name not in buffers}),
        "stored": _shapes({name: state[name] for name in state if name in buffers}),
        "computed": _shapes({name: buffers[name] for name in buffers if name not in state}),
        "tied": _tied(model),
        "base_prefix": model.base_model_prefix,
        "ignored": sorted(model._keys_to_ignore_on_load_unexpected or ()),
        "aliases": model.config.attribute_map,
    }


def _shapes(tensors: dict[str, torch.Tensor]) -> Shapes:
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def _tied(model: torch.nn.Module) -> list[list[str]]:
    groups: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


if __name__ == "__main__":
    main()
