"""What may be done otherwise than a repository declares: the list of hypotheses, as far as its files allow.

Knows which mistakes loaders make, and where it is written that they do. Refuses to run anything.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from embaudit.embeddings.diagnosing.material import Material
from embaudit.embeddings.diagnosing.native import activation_field
from embaudit.embeddings.diagnosing.settings import Change, Padding, Setting, Unread
from embaudit.embeddings.diagnosing.tensors import misreadings
from embaudit.embeddings.diagnosing.tokens import TOKENIZER
from embaudit.formats.fields import quoted
from embaudit.loaders import parse_loader
from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.files import Snapshot
from embaudit.model.words import plural

LENGTHS = (128, 256, 512)
"""Tokens at which loaders cut where they do not read the repository's own length."""

BATCHES = (32,)
"""Texts that programs pad together by default, beside all of them: embed_anything and TEI take 32."""

MOST_PROMPTS = 8
"""Prompts of a repository that are tried."""

MOST_LAYERS = 24
"""Layers that are skipped one by one; of more, the last ones."""

ACTIVATIONS = ("gelu", "gelu_new", "quick_gelu", "relu")
"""Activations that loaders confuse, by their names in transformers: the exact GELU, its approximations by
tanh and by a sigmoid, and none."""

_BY_FILE = ("candle", "embed_anything", "fastembed", "tei")
"""Programs in Rust, and one on the same library, that take `tokenizer.json` as it stands."""

_NAME = 60
"""Characters of a prompt's name that the name of a hypothesis has."""

_HALVES = ("float16", "bfloat16")
_COMPUTED = ("float32", *_HALVES)

_CANDLE = "candle 0.4.0 to 0.8.4, inside text-embeddings-inference 1.0.0 to 1.6.1, skips it in bytes"


def declared_setting(material: Material, source: str = "") -> Setting:
    """How sentence-transformers makes vectors of a repository."""
    pipeline = material.pipeline
    return Setting(
        source=source,
        weights=material.weights,
        prompt=pipeline.prompts.get(pipeline.default_prompt or "", ""),
        pool_prompt=pipeline.include_prompt,
        max_length=pipeline.max_seq_length,
        dtype=material.dtype,
        padding_side=material.tokenizer.padding_side,
        pooling=pipeline.pooling or (),
        dense=pipeline.dense,
        normalize=bool(pipeline.normalize),
        cut_after=pipeline.truncate_dim or 0,
    )


@attrs.frozen(kw_only=True, eq=False)
class Facts:
    """What hypotheses are made from.

    Attributes:
        material: The commit diagnosed.
        declared: How its vectors are made.
        against: Another commit of it, if one was named.
        n_texts: How many texts there are.
        dimension: Components of the observed vectors.
        declared_dimension: Components of those declared.
        n_layers: Layers that can be skipped.
        loader: The loader asked about; empty if none was.
    """

    material: Material
    declared: Setting
    against: Material | None
    n_texts: int
    dimension: int
    declared_dimension: int
    n_layers: int
    loader: str


def changes(facts: Facts) -> tuple[Change, ...]:
    """Everything that is tried: each way to make vectors once, and none that is the declared one."""
    found: dict[Setting, Change] = {}
    for make in _MAKERS:
        for change in make(facts):
            setting = change.applied(facts.declared)
            if setting != facts.declared:
                found.setdefault(setting, change)
    return tuple(found.values())


def _change(name: str, description: str, evidence: str = "", **fields: Any) -> Change:
    return Change(name=name, description=description, evidence=(evidence,) if evidence else (), fields=fields)


def _normalization(facts: Facts) -> Iterator[Change]:
    if facts.declared.normalize:
        why = "`modules.json` lists Normalize, which many loaders never look at."
        yield _change("not-normalized", "vectors are not normalised", why, normalize=False)
    else:
        why = "`modules.json` lists no Normalize; text-embeddings-inference normalises by default."
        yield _change("normalized", "vectors are normalised", why, normalize=True)


