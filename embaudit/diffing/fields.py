"""Which settings of a model repository can change an embedding, and how.

Knows the JSON files that the loaders of the field read, and their fields, as of transformers 4.30 to 5.23,
sentence-transformers 2.2 to 6.0 and text-embeddings-inference (TEI) 0.1 to 1.9. Fails closed: a field that no
table here calls harmless counts as one that can change an embedding. Refuses to judge values, with the one
exception of names that TEI itself compares.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

import attrs

from embaudit.model.files import FileKind, kind_of
from embaudit.model.frozen import JSON

Steps = tuple[str | int, ...]
"""The way to a field: keys of objects, and positions in arrays."""

_Pattern = tuple[str | None, ...]
"""As `Steps`, with None for any position in an array."""


@attrs.frozen(kw_only=True)
class FieldMeaning:
    """What a change of a field means for embeddings.

    Attributes:
        affects_embeddings: Whether it can change one.
        why: One sentence that says how, or why not.
    """

    affects_embeddings: bool
    why: str


@attrs.frozen(kw_only=True)
class DocumentKind:
    """One kind of JSON file that loaders read.

    Attributes:
        fields: Pattern of a field to its meaning, which holds for everything below the field too.
        otherwise: The meaning of all other fields.
    """

    fields: Mapping[_Pattern, FieldMeaning] = attrs.field(factory=dict)
    otherwise: FieldMeaning


def _affects(why: str) -> FieldMeaning:
    return FieldMeaning(affects_embeddings=True, why=why)


def _harmless(why: str) -> FieldMeaning:
    return FieldMeaning(affects_embeddings=False, why=why)


def _table(*rows: tuple[str, FieldMeaning]) -> dict[_Pattern, FieldMeaning]:
    """Rows of field names, separated by spaces, and the meaning that they share."""
    return {
        tuple(None if step == "*" else step for step in name.split(".")): meaning
        for names, meaning in rows
        for name in names.split()
    }


NOT_KNOWN = _affects("The field is not known to be harmless.")

_SIZE = _affects("The model is built with this size; with another one it has other layers or does not load.")
_LAYERS = _affects("Loaders build this many layers and leave further ones in the weight file unread.")
_ACTIVATION = _affects("Another activation function gives other hidden states.")
_EPSILON = _affects("The constant is added in every normalisation layer.")
_POSITIONS = _affects("Decides how the position of a token enters the model.")
_ATTENTION = _affects("Decides which tokens see each other, or how attention is computed.")
_DTYPE = _affects("transformers 5 computes in this type; 4.x does so only if asked, and else in float32.")
_RANDOM = _harmless("Acts in training only: dropout is off and nothing is initialised at inference.")
_PROVENANCE = _harmless("Records how the file was made; no loader acts on it.")
_LABELS = _harmless("Belongs to classification heads, which embeddings do not pass.")
_ORIGINAL_BERT = _harmless("Left over from the first BERT release; no loader of the field reads it.")

MODEL = DocumentKind(
    fields=_table(
        ("hidden_size intermediate_size embedding_size vocab_size type_vocab_size head_dim", _SIZE),
        ("num_attention_heads num_key_value_heads dim hidden_dim n_heads d_model d_kv d_ff", _SIZE),
        ("n_embd n_head n_inner num_heads", _SIZE),
        ("num_hidden_layers n_layers n_layer num_layers", _LAYERS),
        ("hidden_act activation hidden_activation activation_function", _ACTIVATION),
        ("layer_norm_eps layer_norm_epsilon rms_norm_eps norm_eps", _EPSILON),
        ("layer_norm_type", _affects("Another normalisation gives other hidden states.")),
        ("position_embedding_type rope_theta rope_scaling rope_parameters global_rope_theta", _POSITIONS),
        ("local_rope_theta rope_local_base_freq partial_rotary_factor rotary_emb_base", _POSITIONS),
        ("rotary_emb_fraction relative_attention max_relative_positions position_buckets", _POSITIONS),
        ("sliding_window use_sliding_window max_window_layers layer_types local_attention", _ATTENTION),
        ("global_attn_every_n_layers is_causal is_decoder use_bidirectional_attention", _ATTENTION),
        ("add_cross_attention attention_bias attn_implementation _attn_implementation", _ATTENTION),
        ("torch_dtype dtype", _DTYPE),
        (
            "max_position_embeddings max_trained_positions",
            _affects("Sizes the position table, and cuts texts where no max_seq_length is set."),
        ),
        (
            "pad_token_id",
            _affects("Models of the RoBERTa family count positions from it; padding is masked by it."),
        ),
        ("model_type", _affects("Selects the code that the weights are loaded into.")),
        (
            "architectures",
            _affects(
                "sentence-transformers from 5.4 on pools the last token of a `*ForCausalLM` by default; TEI"
                " takes `*Classification` for a classifier."
            ),
        ),
        (
            "auto_map",
            _affects("Names python code that runs instead of the loader's own, if that is allowed."),
        ),
        (
            "transformers_weights",
            _affects("Sends transformers from 4.52 on to another weight file; older versions ignore it."),
        ),
        ("quantization_config", _affects("The weights are loaded as other numbers.")),
        (
            "tie_word_embeddings",
            _affects("Decides whether a table that is not stored is filled from the one that is."),
        ),
        ("hidden_dropout_prob attention_probs_dropout_prob attention_dropout hidden_dropout", _RANDOM),
        ("dropout embd_pdrop resid_pdrop attn_pdrop classifier_dropout embedding_dropout", _RANDOM),
        ("mlp_dropout seq_classif_dropout qa_dropout summary_first_dropout", _RANDOM),
        ("initializer_range initializer_factor initializer_cutoff_factor", _RANDOM),
        ("gradient_checkpointing", _RANDOM),
        ("transformers_version _commit_hash", _PROVENANCE),
        ("use_cache", _harmless("Keeps keys and values for the next token; one pass over a text has none.")),
        ("output_attentions output_hidden_states", _harmless("Returns more, and computes the same.")),
        ("id2label label2id num_labels problem_type finetuning_task", _LABELS),
        ("directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers", _ORIGINAL_BERT),
        ("pooler_size_per_head pooler_type", _ORIGINAL_BERT),
        ("_name_or_path", _PROVENANCE),
    ),
    otherwise=NOT_KNOWN,
)

_TEI_JINA_NAMES = {"jinaai/jina-bert-implementation", "jinaai/jina-bert-v2-qk-post-norm"}
"""Values of `_name_or_path` that turn TEI's BERT into Jina's: backends/candle/src/lib.rs at 0d124dc."""
_TEI_JINA = _affects("TEI takes a BERT model of this name for Jina's, which computes otherwise.")

MODULES = DocumentKind(
    fields=_table(
        ("*.idx *.name", _harmless("Modules run in the order of the file, whatever they are called.")),
        ("*.type", _affects("Another class of module: pooling, projection or normalisation differ.")),
        ("*.path", _affects("The module reads its settings and weights from another folder.")),
    ),
    otherwise=_affects("The list of modules is the pipeline from tokens to embedding."),
)
POOLING = DocumentKind(
    fields=_table(
        (
            "include_prompt",
            _affects("Decides whether the prompt's tokens are pooled; TEI ignores it and pools them."),
        ),
        (
            "word_embedding_dimension embedding_dimension",
            _affects("Declares the width of the embedding for the modules that follow."),
        ),
    ),
    otherwise=_affects("Decides how token vectors become one embedding."),
)
DENSE = DocumentKind(otherwise=_affects("Decides the projection that the embedding passes after pooling."))
TRANSFORMER_SETTINGS = DocumentKind(
    fields=_table(
        ("max_seq_length", _affects("Texts are cut at this many tokens.")),
        ("do_lower_case", _affects("sentence-transformers lowercases texts; TEI ignores this field.")),
    ),
    otherwise=NOT_KNOWN,
)
SENTENCE_TRANSFORMERS = DocumentKind(
    fields=_table(
        ("prompts", _affects("sentence-transformers puts the prompt in front of a text.")),
        (
            "default_prompt_name",
            _affects("sentence-transformers puts this prompt in front of every text; TEI and others do not."),
        ),
        ("truncate_dim", _affects("Embeddings are cut to this many dimensions.")),
        (
            "similarity_fn_name",
            _harmless("Decides how scores are computed from embeddings, not the embeddings."),
        ),
        ("__version__", _PROVENANCE),
    ),
    otherwise=NOT_KNOWN,
)

_SPECIAL_TOKEN = _affects("Special tokens are put around texts, or stand for padding and unknown words.")
_CUT = _affects("Decides where texts are cut or padded.")
_SPLIT = _affects("The same text is split into other tokens.")

TOKENIZER_CONFIG = DocumentKind(
    fields=_table(
        ("do_lower_case strip_accents tokenize_chinese_chars do_basic_tokenize never_split", _SPLIT),
        ("add_prefix_space tokenizer_class sp_model_kwargs legacy", _SPLIT),
        ("model_max_length max_length padding_side truncation_side truncation_strategy stride", _CUT),
        ("cls_token sep_token pad_token unk_token mask_token bos_token eos_token", _SPECIAL_TOKEN),
        ("add_bos_token add_eos_token additional_special_tokens added_tokens_decoder", _SPECIAL_TOKEN),
        ("model_input_names", _affects("Decides whether token types reach the model.")),
        ("auto_map", _affects("Names python code that tokenizes instead of the loader's own, if allowed.")),
        ("clean_up_tokenization_spaces", _harmless("Acts when tokens are turned back into text.")),
        ("name_or_path tokenizer_file special_tokens_map_file", _PROVENANCE),
    ),
    otherwise=NOT_KNOWN,
)
SPECIAL_TOKENS = DocumentKind(otherwise=_SPECIAL_TOKEN)
ADDED_TOKENS = DocumentKind(otherwise=_affects("These words are kept whole and have ids of their own."))
TOKENIZER = DocumentKind(
    fields=_table(
        ("version", _PROVENANCE),
        ("decoder", _harmless("Acts when tokens are turned back into text.")),
        ("truncation padding", _CUT),
        ("added_tokens post_processor", _SPECIAL_TOKEN),
        ("normalizer pre_tokenizer model", _SPLIT),
    ),
    otherwise=NOT_KNOWN,
)
VOCABULARY = DocumentKind(otherwise=_SPLIT)
WEIGHTS_INDEX = DocumentKind(
    fields=_table(
        (
            "metadata.total_size metadata.total_parameters",
            _harmless("A count that no loader acts on; the tensors themselves are compared."),
        ),
        ("metadata.dtype", _DTYPE),
    ),
    otherwise=NOT_KNOWN,
)
ADAPTER = DocumentKind(
    otherwise=_affects("transformers with peft loads the adapter's base model, and not this repository's.")
)
ROUTER = DocumentKind(otherwise=_affects("Decides which modules a text passes."))
GENERATION = DocumentKind(otherwise=_harmless("Settings of text generation; embeddings are not generated."))
TRAINING = DocumentKind(otherwise=_harmless("A record of the training; no loader reads it."))
UNKNOWN = DocumentKind(otherwise=_affects("What reads this file is not known."))

_BY_NAME = {
    "modules.json": MODULES,
    "config_sentence_transformers.json": SENTENCE_TRANSFORMERS,
    "tokenizer_config.json": TOKENIZER_CONFIG,
    "special_tokens_map.json": SPECIAL_TOKENS,
    "added_tokens.json": ADDED_TOKENS,
    "tokenizer.json": TOKENIZER,
    "vocab.json": VOCABULARY,
    "adapter_config.json": ADAPTER,
    "router_config.json": ROUTER,
    "generation_config.json": GENERATION,
    "data_config.json": TRAINING,
    "trainer_state.json": TRAINING,
    "train_results.json": TRAINING,
    "eval_results.json": TRAINING,
    "all_results.json": TRAINING,
}


def document_kind(path: str) -> DocumentKind:
    """Which kind of document a JSON file is, judged by its path alone.

    The folders that sentence-transformers writes name their module: `1_Pooling`, `2_Dense`.
    """
    pure = PurePosixPath(path)
    if pure.name == "config.json":
        folder = pure.parent.name.lower()
        if "pooling" in folder:
            return POOLING
        return DENSE if "dense" in folder else MODEL
    if pure.name.startswith("sentence_") and pure.name.endswith("_config.json"):
        return TRANSFORMER_SETTINGS
    if kind_of(path) is FileKind.WEIGHTS_INDEX:
        return WEIGHTS_INDEX
    return _BY_NAME.get(pure.name, UNKNOWN)


def field_meaning(kind: DocumentKind, steps: Steps, old: JSON = None, new: JSON = None) -> FieldMeaning:
    """What a change of the field from `old` to `new` means: the longest known part of its way decides."""
    if kind is MODEL and steps == ("_name_or_path",) and _TEI_JINA_NAMES & {str(old), str(new)}:
        return _TEI_JINA
    pattern = tuple(None if isinstance(step, int) else step for step in steps)
    known = (kind.fields.get(pattern[:length]) for length in range(len(pattern), 0, -1))
    return next((meaning for meaning in known if meaning is not None), kind.otherwise)
