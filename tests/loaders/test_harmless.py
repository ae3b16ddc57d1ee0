"""On which stored tensors no embedding depends, told by their names."""

import pytest

from embaudit.loaders.harmless import LAST, START, TOP, why_harmless


@pytest.mark.parametrize(
    "name",
    [
        "embeddings.position_ids",
        "bert.embeddings.position_ids",
        "cls.predictions.transform.dense.weight",
        "bert.pooler.dense.bias",
        "lm_head.weight",
        "roberta.lm_head.dense.bias",
        "classifier.weight",
        "qa_outputs.bias",
        "vocab_transform.weight",
        "discriminator_predictions.dense.weight",
        "layers.0.self_attn.rotary_emb.inv_freq",
        "decoder.block.0.layer.0.SelfAttention.q.weight",
        "encoder.num_batches_tracked",
    ],
)
def test_heads_and_constants_do_no_harm(name: str) -> None:
    """Heads, poolers, decoders and computed buffers are known for what they are."""
    assert why_harmless(name)


@pytest.mark.parametrize(
    "name",
    [
        "encoder.layer.12.output.dense.weight",
        "bert.encoder.layer.0.attention.self.query.weight",
        "embeddings.position_embeddings.weight",
        "decoder.layers.0.self_attn.q_proj.weight",
        "encoder.layer.0.classifier_like.weight",
        "0.auto_model.embeddings.word_embeddings.weight",
        "linear.weight",
        "",
    ],
)
def test_what_is_not_known_may_matter(name: str) -> None:
    """A layer beyond those of the configuration, or any name that is not listed, is not explained away."""
    assert why_harmless(name) is None


@pytest.mark.parametrize("before", ["", "module.", "bert.", "module.bert."])
@pytest.mark.parametrize("module", TOP)
def test_a_head_may_stand_below_a_wrapper_and_a_base(before: str, module: str) -> None:
    """A head is known at the top, below a base prefix and below torch's wrapper, and nowhere deeper."""
    assert why_harmless(f"{before}{module}.weight") == TOP[module]
    assert why_harmless(f"{before}{module}") is None
    assert why_harmless(f"{before}a.b.{module}.weight") is None
    assert why_harmless(f"{before}{module}_like.weight") is None


@pytest.mark.parametrize("name", [*(f"x.0.{last}" for last in LAST), *(f"{start}.x" for start in START)])
def test_every_row_is_found(name: str) -> None:
    """A last word counts anywhere, a start only where more follows."""
    assert why_harmless(name)
    assert why_harmless(f"{name}_like") is None or name.endswith(".x")


@pytest.mark.parametrize(
    "name", ["a.b_lm_head.x", "Bert.cls.x", "0.cls.x", "head.dense", "decoder.block", "x.decoder.weight"]
)
def test_the_edges_of_the_rows(name: str) -> None:
    """A base prefix is lower case, words are whole, and a start needs more after it."""
    assert why_harmless(name) is None
