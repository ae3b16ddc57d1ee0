"""Which files transformers opens, which it passes over, and what keeps it from reading them."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from packaging.specifiers import SpecifierSet

from embaudit.architectures import ARCHITECTURES, expected_model
from embaudit.loaders.base import Setting
from embaudit.loaders.transformers import TRANSFORMERS, TransformersEra
from embaudit.loaders.transformers.predict import load_model
from embaudit.model.architecture import Role
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, PickleSummary, ShardIndex
from embaudit.model.declaration import BadDocument, Declaration
from embaudit.model.facts import UnreadableFile
from embaudit.model.files import FileState
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository
from embaudit.testing.facts import make_checkpoint, make_entry, make_snapshot, make_tensor
from embaudit.testing.tiny_models import TINY_CONFIGS

CONFIG = TINY_CONFIGS["bert"][0]
SAFETENSORS, INDEX = "model.safetensors", "model.safetensors.index.json"
TORCH, TORCH_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
NEWEST = str(TRANSFORMERS.releases[-1])


def weights(name: str, **fields: Any) -> Checkpoint:
    """The tensors of a small BERT in one file."""
    model = expected_model(ARCHITECTURES["bert"], CONFIG)
    is_torch = "pytorch_model" in name
    tensors = [
        make_tensor(each.name, each.shape, file=name)
        for each in model.tensors.values()
        if each.role is not Role.BUFFER
    ]
    kind = CheckpointFormat.TORCH_ZIP if is_torch else CheckpointFormat.SAFETENSORS
    defaults: dict[str, Any] = {
        "name": name,
        "files": (name,),
        "format": kind,
        "pickle": PickleSummary(protocol=2) if is_torch else None,
        "metadata": {} if is_torch else {"format": "pt"},
    }
    return make_checkpoint(tensors, **{**defaults, **fields})


def sharded(name: str) -> Checkpoint:
    """The tensors of a small BERT in one shard behind an index."""
    shard = name.replace(".index.json", "").replace(".", "-00001-of-00001.")
    whole = weights(shard)
    index = ShardIndex(path=name, weight_map=dict.fromkeys(whole.tensors, shard), metadata={"total_size": 1})
    return attrs.evolve(whole, name=name, index=index)


def repository(
    *checkpoints: Checkpoint,
    config: Mapping[str, Any] = CONFIG,
    others: tuple[str, ...] = (),
    folder: str = "",
) -> Repository:
    """A repository that holds these checkpoints and a configuration."""
    path = f"{folder}/config.json" if folder else "config.json"
    files = {path, *others, *(file for each in checkpoints for file in (each.name, *each.files))}
    return Repository(
        snapshot=make_snapshot(sorted(files)),
        declaration=Declaration(documents={path: dict(config)}),
        checkpoints={each.name: each for each in checkpoints},
    )


def loads(
    shown: Repository, version: str = NEWEST, *, folder: str = "", **beneath: str
) -> tuple[PredictedLoad, ...]:
    """What one version does."""
    era = next(era for era in TRANSFORMERS.eras if era.versions.contains(version))
    setting: Setting[TransformersEra] = Setting(
        era=era, beneath={name: SpecifierSet(text) for name, text in beneath.items()}
    )
    return tuple(load_model(shown, setting, folder=folder))


def load(shown: Repository, version: str = NEWEST, **how: Any) -> PredictedLoad:
    """The only thing that one version does."""
    (only,) = loads(shown, version, **how)
    return only


ORDER = (SAFETENSORS, INDEX, TORCH, TORCH_INDEX)


@pytest.mark.parametrize("version", ["4.30.2", "4.57.1", NEWEST])
@pytest.mark.parametrize("first", range(len(ORDER)), ids=ORDER)
def test_the_first_of_four_names_is_opened(first: int, version: str) -> None:
    """Of the usual names the first that is there is opened, in every release; the others are passed over."""
    present = [sharded(name) if name.endswith(".json") else weights(name) for name in ORDER[first:]]
    seen = load(repository(*present, others=("onnx/model.onnx", "tf_model.h5")), version)

    assert seen.outcome is Outcome.FAITHFUL
    assert seen.files == tuple(sorted({ORDER[first], *present[0].files}))
    assert {"onnx/model.onnx", "tf_model.h5", *ORDER[first + 1 :]} <= {*seen.ignored_files}
    assert not {*seen.files} & {*seen.ignored_files}


def test_a_folder_is_looked_up_by_itself() -> None:
    """The model in a folder has its own configuration and weights; those of the root are another's."""
    shown = repository(weights(f"0_Model/{SAFETENSORS}"), folder="0_Model", others=(SAFETENSORS,))

    assert load(shown, folder="0_Model/").files == (f"0_Model/{SAFETENSORS}",)
    assert load(shown, folder="0_Model/").ignored_files == ()
    assert load(shown).reasons == ("There is no config.json.",)


