"""Embeds texts as loaders do that make a mistake, with sentence-transformers and transformers alone.

    python embed_with_faults.py FOLDER OUTPUT.npz FAULT... < texts.json

Each fault is the name of a function below. Its vectors are put into the archive under that name. Nothing of
embaudit is used here: these are the vectors that its diagnoses are held against.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

Texts = Sequence[str]


def load(folder: Path, **how: Any) -> SentenceTransformer:
    """The model as it is meant."""
    return SentenceTransformer(str(folder), device="cpu", **how)


def encode(model: SentenceTransformer, texts: Texts, **how: Any) -> np.ndarray:
    """Vectors of it, as float32."""
    return np.asarray(model.encode(list(texts), show_progress_bar=False, **how), dtype=np.float32)


def without(model: SentenceTransformer, *kinds: str) -> SentenceTransformer:
    """The model without modules of these classes."""
    kept = [module for module in model if type(module).__name__ not in kinds]
    model._modules = dict(zip(map(str, range(len(kept))), kept, strict=True))
    return model


def pooled(folder: Path, mode: str) -> SentenceTransformer:
    """The model with other pooling."""
    model = load(folder)
    kind = type(model[1])
    model._modules["1"] = kind(model[1].embedding_dimension, pooling_mode=mode)
    return model


def bert(model: SentenceTransformer) -> Any:
    """The transformer inside."""
    return model[0].auto_model if hasattr(model[0], "auto_model") else model[0].model


def normal(texts: Texts, folder: Path) -> np.ndarray:
    """No fault."""
    return encode(load(folder), texts)


def one_by_one(texts: Texts, folder: Path) -> np.ndarray:
    """No fault, a batch for each text."""
    return encode(load(folder), texts, batch_size=1)


def by_hand(texts: Texts, folder: Path) -> np.ndarray:
    """No fault: transformers with another kernel of attention, and pooling written out."""
    return masked(texts, folder, attend=False, pool=False, attn_implementation="eager")


def in_float64(texts: Texts, folder: Path) -> np.ndarray:
    """No fault, computed more exactly."""
    return encode(load(folder).double(), texts)


def six_digits(texts: Texts, folder: Path) -> np.ndarray:
    """No fault, written with six digits after the point."""
    return np.round(normal(texts, folder), 6)


def not_normalized(texts: Texts, folder: Path) -> np.ndarray:
    """Normalize is left out."""
    return encode(without(load(folder), "Normalize"), texts)


def with_pooling(mode: str) -> Callable[[Texts, Path], np.ndarray]:
    """Other pooling."""
    return lambda texts, folder: encode(pooled(folder, mode), texts)


def mean_sqrt_not_normalized(texts: Texts, folder: Path) -> np.ndarray:
    """Two faults."""
    return encode(without(pooled(folder, "mean_sqrt_len_tokens"), "Normalize"), texts)


def cls_not_normalized(texts: Texts, folder: Path) -> np.ndarray:
    """Two faults."""
    return encode(without(pooled(folder, "cls"), "Normalize"), texts)


def masked(texts: Texts, folder: Path, *, attend: bool, pool: bool, **how: Any) -> np.ndarray:
    """Mean pooling of one batch, with or without the mask of padding in two places."""
    model = AutoModel.from_pretrained(folder, **how).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = tokenizer(list(texts), return_tensors="pt", truncation=True, max_length=256, padding=True)
    mask = given["attention_mask"]
    attended, weights = (torch.ones_like(mask) if all_of_it else mask for all_of_it in (attend, pool))
    with torch.no_grad():
        states = model(input_ids=given["input_ids"], attention_mask=attended).last_hidden_state
    means = (states * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
    return nn.functional.normalize(means).numpy()


def padding_pooled(texts: Texts, folder: Path) -> np.ndarray:
    """The mask is not passed to pooling."""
    return masked(texts, folder, attend=False, pool=True)


def padding_attended(texts: Texts, folder: Path) -> np.ndarray:
    """The mask is not passed to attention."""
    return masked(texts, folder, attend=True, pool=False)


def padding_everywhere(texts: Texts, folder: Path) -> np.ndarray:
    """The mask is not passed on at all."""
    return masked(texts, folder, attend=True, pool=True)


def cut_at_128(texts: Texts, folder: Path) -> np.ndarray:
    """Another length."""
    model = load(folder)
    model.max_seq_length = 128
    return encode(model, texts)


def cut_at_512(texts: Texts, folder: Path) -> np.ndarray:
    """Another length, more than declared."""
    model = load(folder)
    model.max_seq_length = 512
    return encode(model, texts)


def cased(folder: Path) -> SentenceTransformer:
    """The model whose tokenizer does not lowercase."""
    return load(folder, processor_kwargs={"do_lower_case": False})


def not_lowercased(texts: Texts, folder: Path) -> np.ndarray:
    """Texts keep their case."""
    return encode(cased(folder), texts)


def by_tokens(texts: Texts, folder: Path, pool: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Texts without special tokens, one by one, and some pooling of the states."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    vectors = []
    for text in texts:
        given = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        with torch.no_grad():
            vectors.append(pool(model(**given).last_hidden_state[0]))
    return nn.functional.normalize(torch.stack(vectors)).numpy()


def no_special_tokens(texts: Texts, folder: Path) -> np.ndarray:
    """Nothing is put around texts."""
    return by_tokens(texts, folder, lambda states: states.mean(0))


def first_token_without_special(texts: Texts, folder: Path) -> np.ndarray:
    """Two faults."""
    return by_tokens(texts, folder, lambda states: states[0])


def with_activation(name: str) -> Callable[[Texts, Path], np.ndarray]:
    """Another activation."""
    return lambda texts, folder: encode(load(folder, config_kwargs={"hidden_act": name}), texts)


def in_type(dtype: torch.dtype) -> Callable[[Texts, Path], np.ndarray]:
    """Another type to compute in."""
    return lambda texts, folder: encode(load(folder, model_kwargs={"dtype": dtype}), texts)


def stored_in_float16(texts: Texts, folder: Path) -> np.ndarray:
    """Vectors are rounded."""
    return normal(texts, folder).astype(np.float16).astype(np.float32)


def changed(change: Callable[[Any], object], **how: Any) -> Callable[[Texts, Path], np.ndarray]:
    """The transformer's parameters or layers are changed in place."""

    def embed(texts: Texts, folder: Path) -> np.ndarray:
        model = load(folder, **how)
        with torch.no_grad():
            change(bert(model))
        return encode(model, texts)

    return embed