def _pooling(facts: Facts) -> Iterator[Change]:
    for mode in PoolingMode:
        why = f"The repository declares {' and '.join(map(str, facts.declared.pooling))}."
        yield _change(f"pooling:{mode}", f"tokens are pooled by {mode}", why, pooling=(mode,))
    yield _change("special-tokens-not-pooled", "special tokens are left out of pooling", pool_special=False)


def _dense(facts: Facts) -> Iterator[Change]:
    layers = facts.declared.dense
    named = ", ".join(f"`{layer.path}`" for layer in layers)
    if layers:
        yield _change("dense-skipped", f"{named} is not applied", f"`modules.json` lists {named}.", dense=())
        plain = tuple(attrs.evolve(layer, activation="") for layer in layers)
        yield _change(
            "dense-activation-skipped",
            f"{named} is applied without its activation",
            f"Its activation is {layers[-1].activation or 'the identity'}.",
            dense=plain,
        )
    if len(layers) > 1:
        for layer in layers:
            rest = tuple(other for other in layers if other is not layer)
            yield _change(f"dense-skipped:{layer.path}", f"`{layer.path}` is not applied", dense=rest)


def _prompts(facts: Facts) -> Iterator[Change]:
    pipeline, declared = facts.material.pipeline, facts.declared
    where = "`config_sentence_transformers.json`"
    if declared.prompt:
        why = f"{where} puts {quoted(declared.prompt)} before every text."
        yield _change("prompt-skipped", "the default prompt is not put before texts", why, prompt="")
    for name, text in list(pipeline.prompts.items())[:MOST_PROMPTS]:
        if text != declared.prompt:
            why = f"{where} has the prompt {quoted(text)}."
            what = f"the prompt {quoted(name)} is put before texts"
            yield _change(f"prompt-added:{name[:_NAME]}", what, why, prompt=text)
    if pipeline.prompts:
        pooled = not declared.pool_prompt
        what = "pooled" if pooled else "not pooled"
        yield _change(
            f"prompt-{what.replace(' ', '-')}", f"the prompt's tokens are {what}", pool_prompt=pooled
        )


def _casing(facts: Facts) -> Iterator[Change]:
    lowercases = facts.material.tokenizer.lowercases
    why = f"The repository declares that texts are {'' if lowercases else 'not '}lowercased."
    if lowercases:
        yield _change("not-lowercased", "texts are not lowercased", why, lowercase=False)
    else:
        yield _change("lowercased", "texts are lowercased", why, lowercase=True)


def _tokenizing(facts: Facts) -> Iterator[Change]:
    if facts.material.tokenizer.stored is not None:
        why = (
            "transformers builds another tokenizer after `tokenizer_config.json`; programs without it take"
            " `tokenizer.json` as it stands."
        )
        yield _change(
            f"tokenized-by:{TOKENIZER}",
            f"texts are tokenized by `{TOKENIZER}` as it stands",
            why,
            tokenizer=TOKENIZER,
        )


def _padding_side(facts: Facts) -> Iterator[Change]:
    if facts.declared.padding_side == "left":
        why = "The repository's tokenizer puts it before them, which moves texts to other positions."
        yield _change("padded-right", "padding comes after texts", why, padding_side="right")


def _cutting(facts: Facts) -> Iterator[Change]:
    own, declared = facts.material.tokenizer.cut_length, facts.declared.max_length
    why = f"The repository declares {declared or 'no length'}."
    if own is not None and own != declared:
        said = f"{why} `tokenizer.json` says {own}."
        yield _change(f"cut-at:{own}", f"texts end after {own} tokens", said, max_length=own)
    for length in LENGTHS:
        if length != declared:
            yield _change(f"cut-at:{length}", f"texts end after {length} tokens", why, max_length=length)
    yield _change("not-cut", "texts end only where the model does", why, max_length=None)


def _special(_facts: Facts) -> Iterator[Change]:
    why = "`tokenizer.json` adds them; converters to other formats lose them."
    yield _change("special-tokens-missing", "no special tokens are added to texts", why, special_tokens=False)


