"""The naming rules that the field uses: how one parameter comes to be stored under several names.

Knows names and nothing else: no shapes, no values, no files. Each rule leads from a longer or older spelling
to the canonical one; two names that reach the same canonical form may stand for the same parameter, which is
for `embaudit.mapping.matching` to decide.

`encoder.` is deliberately no prefix here: in the BERT family and in encoder-decoder models it names a real
part of the model, and dropping it would pair an encoder's layer with the same layer of something else.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable

import attrs

MAX_STEPS = 16
"""Rewrites of one name. Real checkpoints need about four: `module.`, `_orig_mod.`, a prefix, a spelling."""


@attrs.frozen(kw_only=True)
class NamingRule:
    """One way in which a parameter's name changes between checkpoints.

    Attributes:
        name: What the rule is called.
        forward: What happened, said from a name that the rule rewrites to the canonical one.
        backward: The same, said from the canonical name.
        source: Who writes such names.
        rewrite: The name after one application, or the same name if the rule has nothing to say.
    """

    name: str
    forward: str
    backward: str
    source: str
    rewrite: Callable[[str], str] = attrs.field(eq=False, repr=False)


@attrs.frozen(kw_only=True)
class CanonicalName:
    """A name without its wrappers, in its newest spelling, and the rules that led there.

    Attributes:
        original: The name as stored.
        name: What is left when no rule has anything more to say.
        steps: The rules, in the order of their application.
    """

    original: str
    name: str
    steps: tuple[NamingRule, ...] = ()


def _without_prefix(prefix: str) -> Callable[[str], str]:
    def rewrite(name: str) -> str:
        return name[len(prefix) :] if name.startswith(prefix) and len(name) > len(prefix) else name

    return rewrite


def _without_component(component: str) -> Callable[[str], str]:
    first, inner = f"{component}.", f".{component}."

    def rewrite(name: str) -> str:
        if name.startswith(first) and len(name) > len(first):
            return name[len(first) :]
        before, found, after = name.partition(inner)
        return f"{before}.{after}" if found and after else name

    return rewrite


def _prefix_rule(prefix: str, source: str) -> NamingRule:
    return NamingRule(
        name=prefix,
        forward=f"prefix '{prefix}' removed",
        backward=f"prefix '{prefix}' added",
        source=source,
        rewrite=_without_prefix(prefix),
    )


def _component_rule(component: str, source: str) -> NamingRule:
    return NamingRule(
        name=f"{component}.",
        forward=f"wrapper '{component}.' removed",
        backward=f"wrapper '{component}.' added",
        source=source,
        rewrite=_without_component(component),
    )


_TORCH = "https://github.com/pytorch/pytorch/blob/v2.13.0/torch"
_BASE_PREFIX = "`base_model_prefix` of the model class in transformers 4.57"
_TEI_ROBERTA = "prefixes that text-embeddings-inference tries for roberta models (bert.rs, `load_roberta`)"
_SENTENCE = "state dict of a whole sentence-transformers model: module 0 holds the transformers model"

_WRAPPERS = (
    _component_rule("_orig_mod", f"torch.compile, {_TORCH}/_dynamo/eval_frame.py"),
    _component_rule("_fsdp_wrapped_module", f"FSDP, {_TORCH}/distributed/fsdp/_common_utils.py"),
    _component_rule(
        "_checkpoint_wrapped_module",
        f"activation checkpointing, {_TORCH}/distributed/algorithms/_checkpoint/checkpoint_wrapper.py",
    ),
    _prefix_rule("module.", f"DataParallel and DDP, see {_TORCH}/nn/modules/utils.py, line 48"),
)

_MODEL_PREFIXES = (
    ("0.auto_model.", _SENTENCE),
    ("0.model.", _SENTENCE),
    ("auto_model.", "state dict of the Transformer module of sentence-transformers"),
    ("model.", f"{_BASE_PREFIX} (modernbert, qwen2, llama, mistral, ...) and of many training wrappers"),
    ("transformer.", f"{_BASE_PREFIX} (xlnet, gpt2, ...)"),
    ("bert.", _BASE_PREFIX),
    ("roberta.", f"{_BASE_PREFIX} (roberta, xlm-roberta, camembert)"),
    ("xlm-roberta.", _TEI_ROBERTA),
    ("camembert.", _TEI_ROBERTA),
    ("distilbert.", _BASE_PREFIX),
    ("mpnet.", _BASE_PREFIX),
    ("electra.", _BASE_PREFIX),
    ("deberta.", f"{_BASE_PREFIX} (deberta, deberta-v2)"),
    ("albert.", _BASE_PREFIX),
    ("new.", "`base_model_prefix` of Alibaba-NLP/new-impl, the code of the gte v1.5 models"),
    ("nomic_bert.", "`base_model_prefix` of transformers' own NomicBert, since 5.0"),
)

_NORM_PARENT = re.compile(r".*norm.*|(?:.*_)?(?:ln|bn)(?:_?(?:\d+|f|final|pre|post))?", re.IGNORECASE)
_NORM_LEAVES = {"gamma": "weight", "beta": "bias"}
_WEIGHT_NORM_LEAVES = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}


def _norm_spelling(name: str) -> str:
    module, _, leaf = name.rpartition(".")
    parent = module.rpartition(".")[2]
    if leaf not in _NORM_LEAVES or _NORM_PARENT.fullmatch(parent) is None:
        return name
    return f"{module}.{_NORM_LEAVES[leaf]}"


def _weight_norm_spelling(name: str) -> str:
    module, dot, leaf = name.rpartition(".")
    return f"{module}{dot}{_WEIGHT_NORM_LEAVES[leaf]}" if leaf in _WEIGHT_NORM_LEAVES else name


_SPELLINGS = (
    NamingRule(
        name="LayerNorm gamma/beta",
        forward="LayerNorm gamma/beta -> weight/bias",
        backward="LayerNorm weight/bias -> gamma/beta",
        source="BERT checkpoints converted from TensorFlow; transformers renames them when it loads: "
        "https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/modeling_utils.py",
        rewrite=_norm_spelling,
    ),
    NamingRule(
        name="weight norm",
        forward="weight norm weight_g/weight_v -> parametrizations.weight.original0/1",
        backward="weight norm parametrizations.weight.original0/1 -> weight_g/weight_v",
        source=f"torch.nn.utils.weight_norm against parametrizations.weight_norm, "
        f"{_TORCH}/nn/utils/parametrizations.py, line 394",
        rewrite=_weight_norm_spelling,
    ),
)

NAMING_RULES = (
    *_WRAPPERS,
    *(_prefix_rule(prefix, source) for prefix, source in _MODEL_PREFIXES),
    *_SPELLINGS,
)
"""Every rule. No prefix is the beginning of another, so the order of the rules does not decide the result."""


def canonical_name(name: str, rules: Iterable[NamingRule] = NAMING_RULES) -> CanonicalName:
    """What `name` becomes when `rules` are applied until none changes it, `MAX_STEPS` times at most."""
    rules = tuple(rules)
    steps: list[NamingRule] = []
    canonical = name
    while len(steps) < MAX_STEPS:
        rule = next((rule for rule in rules if rule.rewrite(canonical) != canonical), None)
        if rule is None:
            break
        canonical = rule.rewrite(canonical)
        steps.append(rule)
    return CanonicalName(original=name, name=canonical, steps=tuple(steps))


def explain_renaming(left: CanonicalName, right: CanonicalName) -> tuple[str, ...]:
    """How the left name becomes the right one, by way of the canonical form that they share.

    Steps that both sides need are left out, unless they alone are the difference: the same wrappers in
    another order or at another place. Empty only if the names are equal.
    """
    removed = _surplus(left.steps, right.steps)
    added = _surplus(right.steps, left.steps)
    if not removed and not added and left.original != right.original:
        removed, added = left.steps, right.steps
    return (*(rule.forward for rule in removed), *(rule.backward for rule in reversed(added)))


def _surplus(steps: tuple[NamingRule, ...], others: tuple[NamingRule, ...]) -> tuple[NamingRule, ...]:
    """What `steps` holds more often than `others`, in order; of equal steps the innermost are shared."""
    shared = Counter(rule.name for rule in others)
    surplus: list[NamingRule] = []
    for rule in reversed(steps):
        if shared[rule.name]:
            shared[rule.name] -= 1
        else:
            surplus.append(rule)
    return tuple(reversed(surplus))
