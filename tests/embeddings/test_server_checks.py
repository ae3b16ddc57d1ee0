"""check_server: what a server says of itself is held against a repository, and silence is no agreement."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from embaudit.embeddings import check_server
from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.files import Snapshot
from embaudit.model.probe import ServerCheck, ServerInfo, Wire

COMMIT = "0123456789" * 4
PIPELINE = EmbeddingPipeline(
    pooling=(PoolingMode.CLS,), normalize=True, max_seq_length=512, lowercase=None, dimension=768
)
SNAPSHOT = Snapshot(source="hub", repo_id="org/model", commit=COMMIT, files={})
FIELDS = ("model_id", "model_sha", "pooling", "max_input_length")


@pytest.mark.parametrize(
    ("info", "compared", "otherwise"),
    [
        pytest.param({}, (), (), id="says nothing"),
        pytest.param(
            {"model_id": "Org/Model", "model_sha": COMMIT, "pooling": "cls", "max_input_length": 512},
            FIELDS,
            (),
            id="same",
        ),
        pytest.param({"model_id": "/data/model"}, (), (), id="a folder"),
        pytest.param({"model_id": "minilm"}, (), (), id="a name of its own"),
        pytest.param({"model_id": "org/other"}, ("model_id",), ("model_id",), id="model"),
        pytest.param({"model_sha": "f" * 40}, ("model_sha",), ("model_sha",), id="commit"),
        pytest.param({"pooling": "mean"}, ("pooling",), ("pooling",), id="pooling"),
        pytest.param({"pooling": "splade"}, ("pooling",), ("pooling",), id="no such vectors"),
        pytest.param({"pooling": "hyper"}, (), (), id="unknown pooling"),
        pytest.param({"max_input_length": 128}, ("max_input_length",), ("max_input_length",), id="length"),
    ],
)
def test_a_server_is_checked_against_what_it_should_serve(
    info: Mapping[str, Any], compared: tuple[str, ...], otherwise: tuple[str, ...]
) -> None:
    """Each field is compared, or said not to be and why; what is otherwise is told with both values."""
    check = check_server(ServerInfo(wire=Wire.TEI, **info), SNAPSHOT, pipeline=PIPELINE)

    assert check.compared == compared
    assert tuple(each.field for each in check.mismatches) == otherwise
    assert all(each.served == str(info[each.field]) for each in check.mismatches)
    assert {*check.compared, *check.not_compared} == set(FIELDS)
    assert all(check.not_compared.values())
    assert check.agrees is (None if not compared else not otherwise)


def test_an_unknown_pooling_is_named() -> None:
    """A word for pooling that embaudit does not know is told, not passed over."""
    check = check_server(ServerInfo(wire=Wire.TEI, pooling="hyper\x1b"), SNAPSHOT, pipeline=PIPELINE)

    assert check.not_compared["pooling"] == "embaudit does not know 'hyper\\x1b', which the server says"


def test_a_repository_that_does_not_say_is_no_agreement() -> None:
    """Where the repository says nothing, nothing is compared, and the pipeline's own notes say why."""
    info = ServerInfo(wire=Wire.TEI, model_id="org/m", model_sha=COMMIT, pooling="cls", max_input_length=512)
    silent = attrs.evolve(PIPELINE, pooling=None, max_seq_length=None, notes=("modules.json is broken",))

    check = check_server(info, attrs.evolve(SNAPSHOT, repo_id=None, commit=None), pipeline=silent)

    assert check.agrees is check_server(info).agrees is check_server(None, SNAPSHOT).agrees is None
    assert "modules.json is broken" in check.not_compared["pooling"]


@pytest.mark.parametrize(
    ("name", "document", "agrees"),
    [
        pytest.param("org/model", {"id": "org/model"}, True, id="listed"),
        pytest.param("org/model", {}, None, id="only asked for"),
        pytest.param("org/other", {}, False, id="asked for another"),
    ],
)
def test_the_name_that_was_asked_for_proves_nothing(
    name: str, document: Mapping[str, Any], *, agrees: bool | None
) -> None:
    """Without a list of models the name is that of the address: it may be wrong, and cannot be right."""
    info = ServerInfo(wire=Wire.OPENAI, model_id=name, document=document)

    assert check_server(info, SNAPSHOT).agrees is agrees


def test_nothing_compared_is_not_nothing_found() -> None:
    """A check of nothing and one without mismatches are different values."""
    assert ServerCheck() != ServerCheck(compared=("pooling",))
    assert ServerCheck().agrees is None
    assert ServerCheck(compared=("pooling",)).agrees is True