def _padding(facts: Facts) -> Iterator[Change]:
    if facts.n_texts > 1:
        for size in dict.fromkeys((facts.n_texts, *(size for size in BATCHES if size < facts.n_texts))):
            yield from _padded(f"batches of {size}", f"batch-{size}", Padding(batch=size))
    fixed = facts.material.tokenizer.padded_length
    if fixed is not None:
        yield from _padded(f"{fixed} tokens", f"length-{fixed}", Padding(length=fixed))


def _padded(where: str, name: str, padding: Padding) -> Iterator[Change]:
    why = "The mask of padding has to be passed on to attention and to pooling."
    pooled = {"padding": padding, "pool_padding": True}
    attended = {"padding": padding, "attend_padding": True}
    both = "padding is attended to and pooled"
    yield _change(f"padding-pooled:{name}", f"padding is pooled, in {where}", why, **pooled)
    yield _change(f"padding-attended:{name}", f"padding is attended to, in {where}", why, **attended)
    yield _change(f"padding-attended-and-pooled:{name}", f"{both}, in {where}", why, **(pooled | attended))


def _activation(facts: Facts) -> Iterator[Change]:
    field = activation_field(facts.material.config)
    if field is None:
        return
    said = facts.material.config[field]
    for name in ACTIVATIONS:
        if name != said:
            why = f"`{field}` of `config.json` is {quoted(str(said))}."
            yield _change(f"activation:{name}", f"the activation is {name}", why, activation=name)


def _types(facts: Facts) -> Iterator[Change]:
    why = f"transformers computes it in {facts.declared.dtype}."
    for dtype in _COMPUTED:
        yield _change(f"computed-in:{dtype}", f"the model computes in {dtype}", why, dtype=dtype)
    for dtype in _HALVES:
        yield _change(f"weights-in:{dtype}", f"weights are rounded to {dtype}", weights_dtype=dtype)
        yield _change(f"stored-in:{dtype}", f"vectors are rounded to {dtype}", stored_dtype=dtype)


def _layers(facts: Facts) -> Iterator[Change]:
    for layer in range(max(0, facts.n_layers - MOST_LAYERS), facts.n_layers):
        what = f"nothing goes through layer {layer} of {facts.n_layers}, counted from 0"
        yield _change(f"layer-skipped:{layer}", what, skipped_layers=(layer,))


def _unread(facts: Facts) -> Iterator[Change]:
    stored = facts.material.checkpoint(facts.material.weights).tensors
    old = next((name for name in stored if name.endswith((".gamma", ".beta"))), None)
    norms = f"`{old}` is stored under an old name, which has to be translated." if old else ""
    told = {
        Unread.LAYER_NORMS: ("every LayerNorm keeps factors of 1 and summands of 0", norms),
        Unread.EMBEDDING_NORM: ("the LayerNorm of the embeddings keeps 1 and 0", norms),
        Unread.BIASES: ("every bias stays 0", ""),
        Unread.POSITIONS: ("positions are not added", ""),
        Unread.SEGMENTS: ("segments are not added", ""),
    }
    for which, (what, why) in told.items():
        yield _change(f"unread:{which}", what, why, unread=which)


def _weights(facts: Facts) -> Iterator[Change]:
    material = facts.material
    for name in (material.weights, *material.others):
        other = {} if name == material.weights else {"weights": name}
        if other:
            why = f"It lies beside `{material.weights}`, which loaders open first."
            yield _change(f"weights:{name}", f"weights are those of `{name}`", why, **other)
        why = _misreading(material, name)
        if why:
            mark = f":{name}" if other else ""
            what = f"storage offsets of `{name}` are taken as bytes"
            yield _change(f"storage-offset-in-bytes{mark}", what, why, misread=True, **other)


