"""What a model is run over at once."""

import attrs
import pytest
import torch
from torch import nn

from embaudit.embeddings.diagnosing.running import BATCH_TEXTS, MOST_BATCH_TOKENS, run_batch
from embaudit.embeddings.diagnosing.settings import Padding, Setting
from embaudit.embeddings.diagnosing.tokens import Tokens
from embaudit.errors import LimitError
from embaudit.model.embedding_pipeline import PoolingMode

SETTING = Setting(weights="", pooling=(PoolingMode.MEAN,), normalize=False)
BATCH = [
    Tokens(numbers=numbers, special=(True, *(False for _ in numbers[1:])), n_prompt=1)
    for numbers in ((7, 8, 9), (7,))
]


class Echo(nn.Module):
    """Gives the numbers of the tokens and the mask as vectors."""

    config = attrs.make_class("Config", {"pad_token_id": attrs.field(default=5)})()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> object:
        """As models of transformers are called."""
        states = torch.stack([input_ids, attention_mask], dim=-1)
        return attrs.make_class("Output", ["last_hidden_state"])(states)


@pytest.mark.parametrize(
    ("side", "numbers", "first"),
    [("right", [[7, 8, 9], [7, 5, 5]], 0), ("left", [[7, 8, 9], [5, 5, 7]], 2)],
)
def test_shorter_texts_are_filled_up(side: str, numbers: list[list[int]], first: int) -> None:
    """On the side that is asked for, with the number of padding, which is not attended to."""
    states = run_batch(Echo(), BATCH, attrs.evolve(SETTING, padding_side=side))

    assert states.vectors[..., 0].tolist() == numbers
    assert torch.equal(states.vectors[..., 1].bool(), states.real)
    assert states.real.sum(1).tolist() == [3, 1]
    assert states.special[1].nonzero().tolist() == states.prompt[1].nonzero().tolist() == [[first]]


def test_more_tokens_than_memory_holds_are_refused() -> None:
    """Before any is allocated."""
    padding = Padding(length=MOST_BATCH_TOKENS // BATCH_TEXTS + 1)

    with pytest.raises(LimitError, match="tokens at once"):
        run_batch(Echo(), BATCH[:1] * BATCH_TEXTS, attrs.evolve(SETTING, padding=padding))
