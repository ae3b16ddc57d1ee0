"""Names: each rule leads to the canonical form, and an explanation says how two names differ."""

from itertools import permutations

import pytest
import torch
from torch.nn.utils.parametrizations import weight_norm

from embaudit.mapping.names import MAX_STEPS, NAMING_RULES, canonical_name, explain_renaming

CANONICAL = [
    ("module.embeddings.weight", "embeddings.weight"),
    ("_orig_mod.embeddings.weight", "embeddings.weight"),
    ("encoder._orig_mod.layer.0.weight", "encoder.layer.0.weight"),
    ("encoder._fsdp_wrapped_module.layer.0._checkpoint_wrapped_module.weight", "encoder.layer.0.weight"),
    ("module._orig_mod.bert.pooler.dense.bias", "pooler.dense.bias"),
    ("bert._orig_mod.module.pooler.dense.bias", "pooler.dense.bias"),
    ("0.auto_model.embeddings.weight", "embeddings.weight"),
    ("0.model.embeddings.weight", "embeddings.weight"),
    ("auto_model.roberta.embeddings.weight", "embeddings.weight"),
    ("model.embed_tokens.weight", "embed_tokens.weight"),
    ("xlm-roberta.embeddings.weight", "embeddings.weight"),
    ("embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
    ("embeddings.LayerNorm.beta", "embeddings.LayerNorm.bias"),
    ("emb_ln.gamma", "emb_ln.weight"),
    ("h.0.ln_1.beta", "h.0.ln_1.bias"),
    ("final_norm.gamma", "final_norm.weight"),
    ("conv.weight_g", "conv.parametrizations.weight.original0"),
    ("conv.weight_v", "conv.parametrizations.weight.original1"),
    ("weight_g", "parametrizations.weight.original0"),
]

UNTOUCHED = [
    "encoder.layer.0.attention.self.query.weight",
    "bertology.weight",
    "bert",
    "bert.",
    "module.",
    "layer_scale.gamma",
    "beta_proj.weight",
    "blnk.gamma",
    "gamma",
    "weight_gain",
    "my_orig_mod.weight",
    "weight._orig_mod",
    "2.linear.weight",
    "",
    ".",
]


@pytest.mark.parametrize(("name", "canonical"), CANONICAL)
def test_wrappers_prefixes_and_old_spellings_lead_to_the_canonical_name(name: str, canonical: str) -> None:
    """A name in any of the field's spellings has the canonical one."""
    assert canonical_name(name).name == canonical


@pytest.mark.parametrize("name", UNTOUCHED)
def test_a_name_that_only_looks_like_a_rule_is_left_alone(name: str) -> None:
    """A rule takes whole components, never a part of a word, and never the whole name."""
    assert canonical_name(name).name == name
    assert canonical_name(name).steps == ()


def test_no_rewriting_rule_can_shadow_another() -> None:
    """No prefix begins with another, so the order of the rules does not decide what is stripped."""
    prefixes = [rule.name for rule in NAMING_RULES if rule.name.endswith(".")]

    assert len(prefixes) == len(set(prefixes))
    assert not [(one, other) for one, other in permutations(prefixes, 2) if one.startswith(other)]


def test_every_rule_names_its_source() -> None:
    """No rule is without a source, and no two have one name."""
    assert all(rule.source and rule.forward and rule.backward for rule in NAMING_RULES)
    assert len({rule.name for rule in NAMING_RULES}) == len(NAMING_RULES)


def test_the_wrappers_of_torch_are_the_names_that_torch_writes() -> None:
    """The rules undo what DataParallel, torch.compile and weight_norm do to a real module's names."""

    def plain() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False))

    names = set(plain().state_dict())
    wrapped = [
        torch.nn.DataParallel(plain()),
        torch.compile(plain(), backend="eager"),
        torch.compile(torch.nn.DataParallel(plain()), backend="eager"),
    ]

    for module in wrapped:
        assert set(module.state_dict()) != names
        assert {canonical_name(name).name for name in module.state_dict()} == names


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_both_weight_norms_of_torch_have_the_same_canonical_names() -> None:
    """`torch.nn.utils.weight_norm` and its successor store the same parameters under names that meet."""
    old = torch.nn.utils.weight_norm(torch.nn.Linear(3, 2)).state_dict()
    new = weight_norm(torch.nn.Linear(3, 2)).state_dict()

    assert set(old) != set(new)
    assert {canonical_name(name).name for name in old} == {canonical_name(name).name for name in new}
    shapes = {canonical_name(name).name: tensor.shape for name, tensor in old.items()}
    assert shapes == {name: tensor.shape for name, tensor in new.items()}


def test_a_hostile_name_is_rewritten_a_bounded_number_of_times() -> None:
    """A name made of wrappers alone costs no more steps than the bound."""
    name = "module." * 9_000 + "weight"

    assert len(canonical_name(name).steps) == MAX_STEPS


EXPLAINED = [
    ("bert.a.b", "a.b", ("prefix 'bert.' removed",)),
    ("a.b", "bert.a.b", ("prefix 'bert.' added",)),
    ("module.bert.a.b", "bert.a.b", ("prefix 'module.' removed",)),
    ("module.bert.a.b", "module.a.b", ("prefix 'bert.' removed",)),
    ("bert.a.b", "0.auto_model.a.b", ("prefix 'bert.' removed", "prefix '0.auto_model.' added")),
    ("a.b", "module.bert.a.b", ("prefix 'bert.' added", "prefix 'module.' added")),
    ("x.LayerNorm.gamma", "x.LayerNorm.weight", ("LayerNorm gamma/beta -> weight/bias",)),
    ("x.LayerNorm.bias", "x.LayerNorm.beta", ("LayerNorm weight/bias -> gamma/beta",)),
    (
        "bert.LayerNorm.gamma",
        "LayerNorm.weight",
        ("prefix 'bert.' removed", "LayerNorm gamma/beta -> weight/bias"),
    ),
    (
        "conv.weight_g",
        "conv.parametrizations.weight.original0",
        ("weight norm weight_g/weight_v -> parametrizations.weight.original0/1",),
    ),
    (
        "module.model.a",
        "model.module.a",
        (
            "prefix 'module.' removed",
            "prefix 'model.' removed",
            "prefix 'module.' added",
            "prefix 'model.' added",
        ),
    ),
    (
        "_orig_mod.a.b",
        "a._orig_mod.b",
        ("wrapper '_orig_mod.' removed", "wrapper '_orig_mod.' added"),
    ),
    ("bert.a", "bert.a", ()),
]


@pytest.mark.parametrize(("left", "right", "steps"), EXPLAINED)
def test_an_explanation_says_what_leads_from_left_to_right(
    left: str, right: str, steps: tuple[str, ...]
) -> None:
    """Only what differs is told, from left to right; names that differ are never left unexplained."""
    assert explain_renaming(canonical_name(left), canonical_name(right)) == steps