@pytest.mark.parametrize(
    "others", [(), ("model.fp16.safetensors",), ("tf_model.h5",), ("flax_model.msgpack",)]
)
def test_without_torch_weights_it_refuses(others: tuple[str, ...]) -> None:
    """A variant, or weights of another framework, are not read by default."""
    assert load(repository(others=others)).outcome is Outcome.REFUSED


def test_a_broken_link_is_no_file() -> None:
    """A link to nothing does not exist for transformers: the next name is opened."""
    shown = repository(weights(TORCH))
    listing = {**shown.snapshot.files, SAFETENSORS: make_entry(SAFETENSORS, state=FileState.BROKEN_LINK)}
    shown = attrs.evolve(shown, snapshot=attrs.evolve(shown.snapshot, files=listing))

    assert load(shown).files == (TORCH,)


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [("", Outcome.REFUSED), ("tensors", Outcome.UNKNOWN)],
    ids=["malformed", "too large"],
)
def test_an_unreadable_file_is_never_loaded(limit: str, outcome: Outcome) -> None:
    """A malformed file is refused; one that only embaudit finds too large leaves it in the dark."""
    shown = repository(others=(SAFETENSORS,))
    broken = UnreadableFile(path=SAFETENSORS, problem="the header ends too early", limit=limit)
    shown = attrs.evolve(shown, unreadable={SAFETENSORS: broken})

    assert load(shown).outcome is outcome
    assert "the header ends too early" in load(shown).reasons[0]


@pytest.mark.parametrize(
    ("problem", "version", "outcome"),
    [
        ({"format": CheckpointFormat.TORCH_ZIP}, NEWEST, Outcome.REFUSED),
        ({"missing_files": ("model-00002-of-00002.safetensors",)}, NEWEST, Outcome.REFUSED),
        ({"metadata": {}}, "4.47.1", Outcome.REFUSED),
        ({"metadata": {}}, "4.48.0", Outcome.FAITHFUL),
        ({"metadata": {"format": "mlx"}}, "4.38.2", Outcome.REFUSED),
        ({"metadata": {"format": "mlx"}}, "4.39.0", Outcome.FAITHFUL),
        ({"metadata": {"format": "tf"}}, "4.34.1", Outcome.REFUSED),
        ({"metadata": {"format": "tf"}}, "4.57.1", Outcome.REFUSED),
        ({"metadata": {"format": "tf"}}, "5.0.0", Outcome.FAITHFUL),
        ({"metadata": {"format": "somebody's"}}, "4.57.1", Outcome.REFUSED),
        ({"metadata": {"format": "somebody's"}}, "5.0.0", Outcome.FAITHFUL),
    ],
)
def test_what_a_safetensors_file_must_be(problem: dict[str, Any], version: str, outcome: Outcome) -> None:
    """A wrong name, a missing shard, and from release to release the metadata, decide on safetensors."""
    assert load(repository(weights(SAFETENSORS, **problem)), version).outcome is outcome


def test_another_framework_may_be_installed() -> None:
    """With TensorFlow, 4.x hands a file that says `tf` to its own loader, of which embaudit knows nothing."""
    shown = repository(weights(SAFETENSORS, metadata={"format": "tf"}))

    assert load(shown, "4.57.1", tensorflow="").outcome is Outcome.UNKNOWN


UNSAFE = PickleSummary(protocol=2, tensor_only=False, reasons=("It calls os.system at byte 7.",))
FRAMED = PickleSummary(protocol=4)


