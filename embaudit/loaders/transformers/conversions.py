"""The tables of transformers 5 that rename stored tensors and split them, and how a row of them is applied.

The tables of the architectures that embaudit knows, from `conversion_mapping.py` of transformers 5.0.0 to
5.23.0; each counts from the release that first has it, and has not changed its meaning since. How a row is
applied is in
https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/core_model_loading.py (there
`WeightTransform.rename_source_key`): the pattern is a regular expression, in which the dots of the tables
stand for any character, and the text that it finds is replaced where it first occurs.
"""

import re
from functools import cached_property

import attrs
from packaging.version import Version

from embaudit.model.frozen import FrozenMapping


@attrs.frozen
class ConversionStyle:
    """How a release applies the tables.

    Attributes:
        every_occurrence: Whether the text found is replaced wherever it occurs, or only where it does first.
        whole_words: Whether a pattern that ends in a letter or digit must end a word.
    """

    every_occurrence: bool = False
    whole_words: bool = False


ALL_AT_ONCE = ConversionStyle(every_occurrence=True)
FIRST_ONLY = ConversionStyle()
WHOLE_WORDS = ConversionStyle(whole_words=True)


@attrs.frozen(slots=False)
class Renaming:
    r"""One row of a table.

    Attributes:
        pattern: The regular expression.
        target: What replaces what it finds; `\1` stands for its first group. Of a split, the first part.
        parts: The names that a split tensor's parts have in place of `target`, `target` included.
    """

    pattern: str
    target: str
    parts: tuple[str, ...] = ()

    @cached_property
    def _loose(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @cached_property
    def _strict(self) -> re.Pattern[str]:
        ends_in_word = self.pattern[-1].isalnum() and self.pattern[-1].isascii()
        return re.compile(self.pattern + r"(?!\w)") if ends_in_word else self._loose

    @cached_property
    def _needed(self) -> str:
        """Text without which the pattern finds nothing: the tables write words, dots and one group."""
        words: list[str] = re.findall(r"\w+", self.pattern)
        return max(words, key=len)

    def apply(self, name: str, style: ConversionStyle) -> str | None:
        """The new name, or None if the pattern finds nothing in `name`."""
        if self._needed not in name:
            return None
        found = (self._strict if style.whole_words else self._loose).search(name)
        if found is None:
            return None
        target = self.target.replace(r"\1", found[1]) if r"\1" in self.target else self.target
        return name.replace(found[0], target, -1 if style.every_occurrence else 1)


@attrs.frozen(kw_only=True)
class Conversions:
    """The rows that apply to one model.

    Attributes:
        renamings: All that match are applied, one after the other.
        splits: Then the first that matches.
        style: How.
    """

    renamings: tuple[Renaming, ...] = ()
    splits: tuple[Renaming, ...] = ()
    style: ConversionStyle = FIRST_ONLY

    def rename(self, name: str) -> tuple[str, Renaming | None]:
        """The new name, and the split that it is the first part of, if there is one."""
        for row in self.renamings:
            name = row.apply(name, self.style) or name
        for row in self.splits:
            renamed = row.apply(name, self.style)
            if renamed is not None:
                return renamed, row
        return name, None


_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")


def _split(pattern: str, parts: tuple[str, ...]) -> Renaming:
    return Renaming(pattern, parts[0], parts)


LEGACY = (
    Renaming("LayerNorm.gamma", "LayerNorm.weight"),
    Renaming("LayerNorm.beta", "LayerNorm.bias"),
    Renaming(".weight_g", ".parametrizations.weight.original0"),
    Renaming(".weight_v", ".parametrizations.weight.original1"),
)
"""Rows that apply to every model, the last ones."""


@attrs.frozen
class _Table:
    """The rows of one model type, in order, and the first release that has them."""

    since: Version
    rows: tuple[Renaming, ...]


_TABLES = {
    "nomic_bert": _Table(
        Version("5.5.0"),
        (
            Renaming("encoder.layers", "layers"),
            Renaming("emb_ln", "embeddings.LayerNorm"),
            Renaming("attn.out_proj", "self_attn.o_proj"),
            Renaming("fc11", "up_proj"),
            Renaming("fc12", "gate_proj"),
            Renaming("fc2", "down_proj"),
            Renaming("norm1", "post_attention_layernorm"),
            Renaming("norm2", "post_mlp_layernorm"),
            _split("attn.Wqkv", _ATTENTION),
        ),
    ),
    "gte": _Table(
        Version("5.18.0"),
        (
            Renaming(r"^new\.(.+)", r"\1"),
            Renaming("encoder.layer", "layers"),
            Renaming("attention.o_proj", "self_attn.o_proj"),
            Renaming("attn_ln", "post_attention_layernorm"),
            Renaming("mlp_ln", "post_mlp_layernorm"),
            Renaming("lm_head.norm", "lm_head.layer_norm"),
            _split("attention.qkv_proj", _ATTENTION),
            _split("mlp.up_gate_proj", ("mlp.up_proj", "mlp.gate_proj")),
        ),
    ),
    "jina_embeddings_v3": _Table(
        Version("5.4.0"),
        (
            Renaming("emb_ln", "embeddings.LayerNorm"),
            Renaming("encoder.layers", "layers"),
            Renaming("mixer.out_proj", "self_attn.o_proj"),
            Renaming("norm1", "post_attention_layernorm"),
            Renaming("norm2", "post_mlp_layernorm"),
            _split("mixer.Wqkv", _ATTENTION),
        ),
    ),
}
MODEL_TABLES = FrozenMapping(_TABLES)
"""`model_type` to its own table."""
NEVER = Version("0")
"""Before every release."""


def conversions_for(model_type: str | None, style: ConversionStyle | None, release: Version) -> Conversions:
    """The rows for a model of this type; none at all where the release has no tables.

    Args:
        model_type: The type whose own rows apply, or None if only the general ones do.
        style: How the release applies rows, or None if it has none.
        release: The release; a type's own rows apply only if it is not older than they are.
    """
    if style is None:
        return Conversions()
    table = MODEL_TABLES.get(model_type or "")
    own = table.rows if table is not None and table.since <= release else ()
    rows = (*own, *LEGACY)
    return Conversions(
        renamings=tuple(row for row in rows if not row.parts),
        splits=tuple(row for row in rows if row.parts),
        style=style,
    )
