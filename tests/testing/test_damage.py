"""The kinds of damage: each damages some model, none damages the model that it is given."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from embaudit.testing.damage import DAMAGES, write_damaged
from embaudit.testing.damaged_tensors import TinyModel, intact, tiny_model


def written(kind: str, model: TinyModel, folder: Path) -> dict[str, bytes]:
    """The files of one kind, by name; none if it does not apply."""
    if not write_damaged(kind, model, folder):
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", DAMAGES)
def test_each_kind_is_one_for_some_model(kind: str, tmp_path: Path) -> None:
    """BERT or T5, which ties tensors, is written with it, and other files come of it than without damage."""
    models = [tiny_model("bert"), tiny_model("t5")]
    damaged = [written(kind, model, tmp_path / str(place)) for place, model in enumerate(models)]
    whole = [written("intact", model, tmp_path / f"intact{place}") for place, model in enumerate(models)]

    assert any(damaged)
    assert kind == "intact" or all(files != right for files, right in zip(damaged, whole, strict=True))


@pytest.mark.parametrize("kind", DAMAGES)
def test_the_model_that_is_given_stays_whole(kind: str, tmp_path: Path) -> None:
    """Damage is done to a copy."""
    model, again = tiny_model("bert"), tiny_model("bert")
    write_damaged(kind, model, tmp_path)

    assert model.config == again.config
    assert list(model.tensors) == list(again.tensors)
    assert all(torch.equal(model.tensors[name], again.tensors[name]) for name in again.tensors)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("tied-dropped", "bert"), ("gamma-beta", "llama"), ("pooler-dropped", "distilbert")],
)
def test_what_finds_nothing_to_damage_is_not_written(kind: str, name: str, tmp_path: Path) -> None:
    """A kind that would leave a model as it is says so and makes no folder."""
    folder = tmp_path / "none"

    assert not write_damaged(kind, tiny_model(name), folder)
    assert not folder.exists()


def test_tied_names_hold_one_tensor() -> None:
    """An undamaged model agrees with its architecture on what is tied."""
    model = tiny_model("t5")
    group = model.architecture.tied[0]

    assert all(torch.equal(intact(model)[name], model.tensors[group[0]]) for name in group)


def test_the_table_is_read_without_torch() -> None:
    """Only tensors that are made need torch."""
    code = "import sys, embaudit.testing.damage; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