@pytest.mark.parametrize("pickle", [UNSAFE, FRAMED], ids=["unsafe", "protocol 4"])
@pytest.mark.parametrize("version", ["4.30.2", "4.37.0", NEWEST])
def test_new_torch_refuses_more_than_tensors(pickle: PickleSummary, version: str) -> None:
    """Whatever the release, torch 2.6 reads tensors only, in the opcodes of protocol 2."""
    assert load(repository(weights(TORCH, pickle=pickle)), version).outcome is Outcome.REFUSED


def test_old_releases_unpickle_anything_with_old_torch() -> None:
    """Up to 4.36 with torch before 2.6 a pickle may run code, and nobody can tell what comes of it."""
    shown = repository(weights(TORCH, pickle=UNSAFE))
    seen = load(shown, "4.36.2", torch="<2.6")

    assert seen.outcome is Outcome.UNKNOWN
    assert seen.beneath == "torch<2.6"
    assert "os.system" in seen.reasons[0]
    assert load(shown, "4.37.0", torch="<2.6").outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("version", "torch", "outcomes"),
    [
        ("4.51.3", "==2.5.1", [Outcome.FAITHFUL]),
        ("4.52.1", "==2.5.1", [Outcome.REFUSED]),
        ("4.52.1", "==2.13.0", [Outcome.FAITHFUL]),
        (NEWEST, ">=2.4", [Outcome.REFUSED, Outcome.FAITHFUL]),
    ],
)
def test_from_4_52_on_old_torch_may_not_unpickle(version: str, torch: str, outcomes: list[Outcome]) -> None:
    """From 4.52 on `pytorch_model.bin` needs torch 2.6; both answers are told where it is left open."""
    seen = loads(repository(weights(TORCH)), version, torch=torch)

    assert [load.outcome for load in seen] == outcomes


def test_safetensors_do_not_need_new_torch() -> None:
    """The version of torch is no matter where it does not read the file."""
    seen = load(repository(weights(SAFETENSORS)), torch="==2.5.1")

    assert (seen.outcome, seen.beneath) == (Outcome.FAITHFUL, "")


OTHER = "other.safetensors"


@pytest.mark.parametrize(
    ("named", "version", "files"),
    [
        (OTHER, "4.51.3", (SAFETENSORS,)),
        (OTHER, "4.52.1", (OTHER,)),
        (OTHER, NEWEST, (OTHER,)),
        (TORCH, NEWEST, ()),
        ("absent.safetensors", NEWEST, ()),
        (f"../{OTHER}", "4.57.1", ()),
        (f"/{OTHER}", NEWEST, ()),
        (7, NEWEST, ()),
    ],
)
def test_the_configuration_may_name_the_weights(named: object, version: str, files: tuple[str, ...]) -> None:
    """From 4.52 on `transformers_weights` decides, if it is a safetensors file of the repository."""
    shown = repository(
        weights(SAFETENSORS), weights(OTHER), weights(TORCH), config={**CONFIG, "transformers_weights": named}
    )
    seen = load(shown, version)

    assert seen.files == files
    assert seen.outcome is (Outcome.FAITHFUL if files else Outcome.REFUSED)


def test_an_adapter_counts_only_with_peft() -> None:
    """`adapter_config.json` is passed over unless peft is installed; then other weights count than these."""
    shown = repository(weights(SAFETENSORS), others=("adapter_config.json",))

    assert load(shown, "4.57.1").outcome is Outcome.FAITHFUL
    assert load(shown, "4.57.1", peft="").outcome is Outcome.UNKNOWN
    assert load(shown, NEWEST, peft="").outcome is Outcome.UNKNOWN
    assert load(shown, "4.32.1", peft="").outcome is Outcome.FAITHFUL


def test_a_big_endian_file_crashes_later_releases() -> None:
    """From 4.50 to 4.57 torch reads the file without its values first, and swaps bytes that are not there."""
    big = weights(TORCH)
    big = attrs.evolve(
        big, tensors={name: attrs.evolve(each, byte_order="big") for name, each in big.tensors.items()}
    )

    assert load(repository(big), "4.49.0").outcome is Outcome.FAITHFUL
    assert load(repository(big), "4.57.1").outcome is Outcome.REFUSED


