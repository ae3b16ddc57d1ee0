"""Small repositories of sentence-transformers, whole and damaged: what is done to a folder, by name.

torch comes in on demand, where tensors are made; importing this module does not import it.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from embaudit.testing.repositories import (
    HIDDEN,
    VOCABULARY,
    bert_settings,
    bert_tensors,
    save_safetensors,
    save_torch,
)
from embaudit.testing.tiny_models import TINY_CONFIGS, tiny_weights

Do = Callable[[Path], None]
"""What is done to a folder that holds a whole repository with a Dense."""

FORMER = "sentence_transformers.models"
NEW = "sentence_transformers.base.modules"
DENSE = {
    "in_features": HIDDEN,
    "out_features": 8,
    "bias": True,
    "activation_function": "torch.nn.modules.activation.Tanh",
}
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{number}" for number in range(VOCABULARY - 5)))


def build(folder: Path) -> None:
    """A small BERT in safetensors, with Pooling, a Dense as torch saves it, and Normalize."""
    for path, content in bert_settings().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    save_safetensors(bert_tensors(), folder / "model.safetensors")
    write_modules(folder, "Transformer", "1_Pooling", "2_Dense", "3_Normalize")
    write(folder / "2_Dense/config.json", DENSE)
    save_torch(dense(), folder / "2_Dense/pytorch_model.bin")


def write(path: Path, document: Any) -> None:
    """Write JSON, and the folder for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def write_modules(folder: Path, *modules: str, types: Mapping[str, str] | None = None) -> None:
    """Write `modules.json` from folders named like `2_Dense`; a bare class lies in the root."""
    entries = []
    for index, name in enumerate(modules):
        kind = name.rpartition("_")[2]
        path = name if "_" in name else ""
        type_ = (types or {}).get(kind, f"{FORMER}.{kind}")
        entries.append({"idx": index, "name": str(index), "path": path, "type": type_})
    write(folder / "modules.json", entries)


def dense(seed: int = 1, n_out: int = 8) -> dict[str, Any]:
    """The tensors of a Dense."""
    return tensors({"linear.weight": (n_out, HIDDEN), "linear.bias": (n_out,)}, seed)


def tensors(shapes: Mapping[str, tuple[int, ...]], seed: int = 1) -> dict[str, Any]:
    """Random tensors of these shapes."""
    import torch  # noqa: PLC0415 - on demand

    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def changed(path: str, **fields: Any) -> Do:
    """Fields of a JSON file set, or taken out where they are None."""

    def do(folder: Path) -> None:
        file = folder / path
        document = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        document |= fields
        write(file, {key: value for key, value in document.items() if value is not None})

    return do


def without(*paths: str) -> Do:
    """Files or folders deleted."""

    def do(folder: Path) -> None:
        for path in paths:
            if (folder / path).is_dir():
                shutil.rmtree(folder / path)
            else:
                (folder / path).unlink()

    return do


def saved(path: str, stored: Callable[[], Mapping[str, Any]]) -> Do:
    """A weight file written, in the format that its name promises."""

    def do(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        save = save_safetensors if path.endswith(".safetensors") else save_torch
        save(stored(), folder / path)

    return do


def broken(path: str) -> Do:
    """A file whose beginning is not what its format has there."""

    def do(folder: Path) -> None:
        (folder / path).write_bytes(b"\x40" + bytes(20))

    return do


def modules(*names: str, **types: str) -> Do:
    """Another `modules.json`."""
    return lambda folder: write_modules(folder, *names, types=types)


def settings(path: str, document: Any) -> Do:
    """A JSON file written anew."""
    return lambda folder: write(folder / path, document)


def both(*steps: Do) -> Do:
    """One step after the other."""

    def do(folder: Path) -> None:
        for step in steps:
            step(folder)

    return do


def moved(old: str, new: str) -> Do:
    """A file or folder moved."""

    def do(folder: Path) -> None:
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / old, folder / new)

    return do


