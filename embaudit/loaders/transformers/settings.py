"""Fields of `config.json`, other than sizes, with which no model can be made.

Knows what a class of transformers' own refuses while it reads its configuration and makes its modules. The
rows were tried with the installed 4.57.1 and 5.23.0; the types of fields are the annotations of `@strict`
classes, which are alike in every wheel since 5.4.0:
https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/configuration_bert.py.
Refuses to know remote code, and fields that are in no row: what stands in those is taken to be right.
"""

from collections.abc import Callable, Iterator, Mapping

import attrs
from packaging.version import Version

from embaudit.architectures import complete_config
from embaudit.formats.fields import FLAG, INTEGER, NUMBER, TEXT, kind_of_value, quoted, quoted_value
from embaudit.loaders.transformers.eras import TransformersEra
from embaudit.model.architecture import Architecture
from embaudit.model.frozen import JSON

Problem = Callable[[JSON, Mapping[str, JSON]], str]
"""A field's value and the whole configuration to what is wrong with the value; empty if nothing is."""


@attrs.frozen(kw_only=True)
class FieldRule:
    """What some classes ask of one field where it is given.

    Attributes:
        field: The field.
        architectures: Names of the architectures whose classes ask for it.
        since: The first release that is known to.
        problem: What is wrong with a value.
    """

    field: str
    architectures: frozenset[str]
    since: Version
    problem: Problem


def refused_settings(
    architecture: Architecture, config: Mapping[str, JSON], era: TransformersEra
) -> Iterator[str]:
    """Why the release makes no model of a configuration, whatever its sizes are: one sentence each."""
    if architecture.remote_code:
        return
    complete = complete_config(architecture, config)
    for rule in RULES:
        if rule.field in config and architecture.name in rule.architectures and rule.since <= era.since:
            problem = rule.problem(config[rule.field], complete)
            if problem:
                yield f"No model can be made of the configuration: {rule.field} of config.json {problem}."


def unfollowed_settings(config: Mapping[str, JSON], era: TransformersEra) -> Iterator[str]:
    """Why it is not known here what the release makes of a configuration: one sentence each."""
    if config.get("pruned_heads") and "pruned_heads" not in era.unread_fields:
        yield "config.json names pruned_heads, and embaudit does not know how they change the shapes."


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENCODERS = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})
_BERTS = _ENCODERS | {"albert", "deberta-v2", "gte", "jina_embeddings_v3", "mpnet", "nomic_bert"}
_CAUSAL = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma3_text"})
_T5 = frozenset({"t5", "t5_encoder"})
_OTHERS = frozenset({"distilbert", "modernbert"})
_STRICT = Version("5.4.0")
_ALWAYS = Version("4.30.0")
_CHECKED = Version("4.57.0")

_ACTIVATIONS = _words(
    "gelu gelu_10 gelu_fast gelu_new gelu_python gelu_pytorch_tanh gelu_python_tanh gelu_accurate hardswish"
    " laplace leaky_relu linear mish quick_gelu relu relu2 relu6 sigmoid silu sqrtsoftplus swish tanh prelu"
    " xielu"
)
"""All that any release knows: `ACT2CLS` of
https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/activations.py."""
_LAYER_TYPES = _words(
    "full_attention sliding_attention chunked_attention window_attention indexed_attention"
    " compressed_sparse_attention heavily_compressed_attention minimax_m3_sparse conv moe hybrid"
    " hybrid_sliding reference_sliding_attention linear_attention sparse dense mamba attention"
    " deepseek_sparse_attention qwen_sparse_attention"
)
"""All that any release knows: `ALLOWED_LAYER_TYPES` of
https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/configuration_utils.py."""
_ROPE_TYPES = _words("default linear dynamic yarn longrope llama3 proportional su mrope")
"""All that any release knows: `ROPE_INIT_FUNCTIONS` of
https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/modeling_rope_utils.py, with two
older names of which the classes make others."""


def _unless(holds: Callable[[JSON], bool], wanted: str) -> Problem:
    def problem(value: JSON, _config: Mapping[str, JSON]) -> str:
        return "" if holds(value) else f"is {quoted_value(value)}, not {wanted}"

    return problem


def _or_null(holds: Callable[[JSON], bool]) -> Callable[[JSON], bool]:
    return lambda value: value is None or holds(value)


def _unknown_activation(value: JSON, _config: Mapping[str, JSON]) -> str:
    is_known = not isinstance(value, str) or value in _ACTIVATIONS
    return "" if is_known else f"is {quoted_value(value)}, which is no activation function"


def _outside_vocabulary(value: JSON, config: Mapping[str, JSON]) -> str:
    size = config.get("vocab_size")
    if not isinstance(size, int) or not isinstance(value, int) or value < size:
        return ""
    return "is no token of the vocabulary"