def drop_layer(place: int) -> Callable[[Any], object]:
    """A layer is left out."""

    def drop(model: Any) -> None:
        del model.encoder.layer[place]

    return drop


def reset_norms(module: nn.Module) -> None:
    """LayerNorms as in a new model."""
    for norm in module.modules():
        if isinstance(norm, nn.LayerNorm):
            norm.reset_parameters()


def reset_biases(model: nn.Module) -> None:
    """Biases of linear layers as in a new model."""
    for linear in model.modules():
        if isinstance(linear, nn.Linear):
            linear.bias.zero_()


def reset_last_layer(model: Any) -> None:
    """The last layer at random values."""
    torch.manual_seed(0)
    for module in model.encoder.layer[-1].modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(0, 0.02)
            module.bias.zero_()


def disturb(model: nn.Module) -> None:
    """Another model of the same kind: each weight moved a little."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.add_(0.05 * parameter.std() * torch.randn_like(parameter))


def mixed_words(model: Any) -> None:
    """The rows of the table of words in another order."""
    torch.manual_seed(2)
    table = model.embeddings.word_embeddings.weight
    table.copy_(table[torch.randperm(len(table))])


def shuffled_components(texts: Texts, folder: Path) -> np.ndarray:
    """The components of all vectors in another order."""
    return normal(texts, folder)[:, np.random.default_rng(0).permutation(384)]


def permuted(texts: Texts, folder: Path) -> np.ndarray:
    """The first row comes last."""
    return np.roll(normal(texts, folder), -1, axis=0)


def max_permuted(texts: Texts, folder: Path) -> np.ndarray:
    """Two faults."""
    return np.roll(encode(pooled(folder, "max"), texts), -1, axis=0)


def cut_to_256(texts: Texts, folder: Path) -> np.ndarray:
    """Fewer components, which sentence-transformers cuts after it has normalised."""
    return encode(load(folder, truncate_dim=256), texts)


def cut_and_normalized(texts: Texts, folder: Path) -> np.ndarray:
    """Fewer components, normalised after the cut."""
    return encode(load(folder, truncate_dim=256), texts, normalize_embeddings=True)


def dense_skipped(texts: Texts, folder: Path) -> np.ndarray:
    """No Dense."""
    return encode(without(load(folder), "Dense"), texts)


def dense_without_activation(texts: Texts, folder: Path) -> np.ndarray:
    """Dense is linear only."""
    model = load(folder)
    for module in model:
        if type(module).__name__ == "Dense":
            module.activation_function = nn.Identity()
    return encode(model, texts)


def prompt_skipped(texts: Texts, folder: Path) -> np.ndarray:
    """Nothing is put before texts."""
    return encode(load(folder), texts, prompt="")


def other_prompt(texts: Texts, folder: Path) -> np.ndarray:
    """The other prompt is."""
    return encode(load(folder), texts, prompt_name="passage")


def prompt_and_dense_skipped(texts: Texts, folder: Path) -> np.ndarray:
    """Two faults."""
    return encode(without(load(folder), "Dense"), texts, prompt="")


def cls_cased(texts: Texts, folder: Path) -> np.ndarray:
    """Two faults."""
    model = cased(folder)
    model._modules["1"] = type(model[1])(model[1].embedding_dimension, pooling_mode="cls")
    return encode(model, texts)


FAULTS: dict[str, Callable[[Texts, Path], np.ndarray]] = {
    **{
        function.__name__: function
        for function in (
            *(normal, one_by_one, by_hand, in_float64, six_digits),
            *(not_normalized, mean_sqrt_not_normalized, cls_not_normalized, padding_pooled),
            *(padding_attended, padding_everywhere, cut_at_128, cut_at_512, not_lowercased),
            *(no_special_tokens, first_token_without_special, stored_in_float16, shuffled_components),
            *(permuted, max_permuted, cut_to_256, cut_and_normalized, dense_skipped),
            *(dense_without_activation, prompt_skipped, other_prompt, prompt_and_dense_skipped, cls_cased),
        )
    },
    **{f"pool_{mode}": with_pooling(mode) for mode in ("cls", "max", "weightedmean", "lasttoken")},
    **{f"act_{name}": with_activation(name) for name in ("gelu_new", "quick_gelu", "relu")},
    "float16": in_type(torch.float16),
    "bfloat16": in_type(torch.bfloat16),
    "layer_2_dropped": changed(drop_layer(2)),
    "last_layer_dropped": changed(drop_layer(-1)),
    "norms_unread": changed(reset_norms),
    "embedding_norm_unread": changed(lambda model: reset_norms(model.embeddings)),
    "biases_unread": changed(reset_biases),
    "positions_unread": changed(lambda model: model.embeddings.position_embeddings.weight.zero_()),
    "segments_unread": changed(lambda model: model.embeddings.token_type_embeddings.weight.zero_()),
    "quick_gelu_and_layer_dropped": changed(drop_layer(3), config_kwargs={"hidden_act": "quick_gelu"}),
    "last_layer_random": changed(reset_last_layer),
    "other_model": changed(disturb),
    "words_mixed": changed(mixed_words),
}


def main() -> None:
    """Read texts, write vectors."""
    folder, output, *faults = sys.argv[1:]
    texts = json.load(sys.stdin)
    np.savez(output, **{fault: FAULTS[fault](texts, Path(folder)) for fault in faults})


if __name__ == "__main__":
    main()