def in_a_folder(folder: Path) -> None:
    """The Transformer moved to `0_Transformer`."""
    names = (
        "config.json",
        "model.safetensors",
        "vocab.txt",
        "tokenizer_config.json",
        "sentence_bert_config.json",
    )
    both(*(moved(name, f"0_Transformer/{name}") for name in names))(folder)
    write_modules(folder, "0_Transformer", "1_Pooling", "2_Dense")


def word_tokenizer(file: Path) -> None:
    """A `tokenizer.json` of whole words."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    write(
        file,
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": None,
            "decoder": None,
            "model": model,
        },
    )


def t5(folder: Path) -> None:
    """A T5, encoder and decoder, in the place of the BERT; what is tied is stored once."""
    write(folder / "config.json", TINY_CONFIGS["t5"][0])
    stored = {name: each for name, each in tiny_weights("t5").items() if "embed_tokens" not in name}
    save_safetensors(stored, folder / "model.safetensors")
    word_tokenizer(folder / "tokenizer.json")
    special = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    write(folder / "tokenizer_config.json", special)
    write_modules(folder, "Transformer", "1_Pooling")


def static(**shapes: tuple[int, ...]) -> Do:
    """A model of nothing but a StaticEmbedding with tensors of these shapes; `_` stands for a dot."""
    named = {name.replace("_", "."): shape for name, shape in shapes.items()}
    path = "0_StaticEmbedding/model.safetensors"
    return both(
        without("model.safetensors", "config.json", "2_Dense"),
        modules("0_StaticEmbedding"),
        lambda folder: word_tokenizer(folder / "0_StaticEmbedding/tokenizer.json"),
        saved(path, lambda: tensors(named)),
    )


def with_mapping(folder: Path) -> None:
    """A StaticEmbedding of model2vec with a smaller vocabulary."""
    import torch  # noqa: PLC0415 - on demand

    static(embeddings=(50, 8))(folder)
    stored = tensors({"embeddings": (50, 8), "weights": (VOCABULARY,)})
    stored["mapping"] = torch.arange(VOCABULARY) % 50
    save_safetensors(stored, folder / "0_StaticEmbedding/model.safetensors")


def words(**shapes: tuple[int, ...]) -> Do:
    """A model of WordEmbeddings and Pooling."""
    named = {name.replace("__", "."): shape for name, shape in shapes.items()}
    tokenizer = {"vocab": list(WORDS), "stop_words": [], "do_lower_case": False}
    home = "sentence_transformers.models.tokenizer.WhitespaceTokenizer"
    return both(
        without("model.safetensors", "config.json", "2_Dense"),
        modules("0_WordEmbeddings", "1_Pooling"),
        settings("0_WordEmbeddings/whitespacetokenizer_config.json", tokenizer),
        settings(
            "0_WordEmbeddings/wordembedding_config.json",
            {
                "tokenizer_class": f"{home}.WhitespaceTokenizer",
                "update_embeddings": False,
                "max_seq_length": 9,
            },
        ),
        saved("0_WordEmbeddings/pytorch_model.bin", lambda: tensors(named)),
    )


def one_module(kind: str, name: str, document: Any, shapes: Mapping[str, tuple[int, ...]]) -> Do:
    """A module in the place of the Dense."""
    return both(
        without("2_Dense"),
        modules("Transformer", "1_Pooling", f"2_{kind}"),
        settings(f"2_{kind}/{name}", document),
        saved(f"2_{kind}/pytorch_model.bin", lambda: tensors(shapes)),
    )


def routed(kind: str, file: str) -> Do:
    """A Dense in a Router or an Asym, one for queries and one for documents."""
    types = dict.fromkeys(("query_0_Dense", "document_0_Dense"), f"{FORMER}.Dense")
    routes = {"query": ["query_0_Dense"], "document": ["document_0_Dense"]}
    document = {"types": types, "structure": routes, "parameters": {"allow_empty_key": True}}
    return both(
        modules("Transformer", "1_Pooling", f"2_{kind}"),
        moved("2_Dense", f"2_{kind}/query_0_Dense"),
        settings(f"2_{kind}/{file}", document),
        settings(f"2_{kind}/document_0_Dense/config.json", DENSE),
        saved(f"2_{kind}/document_0_Dense/pytorch_model.bin", lambda: dense(2)),
    )


LSTM_SETTINGS = {"word_embedding_dimension": HIDDEN, "hidden_dim": 6, "num_layers": 2, "bidirectional": True}
LSTM_SHAPES = {
    f"encoder.{name}_l{layer}{way}": shape
    for layer, n_in in ((0, HIDDEN), (1, 12))
    for way in ("", "_reverse")
    for name, shape in (
        ("weight_ih", (24, n_in)),
        ("weight_hh", (24, 6)),
        ("bias_ih", (24,)),
        ("bias_hh", (24,)),
    )
}
CNN_SHAPES = {
    "convs.0.weight": (6, HIDDEN, 1),
    "convs.0.bias": (6,),
    "convs.1.weight": (6, HIDDEN, 3),
    "convs.1.bias": (6,),
}
CONFIG = "config_sentence_transformers.json"
DENSE_BIN, DENSE_SAFE = "2_Dense/pytorch_model.bin", "2_Dense/model.safetensors"

REPOSITORIES: Mapping[str, Do] = {
    "whole": lambda _folder: None,
    "no-modules": without("modules.json"),
    "no-modules-no-weights": without("modules.json", "model.safetensors"),
    "bare-transformer": without("modules.json", "sentence_bert_config.json", "1_Pooling", "2_Dense"),
    "no-modules-no-config": without("modules.json", "config.json"),
    "no-weights": without("model.safetensors"),
    "torch-only": both(without("model.safetensors"), saved("pytorch_model.bin", bert_tensors)),
    "both-formats-differ": saved("pytorch_model.bin", lambda: bert_tensors(seed=5)),
    "model-lacks-a-layer": saved("model.safetensors", lambda: bert_tensors(n_layers=1)),
    "model-lacks-the-pooler": saved(
        "model.safetensors",
        lambda: {name: each for name, each in bert_tensors().items() if not name.startswith("pooler")},
    ),
    "dense-safetensors-only": both(without(DENSE_BIN), saved(DENSE_SAFE, dense)),
    "dense-both-differ": saved(DENSE_SAFE, lambda: dense(5)),
    "dense-no-weights": without(DENSE_BIN),
    "dense-no-settings": without("2_Dense/config.json"),
    "dense-no-folder": without("2_Dense"),
    "dense-lacks-bias": saved(DENSE_BIN, lambda: tensors({"linear.weight": (8, HIDDEN)})),
    "dense-safetensors-lacks-bias": saved(DENSE_SAFE, lambda: tensors({"linear.weight": (8, HIDDEN)}, 5)),
    "dense-extra-tensor": saved(DENSE_BIN, lambda: dense() | tensors({"other": (2,)})),
    "dense-safetensors-extra-tensor": saved(DENSE_SAFE, lambda: dense(5) | tensors({"other": (2,)})),
    "dense-other-shape": saved(DENSE_BIN, lambda: dense(n_out=9)),
    "dense-safetensors-other-shape": saved(DENSE_SAFE, lambda: dense(n_out=9)),
    "dense-without-bias": both(
        changed("2_Dense/config.json", bias=False),
        saved(DENSE_BIN, lambda: tensors({"linear.weight": (8, HIDDEN)})),
    ),
    "dense-half": saved(DENSE_BIN, lambda: {name: each.half() for name, each in dense().items()}),
    "dense-nested": saved(DENSE_BIN, lambda: {"state_dict": dense()}),
    "dense-plain-value": saved(DENSE_BIN, lambda: {**dense(), "epoch": 3}),
    "dense-trained-activation": both(
        changed("2_Dense/config.json", activation_function="torch.nn.modules.activation.PReLU"),
        saved(DENSE_BIN, lambda: dense() | tensors({"activation_function.weight": (1,)})),
    ),
    "dense-no-activation": changed("2_Dense/config.json", activation_function=None),
    "dense-foreign-activation": changed("2_Dense/config.json", activation_function="nowhere.Nothing"),
    "dense-unknown-setting": changed("2_Dense/config.json", extra=1),
    "dense-text-for-a-size": changed("2_Dense/config.json", in_features=str(HIDDEN)),
    "dense-negative-size": changed("2_Dense/config.json", in_features=-1),
    "dense-no-size": changed("2_Dense/config.json", in_features=None),
    "dense-residual": both(
        changed("2_Dense/config.json", use_residual=True),
        saved(DENSE_BIN, lambda: dense() | tensors({"residual.weight": (8, HIDDEN)})),
    ),
    "dense-broken-file": broken(DENSE_SAFE),
    "dense-not-a-module": modules("Transformer", "1_Pooling"),
    "pooling-no-folder": without("1_Pooling"),
    "pooling-new-names": settings(
        "1_Pooling/config.json",
        {"embedding_dimension": HIDDEN, "pooling_mode": "mean", "include_prompt": True},
    ),
    "pooling-mixed-names": changed("1_Pooling/config.json", pooling_mode="cls", include_prompt=True),
    "pooling-list-of-modes": changed("1_Pooling/config.json", pooling_mode=["cls", "mean"]),
    "pooling-later-modes": changed("1_Pooling/config.json", pooling_mode_lasttoken=False),
    "pooling-unknown-mode": changed("1_Pooling/config.json", pooling_mode="median"),
    "pooling-unknown-setting": changed("1_Pooling/config.json", extra=1),
    "normalize-with-a-folder": settings("3_Normalize/config.json", {}),
    "new-class-paths": modules(
        "Transformer",
        "1_Pooling",
        "2_Dense",
        Transformer=f"{NEW}.transformer.Transformer",
        Pooling="sentence_transformers.sentence_transformer.modules.pooling.Pooling",
        Dense=f"{NEW}.dense.Dense",
    ),
    "class-with-its-name": modules(
        "Transformer", "1_Pooling", Transformer=f"{FORMER}.Transformer.Transformer"
    ),
    "unknown-class": modules("Transformer", "1_Pooling", "2_Dense", Dense=f"{FORMER}.Denser"),
    "no-path-of-a-class": modules("Transformer", "1_Pooling", "2_Dense", Dense="Dense"),
    "no-modules-listed": settings("modules.json", []),
    "modules-without-a-path": settings(
        "modules.json", [{"idx": 0, "name": "0", "type": f"{FORMER}.Transformer"}]
    ),
    "layer-norm": one_module(
        "LayerNorm", "config.json", {"dimension": HIDDEN}, {"norm.weight": (HIDDEN,), "norm.bias": (HIDDEN,)}
    ),
    "layer-norm-lacks-bias": one_module(
        "LayerNorm", "config.json", {"dimension": HIDDEN}, {"norm.weight": (HIDDEN,)}
    ),
    "lstm": one_module("LSTM", "lstm_config.json", LSTM_SETTINGS, LSTM_SHAPES),
    "lstm-one-way": one_module(
        "LSTM", "lstm_config.json", {**LSTM_SETTINGS, "bidirectional": False}, LSTM_SHAPES
    ),
    "cnn": one_module(
        "CNN",
        "cnn_config.json",
        {"in_word_embedding_dimension": HIDDEN, "out_channels": 6, "kernel_sizes": [1, 3]},
        CNN_SHAPES,
    ),
    "weighted-layers": one_module(
        "WeightedLayerPooling",
        "config.json",
        {"word_embedding_dimension": HIDDEN, "layer_start": 1, "num_hidden_layers": 2},
        {"layer_weights": (2,)},
    ),
    "word-weights": one_module(
        "WordWeights",
        "config.json",
        {"vocab": ["a"], "word_weights": {"a": 0.5}},
        {"emb_layer.weight": (1, 1)},
    ),
    "dropout-no-folder": modules("Transformer", "1_Pooling", "2_Dropout"),
    "static": static(embedding_weight=(VOCABULARY, 8)),
    "static-half": both(
        static(embedding_weight=(VOCABULARY, 8)),
        saved(
            "0_StaticEmbedding/model.safetensors",
            lambda: {"embedding.weight": tensors({"a": (VOCABULARY, 8)})["a"].half()},
        ),
    ),
    "static-of-model2vec": static(embeddings=(VOCABULARY, 8)),
    "static-with-a-mapping": with_mapping,
    "static-without-a-table": static(other=(VOCABULARY, 8)),
    "static-flat-table": static(embedding_weight=(VOCABULARY,)),
    "static-no-tokenizer": both(
        static(embedding_weight=(VOCABULARY, 8)), without("0_StaticEmbedding/tokenizer.json")
    ),
    "words": words(emb_layer__weight=(VOCABULARY, HIDDEN)),
    "words-without-a-table": words(other=(VOCABULARY, HIDDEN)),
    "router": routed("Router", "router_config.json"),
    "router-with-a-former-name": routed("Asym", "config.json"),
    "router-lacks-a-route": both(
        routed("Router", "router_config.json"), without("2_Router/document_0_Dense")
    ),
    "transformer-in-a-folder": in_a_folder,
    "transformer-in-a-folder-without-settings": both(
        in_a_folder, without("0_Transformer/sentence_bert_config.json")
    ),
    "transformer-in-a-folder-half": both(
        in_a_folder,
        changed("0_Transformer/sentence_bert_config.json", model_args={"torch_dtype": "float16"}),
    ),
    "transformer-in-a-folder-half-and-trusted": both(
        in_a_folder,
        changed(
            "0_Transformer/sentence_bert_config.json",
            model_args={"torch_dtype": "float16", "trust_remote_code": True},
        ),
    ),
    "transformer-without-settings": without("sentence_bert_config.json"),
    "transformer-unknown-setting": changed("sentence_bert_config.json", extra=1),
    "transformer-new-settings": changed("sentence_bert_config.json", transformer_task="feature-extraction"),
    "transformer-half": changed("sentence_bert_config.json", model_args={"torch_dtype": "float16"}),
    "adapter": settings(
        "adapter_config.json",
        {
            "base_model_name_or_path": "embaudit/nowhere",
            "peft_type": "LORA",
            "task_type": "FEATURE_EXTRACTION",
        },
    ),
    "default-prompt": settings(CONFIG, {"prompts": {"mine": "x: "}, "default_prompt_name": "mine"}),
    "default-prompt-of-the-package": settings(CONFIG, {"prompts": {}, "default_prompt_name": "query"}),
    "default-prompt-lacking": settings(CONFIG, {"prompts": {}, "default_prompt_name": "mine"}),
    "another-kind-of-model": both(
        settings(CONFIG, {"model_type": "CrossEncoder"}),
        modules("Transformer", "2_Dense"),
        without("2_Dense"),
    ),
    "requirement-met": settings(CONFIG, {"requirements": {"transformers": ">=4.30"}}),
    "requirement-not-met": settings(CONFIG, {"requirements": {"transformers": ">=99"}}),
    "index-beside-a-dense": settings(
        f"{DENSE_SAFE}.index.json", {"weight_map": {"linear.weight": "a.safetensors"}}
    ),
    "t5": t5,
}
"""Name to what is done to a whole repository."""


def build_repository(name: str, folder: Path) -> None:
    """Make one of `REPOSITORIES` in a folder, which must not exist."""
    folder.mkdir(parents=True)
    build(folder)
    REPOSITORIES[name](folder)