def _misreading(material: Material, name: str) -> str:
    """What candle reads in place of tensors of a weight file, in a sentence; empty if it reads them right."""
    checkpoint = material.checkpoint(name)
    wrong = misreadings(checkpoint)
    if not wrong:
        return ""
    first = next(iter(wrong.values()))
    return (
        f"In `{name}`, {plural(len(wrong), 'tensor')} of {len(checkpoint.tensors)} begin inside their"
        f" storage, and {_CANDLE}: {quoted(first.name)} begins at byte {first.byte_to_read:,}, and is read"
        f" from byte {first.byte_read:,} on."
    )


def _commit(facts: Facts) -> Iterator[Change]:
    """The other commit as a whole, read rightly, and as candle misreads it."""
    other = facts.against
    if other is None:
        return
    name = _commit_name(other.snapshot)
    fields = _differences(facts.declared, declared_setting(other, AGAINST))
    what, why = f"the vectors are those of the commit {name}", "It was named to be compared with."
    yield _change(f"commit:{name}", what, why, **fields)
    misread = _misreading(other, other.weights)
    if misread:
        what = f"{what}, and storage offsets of its `{other.weights}` are taken as bytes"
        yield _change(f"storage-offset-in-bytes:commit:{name}", what, misread, **fields, misread=True)


AGAINST = "against"
"""The other commit, as `Setting.source` names it."""


def _commit_name(snapshot: Snapshot) -> str:
    return snapshot.commit[:12] if snapshot.commit else snapshot.source


def _differences(left: Setting, right: Setting) -> Mapping[str, Any]:
    names = (field.name for field in attrs.fields(Setting))
    return {name: getattr(right, name) for name in names if getattr(left, name) != getattr(right, name)}


def _dimension(facts: Facts) -> Iterator[Change]:
    kept = facts.dimension
    if kept >= facts.declared_dimension:
        return
    why = f"The observed vectors have {kept} components, those declared {facts.declared_dimension}."
    yield _change(f"cut-to:{kept}", f"vectors are cut to {kept} components", why, cut_after=kept)
    yield _change(
        f"cut-before-normalizing:{kept}",
        f"vectors are cut to {kept} components before they are normalised",
        why,
        cut=kept,
        normalize=True,
    )


def _loader(facts: Facts) -> Iterator[Change]:
    """All that one loader is predicted to do otherwise, at once."""
    if not facts.loader:
        return
    prediction = facts.material.predict(facts.loader)
    fields: dict[str, Any] = dict(_as_predicted(prediction.pipeline))
    if prediction.dtype is not None:
        fields["dtype"] = prediction.dtype
    if facts.material.tokenizer.stored is not None and parse_loader(facts.loader).loader.name in _BY_FILE:
        fields["tokenizer"] = TOKENIZER
    if prediction.misread_keys:
        fields |= {"misread": True, "weights": prediction.misread_keys[0].file}
    if fields:
        what = f"everything is done as {facts.loader} is predicted to do it"
        yield Change(
            name=f"as-predicted:{facts.loader}",
            description=what,
            evidence=prediction.reasons[:1],
            fields=fields,
            is_bundle=True,
        )


def _as_predicted(pipeline: EmbeddingPipeline | None) -> Iterator[tuple[str, Any]]:
    if pipeline is None:
        return
    if pipeline.pooling:
        yield "pooling", pipeline.pooling
    if pipeline.normalize is not None:
        yield "normalize", pipeline.normalize
    if pipeline.max_seq_length is not None:
        yield "max_length", pipeline.max_seq_length
    if pipeline.lowercase is not None:
        yield "lowercase", pipeline.lowercase
    if pipeline.padding_side is not None:
        yield "padding_side", pipeline.padding_side
    yield "dense", pipeline.dense
    yield "prompt", pipeline.prompts.get(pipeline.default_prompt or "", "")
    yield "pool_prompt", pipeline.include_prompt


_MAKERS = (
    *(_normalization, _pooling, _dense, _prompts, _padding, _padding_side, _cutting),
    *(_tokenizing, _casing, _special, _weights),
    *(_activation, _unread, _layers, _types, _dimension, _commit, _loader),
)
