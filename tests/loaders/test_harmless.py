"""On which stored tensors no embedding depends, told by their names."""

import pytest

from embaudit.loaders.harmless import HARMLESS, why_harmless


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


def test_every_kind_says_what_it_is() -> None:
    """Each row has its own pattern and says in words what it means."""
    assert len({row.pattern for row in HARMLESS}) == len(HARMLESS)
    assert all(row.what for row in HARMLESS)
