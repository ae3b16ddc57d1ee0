"""The pipeline that is read from the real MiniLM, and from edits of its files, held against the real program.

sentence-transformers 6.2 builds every folder and embeds a text with it; what it does must be what was read.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from safetensors.torch import save_file

from embaudit import LoadPrediction, predict_load
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.prediction import Outcome
from embaudit.report.codec import to_jsonable

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".venvs" / "sentence-transformers"
LOADER = "sentence-transformers==6.2.0 with transformers==5.23.0"
SIZE = 384
OLD = "sentence_transformers.models"
NEW_BASE = "sentence_transformers.base.modules"
NEW = "sentence_transformers.sentence_transformer.modules"

Edit = Callable[[Path], None]


def put(**documents: Any) -> Edit:
    """Put documents in place of files, named with `__` for a slash and without `.json`; None deletes."""

    def edit(folder: Path) -> None:
        for name, document in documents.items():
            path = folder / f"{name.replace('__', '/')}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            if document is None:
                path.unlink()
            else:
                path.write_text(json.dumps(document), encoding="utf-8")

    return edit


def change(name: str, /, **fields: Any) -> Edit:
    """Set fields of a document; None takes a field out."""

    def edit(folder: Path) -> None:
        path = folder / f"{name}.json"
        document = json.loads(path.read_text(encoding="utf-8")) | fields
        kept = {key: value for key, value in document.items() if value is not None}
        path.write_text(json.dumps(kept), encoding="utf-8")

    return edit


def write(name: str, /, **fields: Any) -> Edit:
    """Set fields of a document; None is written as null."""

    def edit(folder: Path) -> None:
        path = folder / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | fields), encoding="utf-8")

    return edit


def named(*names: str) -> Edit:
    """The modules that there are, under these names."""

    def edit(folder: Path) -> None:
        entries = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        put(modules=[{**entry, "name": name} for entry, name in zip(entries, names, strict=True)])(folder)

    return edit


def every(*edits: Edit) -> Edit:
    """One edit after the other."""

    def edit(folder: Path) -> None:
        for each in edits:
            each(folder)

    return edit


def modules(*types: str) -> Edit:
    """List modules of these types, each in a folder of its index and class; a Transformer in the root."""
    entries = []
    for index, kind in enumerate(types):
        name = kind.rpartition(".")[2]
        path = "" if name == "Transformer" else f"{index}_{name}"
        entries.append({"idx": index, "name": str(index), "path": path, "type": kind})
    return put(modules=entries)


def old_modules(*names: str) -> Edit:
    """The same, with the type names up to 5.3."""
    return modules(*(f"{OLD}.{name}" for name in names))


def pooling(*modes: str, folder: str = "1_Pooling", **more: Any) -> Edit:
    """Pooling in the format up to 5.3."""
    flags = (
        "cls_token",
        "max_tokens",
        "mean_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken",
    )
    settings = {f"pooling_mode_{flag}": flag in modes for flag in flags}
    return put(**{f"{folder}__config": {"word_embedding_dimension": SIZE, **settings, **more}})


def new_pooling(**settings: Any) -> Edit:
    """Pooling in the format from 5.4 on."""
    return put(**{"1_Pooling__config": {"embedding_dimension": SIZE, **settings}})


def dense(
    folder: str, n_in: int, n_out: int, *, bias: bool = True, tensors: Any = None, **settings: Any
) -> Edit:
    """A Dense with weights."""

    def edit(root: Path) -> None:
        sizes = {"in_features": n_in, "out_features": n_out, "bias": bias}
        put(**{f"{folder}__config": {**sizes, **settings}})(root)
        weights = {"linear.weight": torch.randn(n_out, n_in, generator=torch.manual_seed(1))}
        if bias:
            weights["linear.bias"] = torch.ones(n_out)
        save_file({**weights, **(tensors or {})}, root / folder / "model.safetensors")

    return edit


def layer_norm(folder: str) -> Edit:
    """A LayerNorm with weights."""

    def edit(root: Path) -> None:
        put(**{f"{folder}__config": {"dimension": SIZE}})(root)
        save_file(
            {"norm.weight": torch.full((SIZE,), 2.0), "norm.bias": torch.zeros(SIZE)},
            root / folder / "model.safetensors",
        )

    return edit


def lstm(folder: str) -> Edit:
    """An LSTM with weights, and the Pooling after it."""
    made = torch.nn.LSTM(SIZE, 8, 1, bidirectional=True)

    def edit(root: Path) -> None:
        put(**{f"{folder}__lstm_config": {"word_embedding_dimension": SIZE, "hidden_dim": 8}})(root)
        pooling("mean_tokens", folder="2_Pooling")(root)
        weights = {f"encoder.{name}": value.clone() for name, value in made.state_dict().items()}
        save_file(weights, root / folder / "model.safetensors")

    return edit


def words(**settings: Any) -> Edit:
    """WordEmbeddings of five words."""
    home = f"{OLD}.tokenizer.WhitespaceTokenizer.WhitespaceTokenizer"
    known = {"vocab": ["vectors", "came", "out", "wrong", "word"], "stop_words": [], "do_lower_case": True}

    def edit(root: Path) -> None:
        put(
            **{
                "0_WordEmbeddings__wordembedding_config": {
                    "tokenizer_class": home,
                    "update_embeddings": False,
                    **settings,
                },
                "0_WordEmbeddings__whitespacetokenizer_config": known,
            }
        )(root)
        table = torch.randn(5, SIZE, generator=torch.manual_seed(3))
        save_file({"emb_layer.weight": table}, root / "0_WordEmbeddings" / "model.safetensors")

    return edit


def static(folder: str, *, name: str = "embedding.weight") -> Edit:
    """A StaticEmbedding with a table of 16 columns, and the tokenizer of the repository."""

    def edit(root: Path) -> None:
        (root / folder).mkdir(parents=True)
        table = torch.randn(30522, 16, generator=torch.manual_seed(2))
        save_file({name: table}, root / folder / "model.safetensors")
        shutil.copy(root / "tokenizer.json", root / folder / "tokenizer.json")

    return edit


def router(structure: Mapping[str, list[str]], types: Mapping[str, str]) -> Edit:
    """A Router in front, and nothing else."""
    document = {
        "types": types,
        "structure": structure,
        "parameters": {"default_route": next(iter(structure))},
    }
    return every(modules(f"{NEW_BASE}.router.Router"), put(**{"0_Router__router_config": document}))


TANH = "torch.nn.modules.activation.Tanh"
EDITS: dict[str, Edit] = {
    "as it is": lambda _folder: None,
    "new type names": modules(
        f"{NEW_BASE}.transformer.Transformer", f"{NEW}.pooling.Pooling", f"{NEW_BASE}.normalize.Normalize"
    ),
    "no Normalize": old_modules("Transformer", "Pooling"),
    "cls by its flag": pooling("cls_token"),
    "max by its flag": pooling("max_tokens"),
    "square root by its flag": pooling("mean_sqrt_len_tokens"),
    "weighted mean by its flag": pooling("weightedmean_tokens"),
    "last token by its flag": pooling("lasttoken"),
    "three flags": pooling("lasttoken", "mean_tokens", "cls_token"),
    "no flag set": pooling(),
    "cls alone in the file": put(
        **{"1_Pooling__config": {"word_embedding_dimension": SIZE, "pooling_mode_cls_token": True}}
    ),
    "no flag in the file": put(**{"1_Pooling__config": {"word_embedding_dimension": SIZE}}),
    "prompt not pooled": pooling("mean_tokens", include_prompt=False),
    "mode by name": new_pooling(pooling_mode="cls"),
    "modes by name": new_pooling(pooling_mode=["mean", "cls"]),
    "name against flags": new_pooling(pooling_mode="max", pooling_mode_mean_tokens=True),
    "new format without a mode": new_pooling(),
    "a mode nobody knows": new_pooling(pooling_mode="median"),
    "no modules.json": put(modules=None),
    "no modules.json, and prompts": every(
        put(modules=None), change("config_sentence_transformers", prompts={"query": "q: "})
    ),
    "no modules.json, another length in the settings": every(
        put(modules=None), change("sentence_bert_config", max_seq_length=64)
    ),
    "no modules.json, a causal model": every(
        put(modules=None), change("config", architectures=["BertForCausalLM"])
    ),
    "no modules.json, a causal model that looks both ways": every(
        put(modules=None), change("config", architectures=["BertForCausalLM"], is_causal=False)
    ),
    "Pooling without settings": put(**{"1_Pooling__config": None}),
    "Dense": every(
        old_modules("Transformer", "Pooling", "Dense"),
        dense("2_Dense", SIZE, 64, activation_function=TANH),
    ),
    "Dense without an activation": every(
        old_modules("Transformer", "Pooling", "Dense"), dense("2_Dense", SIZE, 64)
    ),
    "Dense with the identity and no bias": every(
        old_modules("Transformer", "Pooling", "Dense", "Normalize"),
        dense("2_Dense", SIZE, 64, bias=False, activation_function="torch.nn.modules.linear.Identity"),
    ),
    "Dense after Normalize": every(
        old_modules("Transformer", "Pooling", "Normalize", "Dense"),
        dense("3_Dense", SIZE, 32, activation_function="torch.nn.ReLU"),
    ),
    "Dense with an activation that is not torch's": every(
        old_modules("Transformer", "Pooling", "Dense"),
        dense("2_Dense", SIZE, 64, activation_function="os.path.join"),
    ),
    "Dense with a residual": every(
        modules(f"{NEW_BASE}.transformer.Transformer", f"{NEW}.pooling.Pooling", f"{NEW_BASE}.dense.Dense"),
        dense(
            "2_Dense", SIZE, SIZE, activation_function="torch.nn.modules.activation.GELU", use_residual=True
        ),
    ),
    "Dense with a residual of its own": every(
        old_modules("Transformer", "Pooling", "Dense"),
        dense("2_Dense", SIZE, 8, tensors={"residual.weight": torch.ones(8, SIZE)}, use_residual=True),
    ),
    "two Dense": every(
        old_modules("Transformer", "Pooling", "Dense", "Dense", "Normalize"),
        dense("2_Dense", SIZE, 512, activation_function=TANH),
        dense("3_Dense", 512, 64, activation_function="torch.nn.Identity"),
    ),
    "LayerNorm after Normalize": every(
        old_modules("Transformer", "Pooling", "Normalize", "LayerNorm"), layer_norm("3_LayerNorm")
    ),
    "Normalize before Pooling": every(
        old_modules("Transformer", "Normalize", "Pooling"), pooling("mean_tokens", folder="2_Pooling")
    ),
    "Normalize of tokens": every(
        old_modules("Transformer", "Pooling", "Normalize"),
        put(**{"2_Normalize__config": {"module_input_name": "token_embeddings"}}),
    ),
    "Dropout": every(
        old_modules("Transformer", "Pooling", "Dropout"), put(**{"2_Dropout__config": {"dropout": 0.5}})
    ),
    "two Pooling": every(
        old_modules("Transformer", "Pooling", "Pooling"),
        pooling("cls_token", folder="2_Pooling"),
    ),
    "StaticEmbedding": every(old_modules("StaticEmbedding"), static("0_StaticEmbedding")),
    "StaticEmbedding as model2vec names it": every(
        modules(f"{NEW}.static_embedding.StaticEmbedding", f"{NEW_BASE}.normalize.Normalize"),
        static("0_StaticEmbedding", name="embeddings"),
    ),
    "Router, the same module on both routes": every(
        router({"query": ["a_Static"], "document": ["a_Static"]}, {"a_Static": f"{NEW}.StaticEmbedding"}),
        static("0_Router/a_Static"),
    ),
    "another length": change("sentence_bert_config", max_seq_length=32),
    "a length beyond the positions": change("sentence_bert_config", max_seq_length=600),
    "no length in the settings": change("sentence_bert_config", max_seq_length=None),
    "no settings of the Transformer": put(sentence_bert_config=None),
    "settings under another name": every(
        put(sentence_bert_config=None), put(sentence_roberta_config={"max_seq_length": 48})
    ),
    "length of the tokenizer alone": every(
        put(sentence_bert_config=None), change("tokenizer_config", model_max_length=100)
    ),
    "no length of the tokenizer": every(
        put(sentence_bert_config=None), change("tokenizer_config", model_max_length=None)
    ),
    "no length anywhere but the default": every(
        put(sentence_bert_config=None),
        change("tokenizer_config", model_max_length=None),
        change("config", max_position_embeddings=None),
    ),
    "length as an argument of the tokenizer": change(
        "sentence_bert_config", max_seq_length=None, tokenizer_args={"model_max_length": 40}
    ),
    "two lengths": change("sentence_bert_config", tokenizer_args={"model_max_length": 40}),
    "settings in the new format": put(
        sentence_bert_config={
            "transformer_task": "feature-extraction",
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            "module_output_name": "token_embeddings",
        }
    ),
    "cased tokenizer": change("tokenizer_config", do_lower_case=False),
    "cased tokenizer, lowercased by the settings": every(
        change("tokenizer_config", do_lower_case=False), change("sentence_bert_config", do_lower_case=True)
    ),
    "casing not declared": change("tokenizer_config", do_lower_case=None),
    "padding on the left": change("tokenizer_config", padding_side="left"),
    "no tokenizer_config.json": put(tokenizer_config=None),
    "prompts": change("config_sentence_transformers", prompts={"query": "query: ", "other": "", "x": "y "}),
    "default prompt": change(
        "config_sentence_transformers", prompts={"query": "query: "}, default_prompt_name="query"
    ),
    "default prompt that is empty": change("config_sentence_transformers", default_prompt_name="document"),
    "default prompt that nobody knows": change("config_sentence_transformers", default_prompt_name="other"),
    "similarity": change("config_sentence_transformers", similarity_fn_name="dot"),
    "similarity that nobody knows": change("config_sentence_transformers", similarity_fn_name="maxsim"),
    "cut after Normalize": change("config_sentence_transformers", truncate_dim=128),
    "cut at more than there is": change("config_sentence_transformers", truncate_dim=1000),
    "no config_sentence_transformers.json": put(config_sentence_transformers=None),
    "another kind of model": change("config_sentence_transformers", model_type="SparseEncoder"),
    "prompts that are null": write("config_sentence_transformers", prompts=None),
    "a prompt that is a number": change("config_sentence_transformers", prompts={"query": 5}),
    "another prompt that is a number": change("config_sentence_transformers", prompts={"x": 5}),
    "a prompt that is an array": change("config_sentence_transformers", prompts={"query": ["a", "b"]}),
    "a prompt that is null": change("config_sentence_transformers", prompts={"query": None}),
    "default prompt that is an array": change(
        "config_sentence_transformers", prompts={"x": ["a"]}, default_prompt_name="x"
    ),
    "default prompt without a name": change("config_sentence_transformers", default_prompt_name=""),
    "default prompt by a number": change("config_sentence_transformers", default_prompt_name=5),
    "cut at a text": change("config_sentence_transformers", truncate_dim="8"),
    "cut at a fraction": change("config_sentence_transformers", truncate_dim=8.0),
    "cut at nothing": change("config_sentence_transformers", truncate_dim=0),
    "cut at false": change("config_sentence_transformers", truncate_dim=False),
    "cut at true": change("config_sentence_transformers", truncate_dim=True),
    "cut from the end": change("config_sentence_transformers", truncate_dim=-1),
    "cut from the end, all of it": change("config_sentence_transformers", truncate_dim=-400),
    "no Pooling": old_modules("Transformer"),
    "no Pooling, and Normalize": old_modules("Transformer", "Normalize"),
    "Pooling alone": modules(f"{OLD}.Pooling"),
    "Pooling first": every(old_modules("Pooling", "Transformer"), pooling("mean_tokens", folder="0_Pooling")),
    "Normalize before the Transformer": every(
        old_modules("Normalize", "Transformer", "Pooling"), pooling("mean_tokens", folder="2_Pooling")
    ),
    "Dropout before Pooling": every(
        old_modules("Transformer", "Dropout", "Pooling"),
        put(**{"1_Dropout__config": {"dropout": 0.5}}),
        pooling("mean_tokens", folder="2_Pooling"),
    ),
    "Dense before Pooling": every(
        old_modules("Transformer", "Dense", "Pooling"),
        dense("1_Dense", SIZE, 64),
        pooling("mean_tokens", folder="2_Pooling"),
    ),
    "Dense of something that nobody makes": every(
        old_modules("Transformer", "Pooling", "Dense"), dense("2_Dense", SIZE, 64, module_input_name="foo")
    ),
    "Dense for another width": every(
        old_modules("Transformer", "Pooling", "Dense"),
        new_pooling(pooling_mode=["mean", "cls"]),
        dense("2_Dense", SIZE, 64),
    ),
    "Pooling in the place of the Transformer": named("0", "0", "2"),
    "Normalize in the place of Pooling": named("0", "1", "1"),
    "LSTM of tokens": every(old_modules("Transformer", "LSTM", "Pooling"), lstm("1_LSTM")),
    "LayerNorm before Pooling": every(
        old_modules("Transformer", "LayerNorm", "Pooling"),
        layer_norm("1_LayerNorm"),
        pooling("mean_tokens", folder="2_Pooling"),
    ),
    "StaticEmbedding and Pooling": every(
        old_modules("StaticEmbedding", "Pooling"), static("0_StaticEmbedding")
    ),
    "no mode in the array": new_pooling(pooling_mode=[]),
    "an array in an array": new_pooling(pooling_mode=[["mean"]]),
    "two modes in an array in an array": new_pooling(pooling_mode=[["mean", "cls"]]),
    "two arrays of modes": new_pooling(pooling_mode=[["mean"], ["cls"]]),
    "modes as keys": new_pooling(pooling_mode={"max": 1}),
    "mode that is null": write("1_Pooling/config", embedding_dimension=SIZE, pooling_mode=None),
    "width of Pooling that is null": write("1_Pooling/config", embedding_dimension=None),
    "length as a text": change("sentence_bert_config", max_seq_length="128"),
    "length with a fraction": change("sentence_bert_config", max_seq_length=128.5),
    "length below nothing": change("sentence_bert_config", max_seq_length=-1),
    "length of no number": change("sentence_bert_config", max_seq_length=float("nan")),
    "length of nothing": change("sentence_bert_config", max_seq_length=0),
    "length of one": change("sentence_bert_config", max_seq_length=1),
    "length of two": change("sentence_bert_config", max_seq_length=2),
    "endless length": change("sentence_bert_config", max_seq_length=1e30),
    "infinite length": change("sentence_bert_config", max_seq_length=float("inf")),
    "length beyond 64 bits": change("sentence_bert_config", max_seq_length=2**64),
    **{
        f"length of the tokenizer, {name}": every(
            put(sentence_bert_config=None), change("tokenizer_config", model_max_length=value)
        )
        for name, value in {
            "a text": "77",
            "a fraction": 77.0,
            "a large fraction": 600.0,
            "below nothing": -5,
            "nothing": 0,
            "an array": [],
            "no number": float("nan"),
            "infinite": float("inf"),
        }.items()
    },
    "length of the tokenizer, a text that is not read": change("tokenizer_config", model_max_length="77"),
    "length of the tokenizer by its former name": every(
        put(sentence_bert_config=None), change("tokenizer_config", model_max_length=None, max_len=66)
    ),
    "length of the tokenizer by both names": every(
        put(sentence_bert_config=None), change("tokenizer_config", max_len=66)
    ),
    "length as an argument that is a text": change(
        "sentence_bert_config", tokenizer_args={"model_max_length": "40"}
    ),
    "length as an argument that is null": change(
        "sentence_bert_config", tokenizer_args={"model_max_length": None}
    ),
    **{
        f"{name} of the tokenizer, {value!r}": write("tokenizer_config", **{name: value})
        for name, values in {
            "do_lower_case": (None, "false", 0),
            "strip_accents": (None, 1),
            "tokenize_chinese_chars": (None, "x"),
            "padding_side": ("middle", None),
            "truncation_side": ("middle", None),
        }.items()
        for value in values
    },
    "casing as an argument of the tokenizer": change(
        "sentence_bert_config", tokenizer_args={"do_lower_case": 1}
    ),
    "casing that no tokenizer of the kind reads": write(
        "tokenizer_config", do_lower_case="x", tokenizer_class="PreTrainedTokenizerFast"
    ),
    "tokenizer settings in an array": put(tokenizer_config=[]),
    **{
        f"settings of the Transformer, {value!r}": put(sentence_bert_config=value)
        for value in ([], "", 0, False, {}, [1])
    },
    "settings of the Transformer under the next name": put(
        sentence_bert_config=[], sentence_roberta_config={"max_seq_length": 48}
    ),
    "settings of Normalize in an array": put(**{"2_Normalize__config": []}),
    "Router with folders of any name": every(
        router({"query": ["q-T"], "document": ["q-T"]}, {"q-T": f"{NEW}.StaticEmbedding"}),
        static("0_Router/q-T"),
    ),
    "Asym with folders of any name": every(
        old_modules("Transformer", "Pooling", "Asym"),
        put(
            **{
                "2_Asym__config": {
                    "types": {"q-0": f"{OLD}.Dense", "d-0": f"{OLD}.Dense"},
                    "structure": {"q": ["q-0"], "d": ["d-0"]},
                    "parameters": {"allow_empty_key": True},
                }
            }
        ),
        dense("2_Asym/q-0", SIZE, 64),
        dense("2_Asym/d-0", SIZE, 64),
    ),
    "words": every(old_modules("WordEmbeddings", "Pooling"), words(max_seq_length=100)),
    "words, a length with a fraction": every(
        old_modules("WordEmbeddings", "Pooling"), words(max_seq_length=1.5)
    ),
}
FIELDS = tuple(
    field.name
    for field in attrs.fields(EmbeddingPipeline)
    if field.name not in {"truncates", "failure", "notes"}
)
"""What is compared: everything but what has no counterpart in the program."""
NOT_COMPARED = {
    "StaticEmbedding": ("pooling", "lowercase", "padding_side"),
    "StaticEmbedding as model2vec names it": ("pooling", "lowercase", "padding_side"),
    "Router, the same module on both routes": ("pooling", "lowercase", "padding_side"),
    "Router with folders of any name": ("pooling", "lowercase", "padding_side"),
    "Asym with folders of any name": ("dense", "modules"),
    "casing that no tokenizer of the kind reads": ("lowercase", "padding_side"),
    "words": ("lowercase", "padding_side"),
}
"""Fields that the program does not tell, or that `tokenizer.json` alone decides, which is not read."""


@attrs.frozen
class Seen:
    """What was predicted for a folder, and what the real program made of it."""

    predicted: LoadPrediction
    observed: Mapping[str, Any]


@pytest.fixture(scope="module")
def seen(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Seen]]:
    """Every edit of the repository, built."""
    home = tmp_path_factory.mktemp("pipelines")
    folders = {name: home / f"model-{index}" for index, name in enumerate(EDITS)}
    for name, folder in folders.items():
        shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors", ".*", "*.md"))
        os.link(minilm / "model.safetensors", folder / "model.safetensors")
        EDITS[name](folder)
    told = _run([*map(str, folders.values())], home)
    yield {
        name: Seen(predict_load(folder, LOADER), json.loads(line))
        for (name, folder), line in zip(folders.items(), told, strict=True)
    }
    shutil.rmtree(home)


def _run(folders: list[str], home: Path) -> list[str]:
    if not (ENVIRONMENT / "made-from.txt").is_file():
        pytest.fail("no environment; run: python tests/interop/make_environments.py")
    script = HERE / "pipelines_with_sentence_transformers.py"
    ran = subprocess.run(
        [str(ENVIRONMENT / "bin" / "python"), "-W", "ignore", str(script)],
        input="".join(f"{folder}\n" for folder in folders),
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize("name", EDITS)
def test_what_is_read_is_what_is_built(name: str, seen: Mapping[str, Seen]) -> None:
    """Every field of the pipeline that is read has the value that the real program shows."""
    predicted, observed = seen[name].predicted, seen[name].observed

    assert (predicted.outcome is Outcome.REFUSED) is (observed["error"] is not None), observed["error"]
    if predicted.pipeline is None:
        assert predicted.outcome is Outcome.REFUSED
        return
    failed = observed.get("encoding_error")
    assert bool(predicted.pipeline.failure) is (failed is not None), failed
    assert predicted.pipeline.failure in " ".join(predicted.reasons)
    if failed is not None:
        return
    assert predicted.outcome is not Outcome.UNKNOWN, predicted.reasons
    read = to_jsonable(predicted.pipeline)
    for layer in read["dense"]:
        layer.pop("path")
    compared = [field for field in FIELDS if field not in NOT_COMPARED.get(name, ())]
    assert {field: read[field] for field in compared} == {field: observed[field] for field in compared}