def _wrong_layer_types(value: JSON, config: Mapping[str, JSON]) -> str:
    if not isinstance(value, tuple):
        return ""
    strange = next((each for each in value if not isinstance(each, str) or each not in _LAYER_TYPES), None)
    if strange is not None:
        return f"names {quoted_value(strange)}, which is no kind of layer"
    count = config.get("num_hidden_layers")
    return f"names {len(value)} layers, not as many as num_hidden_layers" if count != len(value) else ""


def _unknown_rope(value: JSON, _config: Mapping[str, JSON]) -> str:
    kind = (value.get("rope_type") or value.get("type")) if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind in _ROPE_TYPES:
        return ""
    return f"is of type {quoted_value(kind)}, which is no kind of rotary positions"


def _uneven_heads(value: JSON, config: Mapping[str, JSON]) -> str:
    width = config.get("hidden_size")
    if not isinstance(value, int) or not isinstance(width, int) or (value > 0 and width % value == 0):
        return ""
    return "does not divide hidden_size"


def _wrong_labels(value: JSON, _config: Mapping[str, JSON]) -> str:
    if value is None:
        return ""
    if not isinstance(value, Mapping):
        return f"is {kind_of_value(value)}, not an object"
    strange = next((key for key in value if not _is_number(key)), None)
    return f"has a label {quoted(strange)}, which is no number" if strange is not None else ""


def _is_number(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


_FLOAT = _unless(lambda value: type(value) is float, "a number with a point or an exponent")
_TRUTH = _unless(FLAG.holds, "true or false")
_WORD = _unless(TEXT.holds, "a string")
_SHARE = _unless(NUMBER.holds, "a number")
_TOKEN = _unless(_or_null(INTEGER.holds), "an integer")

_TYPES: tuple[tuple[str, frozenset[str], Problem], ...] = (
    ("initializer_range", _BERTS | _CAUSAL | _OTHERS, _FLOAT),
    ("layer_norm_eps", _BERTS, _FLOAT),
    ("rms_norm_eps", _CAUSAL, _FLOAT),
    ("norm_eps", frozenset({"modernbert"}), _FLOAT),
    ("layer_norm_epsilon", _T5, _FLOAT),
    ("attention_dropout", _CAUSAL | _OTHERS, _unless(_or_null(NUMBER.holds), "a number")),
    ("use_cache", _ENCODERS | _CAUSAL | _T5 | {"jina_embeddings_v3"}, _TRUTH),
    ("tie_word_embeddings", (_BERTS - {"nomic_bert"}) | _CAUSAL | _OTHERS, _TRUTH),
    ("is_decoder", _ENCODERS | _T5, _TRUTH),
    ("add_cross_attention", _ENCODERS, _TRUTH),
    ("hidden_act", _BERTS | (_CAUSAL - {"gemma3_text"}), _WORD),
    ("hidden_activation", frozenset({"gemma3_text", "modernbert"}), _WORD),
    ("activation", frozenset({"distilbert"}), _WORD),
    ("pad_token_id", _BERTS | _CAUSAL | _OTHERS | _T5, _TOKEN),
    ("bos_token_id", _BERTS | _CAUSAL | _OTHERS, _TOKEN),
)
_VALUES: tuple[tuple[str, frozenset[str], Version, Problem], ...] = (
    ("hidden_act", _BERTS | (_CAUSAL - {"gemma3_text"}), _ALWAYS, _unknown_activation),
    ("hidden_activation", frozenset({"gemma3_text", "modernbert"}), _ALWAYS, _unknown_activation),
    ("activation", frozenset({"distilbert"}), _ALWAYS, _unknown_activation),
    ("id2label", _BERTS | _CAUSAL | _OTHERS | _T5, _ALWAYS, _wrong_labels),
    ("hidden_dropout_prob", _BERTS, _ALWAYS, _SHARE),
    ("attention_probs_dropout_prob", _BERTS, _ALWAYS, _SHARE),
    # MPNet's class has a number of its own for it.
    ("pad_token_id", (_BERTS - {"mpnet"}) | _CAUSAL | _OTHERS, _ALWAYS, _outside_vocabulary),
    ("layer_types", frozenset({"qwen2", "qwen3", "gemma3_text"}), _CHECKED, _wrong_layer_types),
    ("layer_types", frozenset({"modernbert"}), _STRICT, _wrong_layer_types),
    ("rope_scaling", _CAUSAL - {"gemma3_text"}, _CHECKED, _unknown_rope),
    ("num_attention_heads", frozenset({"modernbert"}), _ALWAYS, _uneven_heads),
)
RULES = (
    *(
        FieldRule(field=field, architectures=names, since=since, problem=problem)
        for field, names, since, problem in _VALUES
    ),
    *(
        FieldRule(field=field, architectures=names, since=_STRICT, problem=problem)
        for field, names, problem in _TYPES
    ),
)
"""Every rule that is known."""
