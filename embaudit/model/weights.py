"""Which weight files hold the same model, and which of them a loader opens first, told by their names.

The order is that of transformers 4.30 to 5.23 for a model without a `variant`, from the hub and from a folder
alike: https://github.com/huggingface/transformers/blob/v4.51.3/src/transformers/modeling_utils.py, there
`_get_resolved_checkpoint_files`. The modules of sentence-transformers (`2_Dense/`) have had the same order
since 3.0.1, without indexes. Not considered: a `transformers_weights` of `config.json`, an adapter, a loader
with an order of its own (text-embeddings-inference reads `pytorch_model.bin` before sharded safetensors).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

WEIGHTS_IN_ORDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Names of weight files and indexes, the preferred one first."""


def preferred_weights(paths: Iterable[str], folder: str = "") -> str | None:
    """The weight file or index of `folder` that transformers opens, or None if it holds none it knows.

    Args:
        paths: Every path of the repository, or a mapping with the paths as keys.
        folder: Path of the folder inside the repository without a slash at its end; empty for the root.
    """
    listed = frozenset(paths)
    start = f"{folder}/" if folder else ""
    return next((start + name for name in WEIGHTS_IN_ORDER if start + name in listed), None)


_CONTAINER_NAME = re.compile(
    r"(?P<stem>.+?)\.(?P<kind>safetensors|bin|pt|pth|ckpt)(?P<index>\.index(\.(?P<variant>[\w-]+))?\.json)?$"
)


_SHARD_NAME = re.compile(r"(?P<stem>.*?)-[0-9]{5,}-of-[0-9]{5,}(?P<suffix>(\.\w+)+)", re.ASCII)
"""`model-00001-of-00003.safetensors`; a variant: `model.fp16-00001-...` or `model-00001-of-00003.fp16...`."""


def whole_of_shard(path: str) -> str | None:
    """The name that the checkpoint would have as one file; None if the path is not named like a shard."""
    match = _SHARD_NAME.fullmatch(path)
    return None if match is None else match["stem"] + match["suffix"]


def whole_of_index(path: str) -> str | None:
    """The name that the checkpoint of an index would have as one file; None if the path is no index."""
    pure = PurePosixPath(path)
    match = _CONTAINER_NAME.fullmatch(pure.name)
    if match is None or match["index"] is None:
        return None
    variant = "" if match["variant"] is None else f".{match['variant']}"
    return str(pure.with_name(f"{match['stem']}{variant}.{match['kind']}"))


def _family(path: str) -> tuple[str, str] | None:
    """The folder, and the name without its container: equal for files that should hold the same tensors."""
    pure = PurePosixPath(path)
    match = _CONTAINER_NAME.fullmatch(pure.name)
    if match is None:
        return None
    stem = match["stem"] if match["variant"] is None else f"{match['stem']}.{match['variant']}"
    return str(pure.parent), stem.removeprefix("pytorch_")


def same_model_pairs(checkpoints: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The weight files that should hold the same tensors, two by two.

    They lie in one folder and their names differ in the container only: `pytorch_model.bin` and
    `model.safetensors`, single file and shards; `model.fp16.safetensors` is another variant and no partner.
    Each pair has the file on the right that loaders prefer, safetensors before others.
    """
    families: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in checkpoints:
        family = _family(name)
        if family is not None:
            families[family].append(name)
    for names in families.values():
        preferred = min(names, key=lambda name: (".safetensors" not in name, ".index" in name, name))
        yield from ((name, preferred) for name in names if name != preferred)
