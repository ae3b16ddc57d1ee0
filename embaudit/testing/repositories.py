"""Small model repositories to test with: a BERT of a few kilobytes, and a Hugging Face cache that holds it.

torch comes in on demand, where tensors are made and saved; importing this module does not import it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from embaudit.architectures import expected_model
from embaudit.architectures.bert import BERT
from embaudit.model.architecture import Role
from embaudit.model.files import FileEntry
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.sources.memory import MemorySource

VOCABULARY, HIDDEN, INTERMEDIATE, POSITIONS = 120, 32, 64, 48
"""Sizes of the small BERT."""


def bert_settings(n_layers: int = 2) -> dict[str, bytes]:
    """The small files of a sentence-transformers repository around a small BERT: path to content."""
    config = {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": INTERMEDIATE,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "model_type": "bert",
        "num_attention_heads": 4,
        "num_hidden_layers": n_layers,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": VOCABULARY,
    }
    prefix = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{prefix}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{prefix}.Pooling"},
    ]
    pooling = {
        "word_embedding_dimension": HIDDEN,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    documents: dict[str, Any] = {
        "config.json": config,
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": POSITIONS, "do_lower_case": False},
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": {"do_lower_case": True, "tokenizer_class": "BertTokenizer"},
    }
    return {path: json.dumps(document, indent=2).encode() for path, document in documents.items()}


def _tokenizer() -> dict[str, Any]:
    """What the `tokenizers` library writes for a WordPiece of a few words and many that do not exist."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = [*special, "hello", "world", *(f"word{n}" for n in range(VOCABULARY - len(special) - 2))]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for number, token in enumerate(special)
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", special.index("[SEP]")],
            "cls": ["[CLS]", special.index("[CLS]")],
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: number for number, word in enumerate(words)},
        },
    }


def bert_shapes(n_layers: int = 2) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor of a small BERT and its shape, under the names of transformers' `BertModel`."""
    config = json.loads(bert_settings(n_layers)["config.json"])
    for tensor in expected_model(BERT, config).tensors.values():
        if tensor.role is not Role.BUFFER:
            yield tensor.name, tensor.shape


def bert_tensors(n_layers: int = 2, seed: int = 0) -> dict[str, Any]:
    """Random float32 torch tensors for every name of `bert_shapes`, the same for the same seed."""
    import torch  # noqa: PLC0415 - on demand

    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in bert_shapes(n_layers)}


def flat(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The same float32 torch tensors as views into one storage, as a flat-buffer optimiser leaves them."""
    import torch  # noqa: PLC0415 - on demand

    buffer = torch.cat([tensor.reshape(-1) for tensor in tensors.values()])
    pieces = torch.split(buffer, [tensor.numel() for tensor in tensors.values()])
    return {
        name: piece.view(tensor.shape) for (name, tensor), piece in zip(tensors.items(), pieces, strict=True)
    }


def save_torch(tensors: Mapping[str, Any], path: Path, *, legacy: bool = False) -> None:
    """Save a state dict with `torch.save`, as a zip file or in the format before that."""
    import torch  # noqa: PLC0415 - on demand

    torch.save(dict(tensors), path, _use_new_zipfile_serialization=not legacy)


def save_safetensors(tensors: Mapping[str, Any], path: Path) -> None:
    """Save contiguous clones of a state dict as safetensors, with the metadata that transformers expects."""
    from safetensors.torch import save_file  # noqa: PLC0415 - imports torch

    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})


def cache_commit(
    cache: Path,
    repo_id: str,
    commit: str,
    files: Mapping[str, bytes],
    *,
    ref: str | None = None,
    absent: Mapping[str, bytes] | None = FrozenMapping(),
) -> Path:
    """Lay out one commit in a Hugging Face cache with symbolic links, and point `ref` at it.

    The layout is that of huggingface_hub 2.4.0 (`file_download.py`): blobs named by their digest, sha256 for
    what goes to LFS (as `MemorySource` has it) and the git blob id for others; beside them the listing of the
    commit (`_tree_cache.py`), which that version keeps of what `snapshot_download` fetched.

    Args:
        cache: The cache's folder.
        repo_id: `org/name`.
        commit: 40 hex digits.
        files: Path to content, for what was downloaded.
        ref: A branch or tag to point at the commit.
        absent: Path to content, for what the commit has and was not downloaded; None if the cache has no
            listing of the commit, as after downloads file by file.

    Returns:
        The snapshot folder.
    """
    repository = cache / f"models--{repo_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    blobs = repository / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    listed = MemorySource(files).snapshot().files
    for path, content in files.items():
        blob = blobs / str(listed[path].identity)
        blob.write_bytes(content)
        link = snapshot / path
        link.parent.mkdir(parents=True, exist_ok=True)
        depth = len(Path(path).parts) + 1
        link.symlink_to(Path(*[".."] * depth) / "blobs" / blob.name)
    if absent is not None:
        place = repository / "trees" / f"{commit}.json"
        place.parent.mkdir(exist_ok=True)
        entries = MemorySource({**files, **absent}).snapshot().files
        tree = {path: _tree_row(entry) for path, entry in entries.items()}
        place.write_text(json.dumps({"format_version": 1, "files": tree}))
    if ref is not None:
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / ref).write_text(commit)
    return snapshot


def _tree_row(entry: FileEntry) -> Mapping[str, JSON]:
    """One file of a commit as `trees/<commit>.json` has it."""
    if entry.sha256 is None:
        return {"size": entry.size, "blob_id": entry.git_sha1}
    return {"size": entry.size, "lfs_size": entry.size, "lfs_sha256": entry.sha256}
