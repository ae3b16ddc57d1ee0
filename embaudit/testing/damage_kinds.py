"""The table of the kinds of damage: what each changes, under a name that says it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import attrs

from embaudit.testing.damaged_files import (
    SAFETENSORS,
    SAFETENSORS_INDEX,
    TORCH,
    TORCH_INDEX,
    Writer,
    all_unmapped,
    both,
    cut,
    first_in_both_shards,
    in_safetensors,
    in_safetensors_shards,
    in_torch,
    in_torch_shards,
    in_torch_with,
    index_changed,
    index_moved,
    instead,
    last_unmapped,
    no_weights,
    shard_without_first,
    then,
    unstored_mapped,
    with_file,
    without_file,
    without_metadata,
)
from embaudit.testing.damaged_settings import (
    Settings,
    left_out,
    unchanged,
    with_fields,
    with_layers,
    with_width,
    without_field,
)
from embaudit.testing.damaged_tensors import (
    Change,
    after,
    again_renamed,
    cast,
    dropped,
    intact,
    nothing,
    prefixed,
    prefixed_in_part,
    renamed,
    resized_inside,
    resized_table,
    scalars_for_vectors,
    tied_apart,
    transposed,
    twice,
    weight_normed,
    with_a_layer,
    with_buffers,
    with_colliding,
    with_integers,
    with_named,
    without_a_layer,
    without_first,
    without_tied,
)


@attrs.frozen(kw_only=True)
class Damage:
    """A kind of damage.

    Attributes:
        tensors: What becomes of the tensors.
        config: What becomes of the configuration.
        files: How they are written.
    """

    tensors: Change = intact
    config: Settings = unchanged
    files: Writer = attrs.field(factory=in_safetensors)


_NORM = r"([Ll]ayer_?[Nn]orm|norm\d?)"
_HEADS: Mapping[str, tuple[int, ...]] = {
    "classifier.weight": (2, 16),
    "classifier.bias": (2,),
    "cls.predictions.bias": (40,),
    "lm_head.weight": (40, 16),
}
_OTHER = "other.safetensors"
_ADAPTER = '{"peft_type": "LORA", "base_model_name_or_path": "nobody/nothing", "r": 2, "lora_alpha": 4}'

_CONTAINERS = {
    "intact": Damage(),
    "bin": Damage(files=in_torch()),
    "legacy-bin": Damage(files=in_torch(_use_new_zipfile_serialization=False)),
    "protocol-4-bin": Damage(files=in_torch(pickle_protocol=4)),
    "nested-bin": Damage(files=in_torch(wrapped="state_dict")),
    "bin-with-plain-entries": Damage(files=in_torch_with(epoch=3, note="trained")),
    "bin-with-unsafe-entry": Damage(files=in_torch_with(where=Path("somewhere"))),
    "sharded": Damage(files=in_safetensors_shards()),
    "sharded-with-size": Damage(files=in_safetensors_shards(metadata={"total_size": 10**6})),
    "sharded-bin": Damage(files=in_torch_shards()),
    "metadata-missing": Damage(files=in_safetensors(metadata={})),
    "metadata-without-format": Damage(files=in_safetensors(metadata={"author": "somebody"})),
    "metadata-tf": Damage(files=in_safetensors(metadata={"format": "tf"})),
    "metadata-flax": Damage(files=in_safetensors(metadata={"format": "flax"})),
    "metadata-np": Damage(files=in_safetensors(metadata={"format": "np"})),
    "metadata-mlx": Damage(files=in_safetensors(metadata={"format": "mlx"})),
    "safetensors-called-bin": Damage(files=in_safetensors(TORCH)),
    "bin-called-safetensors": Damage(files=in_torch(SAFETENSORS)),
    "zero-bytes": Damage(files=instead(SAFETENSORS, b"")),
    "zero-bytes-bin": Damage(files=instead(TORCH, b"")),
    "cut-in-header": Damage(files=then(in_safetensors(), cut(SAFETENSORS, share=0.01))),
    "cut": Damage(files=then(in_safetensors(), cut(SAFETENSORS, share=0.9))),
    "cut-bin": Damage(files=then(in_torch(), cut(TORCH, share=0.9))),
    "metadata-of-another-kind": Damage(files=in_safetensors(metadata={"format": "onnx"})),
    "no-tensors": Damage(tensors=nothing),
    "no-tensors-bin": Damage(tensors=nothing, files=in_torch()),
}

_CHOICES = {
    "no-weights": Damage(files=no_weights),
    "safetensors-and-other-bin": Damage(files=both(in_safetensors(), in_torch())),
    "shards-and-other-bin": Damage(files=both(in_safetensors_shards(), in_torch())),
    "single-and-other-shards": Damage(files=both(in_safetensors(), in_safetensors_shards())),
    "bin-and-other-shards": Damage(files=both(in_torch(), in_torch_shards())),
    "only-a-variant": Damage(files=in_safetensors("model.fp16.safetensors")),
    "variant-beside": Damage(files=both(in_safetensors(), in_safetensors("model.fp16.safetensors"))),
    "only-another-name": Damage(files=in_safetensors(_OTHER)),
    "config-names-other-file": Damage(
        config=with_fields(transformers_weights=_OTHER),
        files=both(in_safetensors(), in_safetensors(_OTHER)),
    ),
    "config-names-absent-file": Damage(config=with_fields(transformers_weights=_OTHER)),
    "config-names-bin": Damage(
        config=with_fields(transformers_weights=TORCH), files=both(in_safetensors(), in_torch())
    ),
    "config-names-index": Damage(
        config=with_fields(transformers_weights=SAFETENSORS_INDEX),
        files=both(in_safetensors(), in_safetensors_shards()),
    ),
    "config-names-file-outside": Damage(config=with_fields(transformers_weights=f"../{_OTHER}")),
    "adapter-beside": Damage(files=then(in_safetensors(), with_file("adapter_config.json", _ADAPTER))),
    "adapter-tensors-beside": Damage(
        files=then(
            both(in_safetensors(), in_safetensors("adapter_model.safetensors")),
            with_file("adapter_config.json", _ADAPTER),
        )
    ),
    "only-an-adapter": Damage(
        files=then(in_safetensors("adapter_model.safetensors"), with_file("adapter_config.json", _ADAPTER))
    ),
    "only-tensorflow": Damage(files=instead("tf_model.h5", b"\x89HDF")),
    "only-flax": Damage(files=instead("flax_model.msgpack", b"\x80")),
    "only-onnx": Damage(files=instead("model.onnx", b"\x08")),
    "shard-absent-and-bin": Damage(
        files=then(
            both(in_safetensors_shards(), in_torch()), without_file("model-00002-of-00002.safetensors")
        )
    ),
    "index-null-metadata": Damage(
        files=then(in_safetensors_shards(), index_changed(SAFETENSORS_INDEX, without_metadata))
    ),
    "index-maps-nothing": Damage(
        files=then(in_safetensors_shards(), index_changed(SAFETENSORS_INDEX, all_unmapped))
    ),
    "index-maps-to-bin": Damage(files=then(in_torch_shards(), index_moved(TORCH_INDEX, SAFETENSORS_INDEX))),
    "bin-index-maps-to-safetensors": Damage(
        files=then(in_safetensors_shards(), index_moved(SAFETENSORS_INDEX, TORCH_INDEX))
    ),
    "shard-absent": Damage(
        files=then(in_safetensors_shards(), without_file("model-00002-of-00002.safetensors"))
    ),
    "bin-shard-absent": Damage(
        files=then(in_torch_shards(), without_file("pytorch_model-00002-of-00002.bin"))
    ),
    "index-absent": Damage(files=then(in_safetensors_shards(), without_file(SAFETENSORS_INDEX))),
    "index-not-json": Damage(files=then(in_safetensors_shards(), with_file(SAFETENSORS_INDEX, "{"))),
    "index-empty": Damage(files=then(in_safetensors_shards(), with_file(SAFETENSORS_INDEX, "{}"))),
    "index-lacks-a-tensor": Damage(
        files=then(in_safetensors_shards(), index_changed(SAFETENSORS_INDEX, last_unmapped))
    ),
    "bin-index-lacks-a-tensor": Damage(
        files=then(in_torch_shards(), index_changed(TORCH_INDEX, last_unmapped))
    ),
    "index-names-a-stranger": Damage(
        files=then(in_safetensors_shards(), index_changed(SAFETENSORS_INDEX, unstored_mapped))
    ),
    "bin-index-names-a-stranger": Damage(
        files=then(in_torch_shards(), index_changed(TORCH_INDEX, unstored_mapped))
    ),
    "shard-lacks-a-tensor": Damage(files=then(in_safetensors_shards(), shard_without_first)),
    "a-tensor-in-both-shards": Damage(files=then(in_safetensors_shards(), first_in_both_shards)),
}

_DROPPED = {
    "first-dropped": Damage(tensors=without_first),
    "first-dropped-bin": Damage(tensors=without_first, files=in_torch()),
    "norm-bias-dropped": Damage(tensors=dropped(rf"{_NORM}\.bias$", first_only=True)),
    "norm-weight-dropped": Damage(tensors=dropped(rf"{_NORM}\.weight$", first_only=True)),
    "biases-dropped": Damage(tensors=dropped(r"\.bias$")),
    "pooler-dropped": Damage(tensors=dropped(r"^pooler\.")),
    "layer-dropped": Damage(tensors=dropped(r"\.0\.")),
    "last-layer-dropped": Damage(tensors=without_a_layer),
    "layers-dropped": Damage(tensors=dropped(r"\.\d+\.")),
    "tied-first-dropped": Damage(tensors=without_tied(0)),
    "tied-second-dropped": Damage(tensors=without_tied(1)),
    "tied-only-first": Damage(tensors=without_tied(1, 2)),
    "tied-only-second": Damage(tensors=without_tied(0, 2)),
    "tied-only-third": Damage(tensors=without_tied(0, 1)),
    "tied-dropped": Damage(tensors=without_tied()),
    "tied-apart": Damage(tensors=tied_apart),
    "tied-in-bin": Damage(tensors=after(tied_apart, without_tied(0)), files=in_torch()),
}

_ADDED = {
    "extra": Damage(tensors=with_named({"encoder.stranger.weight": (3, 2)})),
    "heads-beside": Damage(tensors=with_named(_HEADS)),
    "heads-beside-prefixed": Damage(tensors=after(prefixed("{base}."), with_named(_HEADS))),
    "heads-prefixed-too": Damage(tensors=after(with_named(_HEADS), prefixed("{base}."))),
    "only-heads": Damage(tensors=after(nothing, with_named(_HEADS))),
    "layer-added": Damage(tensors=with_a_layer),
    "buffers-stored": Damage(tensors=with_buffers),
    "positions-stored": Damage(
        tensors=with_integers({"embeddings.position_ids": (1, 20), "embeddings.token_type_ids": (1, 20)})
    ),
    "frequencies-stored": Damage(
        tensors=with_named({"rotary_emb.inv_freq": (4,), "layers.0.self_attn.rotary_emb.inv_freq": (4,)})
    ),
    "scaled-first": Damage(tensors=with_named({"0.weight": (2, 2), "aaa": (1,)})),
    "names-odd": Damage(tensors=with_named({"": (1,), ".": (2,), "weight": (3,), "encoder.": (2,)})),
    "base-as-name": Damage(tensors=with_colliding("", ".")),
    "heads-prefixed-beside-plain": Damage(tensors=with_colliding(".classifier.weight", ".pooler.extra.bias")),
    "counters-stored": Damage(tensors=with_integers({"encoder.num_batches_tracked": (), "steps": (1,)})),
    "extra-state-stored": Damage(tensors=with_named({"encoder._extra_state": ()})),
    "scalar-and-empty-stored": Damage(tensors=with_named({"scale": (), "nothing": (0, 4)})),
    "name-contains-gamma": Damage(
        tensors=with_named({"encoder.layer_scale.gamma": (3,), "encoder.beta_proj.weight": (3, 2)})
    ),
    "adapter-tensors-stored": Damage(
        tensors=with_named({"base_model.model.encoder.lora_A.default.weight": (2, 16)})
    ),
}

_RENAMED = {
    "one-renamed": Damage(tensors=renamed(r"^", "renamed_", first_only=True)),
    "prefixed": Damage(tensors=prefixed("{base}.")),
    "prefixed-bin": Damage(tensors=prefixed("{base}."), files=in_torch()),
    "prefixed-twice": Damage(tensors=prefixed("{base}.{base}.")),
    "prefixed-in-part": Damage(tensors=prefixed_in_part("{base}.")),
    "prefix-without-dot": Damage(tensors=prefixed("{base}_")),
    "prefix-in-other-case": Damage(tensors=after(prefixed("{base}."), renamed(r"^\w", "X"))),
    "colliding-beside": Damage(tensors=with_colliding("ology.weight", "_head.weight")),
    "colliding-beside-prefixed": Damage(tensors=after(prefixed("{base}."), with_colliding("_head.weight"))),
    "only-first-prefixed": Damage(tensors=prefixed_in_part("{base}.", places=slice(1))),
    "plain-and-prefixed": Damage(tensors=twice("{base}.", first=False)),
    "prefixed-and-plain": Damage(tensors=twice("{base}.", first=True)),
    "module": Damage(tensors=prefixed("module.")),
    "module-prefixed": Damage(tensors=prefixed("module.{base}.")),
    "compiled": Damage(tensors=prefixed("_orig_mod.")),
    "encoder-beside": Damage(tensors=prefixed("encoder.")),
    "wrapped-by-sentence-transformers": Damage(tensors=prefixed("0.auto_model.")),
    "model-before": Damage(tensors=prefixed("model.")),
    "another-base-before": Damage(tensors=prefixed("backbone.")),
    "gamma-beta": Damage(
        tensors=after(
            renamed(r"LayerNorm\.weight", "LayerNorm.gamma"), renamed(r"LayerNorm\.bias", "LayerNorm.beta")
        )
    ),
    "gamma-beta-bin": Damage(
        tensors=after(
            renamed(r"LayerNorm\.weight", "LayerNorm.gamma"), renamed(r"LayerNorm\.bias", "LayerNorm.beta")
        ),
        files=in_torch(),
    ),
    "gamma-beta-prefixed": Damage(
        tensors=after(renamed(r"LayerNorm\.weight", "LayerNorm.gamma"), prefixed("{base}.")),
    ),
    "gamma-beta-in-part": Damage(tensors=renamed(r"LayerNorm\.weight", "LayerNorm.gamma", first_only=True)),
    "gamma-beta-any-norm": Damage(
        tensors=after(renamed(rf"{_NORM}\.weight$", r"\1.gamma"), renamed(rf"{_NORM}\.bias$", r"\1.beta"))
    ),
    "gamma-inside-a-name": Damage(
        tensors=with_named(
            {"LayerNorm.gamma_scale": (3,), "x.LayerNorm.beta.y": (2,), "my_LayerNorm.gamma": (2,)}
        )
    ),
    "prefixed-twice-in-part": Damage(tensors=after(prefixed("{base}."), prefixed_in_part("{base}."))),
    "prefix-of-another": Damage(tensors=renamed(r"^(?=\w+\.)", "electra.")),
    "beta-for-bias": Damage(tensors=renamed(r"(?<!orm)\.bias$", ".beta", first_only=True)),
    "gamma-and-weight": Damage(tensors=again_renamed(r"LayerNorm\.weight", "LayerNorm.gamma")),
    "weight-normed": Damage(tensors=weight_normed),
}

_RESIZED = {
    "table-resized": Damage(tensors=resized_table),
    "table-resized-bin": Damage(tensors=resized_table, files=in_torch()),
    "table-resized-prefixed": Damage(tensors=after(resized_table, prefixed("{base}."))),
    "matrix-resized": Damage(tensors=resized_inside),
    "matrix-transposed": Damage(tensors=transposed),
    "vector-as-scalar": Damage(tensors=scalars_for_vectors),
    "resized-and-dropped": Damage(tensors=after(resized_table, resized_inside, dropped(r"\.bias$"))),
}

_TYPES = {
    "float16": Damage(tensors=cast("float16")),
    "float16-bin": Damage(tensors=cast("float16"), files=in_torch()),
    "bfloat16": Damage(tensors=cast("bfloat16")),
    "bfloat16-bin-shards": Damage(tensors=cast("bfloat16"), files=in_torch_shards()),
    "float8": Damage(tensors=cast("float8_e4m3fn")),
    "complex": Damage(tensors=cast("complex64")),
    "bool": Damage(tensors=cast("bool")),
    "int64": Damage(tensors=cast("int64")),
    "first-int64-others-bfloat16": Damage(
        tensors=after(cast("int64", places=slice(1)), cast("bfloat16", places=slice(1, None)))
    ),
    "last-half-float16": Damage(
        tensors=cast("float16", places=slice(5, None)), files=in_safetensors_shards()
    ),
    "last-float16-bin": Damage(tensors=cast("float16", places=slice(1, None)), files=in_torch()),
    "first-float16-bin-shards": Damage(tensors=cast("float16", places=slice(1)), files=in_torch_shards()),
    "first-half-float16-shards": Damage(
        tensors=cast("float16", places=slice(12)), files=in_safetensors_shards()
    ),
    "float64": Damage(tensors=cast("float64")),
    "int8": Damage(tensors=cast("int8")),
    "first-int8": Damage(tensors=cast("int8", places=slice(1))),
    "first-float16": Damage(tensors=cast("float16", places=slice(1))),
    "all-but-first-float16": Damage(tensors=cast("float16", places=slice(1, None))),
    "float16-shards": Damage(tensors=cast("float16"), files=in_safetensors_shards()),
    "shards-say-float16": Damage(files=in_safetensors_shards(metadata={"dtype": "float16"})),
    "config-says-float16": Damage(config=with_fields(dtype="float16")),
    "config-says-bfloat16-the-old-way": Damage(config=with_fields(torch_dtype="bfloat16")),
    "config-says-float32-of-float16": Damage(
        tensors=cast("float16"), config=with_fields(torch_dtype="float32")
    ),
    "config-says-two-types": Damage(config=with_fields(dtype="float16", torch_dtype="bfloat16")),
    "config-says-torch-float16": Damage(config=with_fields(torch_dtype="torch.float16")),
    "config-says-half": Damage(config=with_fields(torch_dtype="half")),
    "config-says-float64": Damage(config=with_fields(dtype="float64")),
    "config-says-int8": Damage(config=with_fields(dtype="int8")),
    "config-says-a-number": Damage(config=with_fields(dtype=16)),
    "config-says-by-part": Damage(config=with_fields(dtype={"": "float16"})),
    "config-says-null": Damage(tensors=cast("float16"), config=with_fields(torch_dtype=None)),
    "config-says-auto": Damage(tensors=cast("float16"), config=with_fields(torch_dtype="auto")),
    "config-says-no-type": Damage(config=with_fields(torch_dtype="float17")),
}

_SETTINGS = {
    "fewer-layers-in-config": Damage(config=with_layers(lambda count: count - 1)),
    "more-layers-in-config": Damage(config=with_layers(lambda count: count + 1)),
    "layers-in-config-as-text": Damage(config=with_layers(str)),
    "wider-in-config": Damage(config=with_width(2)),
    "more-words-in-config": Damage(config=with_fields(vocab_size=41)),
    "class-unknown": Damage(config=with_fields(architectures=["NobodysModel"])),
    "class-null": Damage(config=with_fields(architectures=None)),
    "class-as-text": Damage(config=with_fields(architectures="BertModel")),
    "classes-empty": Damage(config=with_fields(architectures=[])),
    "fields-unknown": Damage(config=with_fields(nobodys_field={"a": [1, None]}, _name_or_path="x")),
    "layers-in-config-null": Damage(config=with_layers(lambda _count: None)),
    "no-model-type": Damage(config=without_field("model_type")),
    "model-type-unknown": Damage(config=with_fields(model_type="nobodys_own")),
    "model-type-null": Damage(config=with_fields(model_type=None)),
    "class-of-another-task": Damage(
        tensors=after(prefixed("{base}."), with_named(_HEADS)),
        config=with_fields(architectures=["NobodysForMaskedLM"]),
    ),
    "config-absent": Damage(config=left_out),
    "config-not-json": Damage(config=left_out, files=then(in_safetensors(), with_file("config.json", "{"))),
    "config-a-list": Damage(config=left_out, files=then(in_safetensors(), with_file("config.json", "[]"))),
}

FILE_DAMAGES: Mapping[str, Damage] = MappingProxyType({**_CONTAINERS, **_CHOICES, **_TYPES})
"""The kinds in which names and shapes stay right: what becomes of them seldom depends on the architecture."""
NAME_DAMAGES: Mapping[str, Damage] = MappingProxyType(
    {**_DROPPED, **_ADDED, **_RENAMED, **_RESIZED, **_SETTINGS}
)
"""The kinds that touch names, shapes or settings: what becomes of them depends on the architecture."""
DAMAGES: Mapping[str, Damage] = MappingProxyType({**FILE_DAMAGES, **NAME_DAMAGES})
"""Every kind of damage, by name."""
