"""Fields: what can change an embedding is told so, and what is not known counts as able to."""

import pytest

from embaudit.diffing.fields import document_kind, field_meaning
from embaudit.model.frozen import JSON

CONFIG, ST, TOKENIZER = "config.json", "config_sentence_transformers.json", "tokenizer_config.json"

AFFECTS = [
    (CONFIG, ("hidden_size",)),
    (CONFIG, ("num_hidden_layers",)),
    (CONFIG, ("num_attention_heads",)),
    (CONFIG, ("intermediate_size",)),
    (CONFIG, ("vocab_size",)),
    (CONFIG, ("type_vocab_size",)),
    (CONFIG, ("hidden_act",)),
    (CONFIG, ("layer_norm_eps",)),
    (CONFIG, ("max_position_embeddings",)),
    (CONFIG, ("pad_token_id",)),
    (CONFIG, ("position_embedding_type",)),
    (CONFIG, ("model_type",)),
    (CONFIG, ("architectures",)),
    (CONFIG, ("torch_dtype",)),
    (CONFIG, ("dtype",)),
    (CONFIG, ("rope_scaling", "factor")),
    (CONFIG, ("rope_parameters", "rope_theta")),
    (CONFIG, ("sliding_window",)),
    (CONFIG, ("is_causal",)),
    (CONFIG, ("is_decoder",)),
    (CONFIG, ("auto_map", "AutoModel")),
    (CONFIG, ("transformers_weights",)),
    (CONFIG, ("a_field_of_tomorrow",)),
    (CONFIG, ("text_config", "a_field_of_tomorrow")),
    (CONFIG, ()),
    ("onnx/config.json", ("hidden_size",)),
    ("modules.json", (2,)),
    ("modules.json", (2, "type")),
    ("modules.json", (1, "path")),
    ("modules.json", (0, "kwargs")),
    ("1_Pooling/config.json", ("pooling_mode_cls_token",)),
    ("1_Pooling/config.json", ("pooling_mode",)),
    ("1_Pooling/config.json", ("include_prompt",)),
    ("2_Dense/config.json", ("activation_function",)),
    ("2_Dense/config.json", ("use_residual",)),
    ("sentence_bert_config.json", ("max_seq_length",)),
    ("0_Transformer/sentence_xlm-roberta_config.json", ("do_lower_case",)),
    (ST, ("prompts", "query")),
    (ST, ("default_prompt_name",)),
    (ST, ("truncate_dim",)),
    (TOKENIZER, ("do_lower_case",)),
    (TOKENIZER, ("model_max_length",)),
    (TOKENIZER, ("padding_side",)),
    (TOKENIZER, ("truncation_side",)),
    (TOKENIZER, ("tokenizer_class",)),
    (TOKENIZER, ("added_tokens_decoder", "0", "content")),
    ("special_tokens_map.json", ("cls_token", "lstrip")),
    ("added_tokens.json", ("[NEW]",)),
    ("tokenizer.json", ("normalizer",)),
    ("tokenizer.json", ("model", "vocab")),
    ("vocab.json", ("the",)),
    ("adapter_config.json", ("base_model_name_or_path",)),
    ("router_config.json", ("structure",)),
    ("model.safetensors.index.json", ("metadata", "dtype")),
    ("something_else.json", ("x",)),
]

HARMLESS = [
    (CONFIG, ("transformers_version",)),
    (CONFIG, ("use_cache",)),
    (CONFIG, ("initializer_range",)),
    (CONFIG, ("hidden_dropout_prob",)),
    (CONFIG, ("attention_probs_dropout_prob",)),
    (CONFIG, ("gradient_checkpointing",)),
    (CONFIG, ("id2label", "0")),
    (CONFIG, ("_name_or_path",)),
    ("modules.json", (0, "idx")),
    ("modules.json", (0, "name")),
    (ST, ("similarity_fn_name",)),
    (ST, ("__version__", "pytorch")),
    (TOKENIZER, ("clean_up_tokenization_spaces",)),
    (TOKENIZER, ("name_or_path",)),
    ("tokenizer.json", ("decoder",)),
    ("tokenizer.json", ("version",)),
    ("generation_config.json", ("temperature",)),
    ("trainer_state.json", ("epoch",)),
    ("model.safetensors.index.json", ("metadata", "total_size")),
]


def name_of(row: tuple[str, tuple[str | int, ...]]) -> str:
    """A row as a test's id."""
    return ":".join((row[0], *map(str, row[1])))


@pytest.mark.parametrize("row", AFFECTS, ids=name_of)
def test_a_field_that_can_change_an_embedding_says_how(row: tuple[str, tuple[str | int, ...]]) -> None:
    """Known to matter, or not known to be harmless."""
    meaning = field_meaning(document_kind(row[0]), row[1])

    assert meaning.affects_embeddings
    assert meaning.why.endswith(".")


@pytest.mark.parametrize("row", HARMLESS, ids=name_of)
def test_a_harmless_field_says_why(row: tuple[str, tuple[str | int, ...]]) -> None:
    """Only what is known to be harmless is called so."""
    meaning = field_meaning(document_kind(row[0]), row[1])

    assert not meaning.affects_embeddings
    assert meaning.why.endswith(".")


@pytest.mark.parametrize(
    ("old", "new", "affects"),
    [
        ("a/b", "c/d", False),
        ("jinaai/jina-bert-implementation", "c/d", True),
        ("a/b", "jinaai/jina-bert-v2-qk-post-norm", True),
        (None, "jinaai/jina-bert-implementation-of-mine", False),
    ],
)
def test_the_name_that_text_embeddings_inference_compares_matters(
    old: JSON, new: JSON, affects: bool
) -> None:
    """`_name_or_path` is harmless, except where TEI recognises a Jina model by it."""
    meaning = field_meaning(document_kind(CONFIG), ("_name_or_path",), old, new)

    assert meaning.affects_embeddings is affects


@pytest.mark.parametrize(
    ("steps", "kind"),
    [((0, "idx"), "modules.json"), (("metadata", "total_size"), "x.safetensors.index.json")],
)
def test_a_pattern_does_not_match_keys_that_only_look_like_it(
    steps: tuple[str | int, ...], kind: str
) -> None:
    """A key that holds a dot or a star is not taken for a way through the document."""
    dotted = (".".join("*" if isinstance(step, int) else step for step in steps),)

    assert not field_meaning(document_kind(kind), steps).affects_embeddings
    assert field_meaning(document_kind(kind), dotted).affects_embeddings
    assert field_meaning(document_kind(kind), ("*", *steps[1:])).affects_embeddings