def test_a_bad_configuration_is_refused() -> None:
    """A `config.json` that is no object or cannot be parsed ends the load, with what is wrong with it."""
    shown = repository(weights(SAFETENSORS))
    bad = BadDocument(path="config.json", problem="config.json: it ends too early")

    assert load(attrs.evolve(shown, declaration=Declaration(bad=(bad,)))).outcome is Outcome.REFUSED
    assert load(attrs.evolve(shown, declaration=Declaration())).outcome is Outcome.UNKNOWN
    listed = Declaration(documents={"config.json": [1]})
    assert load(attrs.evolve(shown, declaration=listed)).outcome is Outcome.REFUSED


def test_an_index_without_metadata_is_refused() -> None:
    """Transformers looks into `metadata` of the index, and fails where there is none."""
    lacking = sharded(INDEX)
    assert lacking.index is not None
    lacking = attrs.evolve(lacking, index=attrs.evolve(lacking.index, has_metadata=False, metadata={}))

    assert load(repository(lacking)).outcome is Outcome.REFUSED
    assert load(repository(sharded(INDEX))).outcome is Outcome.FAITHFUL


def test_a_plain_entry_is_no_tensor_that_matters() -> None:
    """An epoch beside the tensors is reported as unexpected, and does no harm."""
    seen = load(repository(weights(TORCH, metadata={"epoch": 3})), "4.57.1")

    assert seen.unexpected_keys == seen.harmless_keys == ("epoch",)
    assert not seen.silent


def test_a_wrapped_state_dict_fills_nothing() -> None:
    """Of a training checkpoint only the top level is seen: 4.x starts at random values, 5 fails over it."""
    wrapped = weights(TORCH, state_dict="model", metadata={"epoch": 3})
    names = {f"model.{name}": each for name, each in wrapped.tensors.items()}
    wrapped = attrs.evolve(
        wrapped, tensors={name: attrs.evolve(each, name=name) for name, each in names.items()}
    )
    seen = load(repository(wrapped), "4.57.1")

    assert seen.outcome is Outcome.INCOMPLETE
    assert seen.unexpected_keys == ("epoch", "model")
    assert load(repository(wrapped)).outcome is Outcome.REFUSED


def test_an_unknown_model_is_looked_at_all_the_same() -> None:
    """Of a model that embaudit does not know it still tells what is odd about the weights."""
    gappy = make_checkpoint(
        [make_tensor(f"layers.{number}.weight", file=SAFETENSORS) for number in (0, 2)],
        name=SAFETENSORS,
        files=(SAFETENSORS,),
        format=CheckpointFormat.SAFETENSORS,
        metadata={"format": "pt"},
        pickle=None,
    )
    seen = load(repository(gappy, config={"model_type": "whisper"}))

    assert seen.outcome is Outcome.UNKNOWN
    assert seen.reasons == (
        "embaudit does not know models of type 'whisper'.",
        "layers has a layer 2 and no layer 1.",
    )
    assert seen.files == (SAFETENSORS,)


def test_quantized_models_are_not_told() -> None:
    """A configuration that asks for quantization makes other tensors of the model than embaudit knows."""
    shown = repository(weights(SAFETENSORS), config={**CONFIG, "quantization_config": {"bits": 4}})

    assert load(shown).outcome is Outcome.UNKNOWN


HOSTILE = [10**30, -1, 0, "12", None, True, 2.5, (), {"a": 1}, "\ud800"]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
@pytest.mark.parametrize("field", sorted(CONFIG))
@pytest.mark.parametrize("version", ["4.30.2", NEWEST])
def test_hostile_fields_never_raise(field: str, value: object, version: str) -> None:
    """Whatever stands in a field of the configuration, there is one outcome, with a reason if it is bad."""
    seen = load(repository(weights(SAFETENSORS), config={**CONFIG, field: value}), version)

    assert seen.outcome is Outcome.FAITHFUL or seen.reasons


def test_a_plain_entry_may_be_called_like_a_tensor() -> None:
    """A number where the model has a tensor is told as one of the wrong shape, not stumbled over."""
    name = "embeddings.LayerNorm.bias"
    whole = weights(TORCH)
    tensors = {key: each for key, each in whole.tensors.items() if key != name}
    seen = load(repository(attrs.evolve(whole, tensors=tensors, metadata={name: 3})))

    assert seen.outcome is Outcome.REFUSED
    assert [key.name for key in seen.mismatched_keys] == [name]
