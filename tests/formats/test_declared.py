"""Which files are declared settings, and what they say."""

import pytest

from embaudit.errors import FormatError
from embaudit.formats.declared import check_declared, declared_paths, parse_declared, routed_folders
from embaudit.model.frozen import FrozenMapping, freeze

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "head/", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "./deep/projection", "type": "sentence_transformers.models.Dense"},
]


@pytest.mark.parametrize(
    "path",
    [
        "config.json",
        "modules.json",
        "config_sentence_transformers.json",
        "sentence_bert_config.json",
        "sentence_xlm-roberta_config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "adapter_config.json",
        "preprocessor_config.json",
        "router_config.json",
        "1_Pooling/config.json",
        "0_Transformer/sentence_bert_config.json",
        "2_Dense/config.json",
        "query_0_Transformer/tokenizer_config.json",
        "0_Router/query_0_WeightedLayerPooling/config.json",
        "head/config.json",
        "deep/projection/config.json",
    ],
)
def test_settings_are_declared(path: str) -> None:
    """The small JSON files that transformers and sentence-transformers read are declared settings."""
    assert declared_paths([path], freeze(MODULES)) == (path,)


@pytest.mark.parametrize(
    "path",
    [
        "tokenizer.json",
        "vocab.json",
        "generation_config.json",
        "data_config.json",
        "model.safetensors.index.json",
        "README.md",
        "checkpoint-500/config.json",
        "onnx/config.json",
        "deep/config.json",
        "data/results.json",
        "config.json.bak",
    ],
)
def test_other_files_are_not(path: str) -> None:
    """Vocabularies, indexes, and files of folders that are no module are not declared settings."""
    assert declared_paths([path], freeze(MODULES)) == ()


@pytest.mark.parametrize(
    "modules",
    [None, 1, "head", {}, [], [1], [{}], [{"path": None}], [{"path": ["head"]}]],
    ids=str,
)
def test_a_useless_modules_file_names_no_folder(modules: object) -> None:
    """Whatever `modules.json` holds, the files that need no naming are declared, and no others."""
    paths = ["head/config.json", "config.json", "1_Pooling/config.json"]

    found = declared_paths(paths, freeze(modules))  # type: ignore[arg-type]  # hostile on purpose

    assert found == ("1_Pooling/config.json", "config.json")


@pytest.mark.parametrize(
    ("path", "document"),
    [
        pytest.param("config.json", {}, id="settings"),
        pytest.param("modules.json", MODULES, id="modules"),
        pytest.param("modules.json", [], id="no modules"),
    ],
)
def test_settings_of_the_right_type_pass(path: str, document: object) -> None:
    """Settings are an object, and the list of modules an array of objects."""
    check_declared(freeze(document), path)  # type: ignore[arg-type]  # JSON that mypy sees as object


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        pytest.param("config.json", [], "config.json: expected an object, found an array", id="array"),
        pytest.param(
            "1_P/config.json", "a", "1_P/config.json: expected an object, found a string", id="text"
        ),
        pytest.param(
            "added_tokens.json", None, "added_tokens.json: expected an object, found null", id="null"
        ),
        pytest.param("modules.json", {}, "modules.json: expected an array, found an object", id="modules"),
        pytest.param(
            "modules.json", [{}, 1], "modules.json: [1]: expected an object, found an integer", id="1"
        ),
    ],
)
def test_settings_of_another_type_are_named(path: str, document: object, expected: str) -> None:
    """The error says which file, where in it, and which JSON types were expected and found."""
    with pytest.raises(FormatError) as caught:
        check_declared(freeze(document), path)  # type: ignore[arg-type]  # hostile on purpose

    assert str(caught.value) == expected


def test_parsed_settings_are_frozen_and_errors_name_the_file() -> None:
    """Settings are frozen JSON; a fault in them says in which file it lies."""
    assert parse_declared(b'{"a": [1]}', "config.json") == FrozenMapping({"a": (1,)})
    with pytest.raises(FormatError, match=r"^1_Pooling/config\.json: line 1 column 2"):
        parse_declared(b"{", "1_Pooling/config.json")


@pytest.mark.parametrize(
    ("path", "document", "folders"),
    [
        (
            "2_Asym/config.json",
            {"types": {"q-0": "a", "d": "b"}, "structure": {}},
            ("2_Asym/d", "2_Asym/q-0"),
        ),
        ("router_config.json", {"types": {"q_T": "a"}, "structure": {}}, ("q_T",)),
        ("2_Asym/config.json", {"types": {"q-0": "a"}}, ()),
        ("2_Asym/config.json", {"types": ["q-0"], "structure": {}}, ()),
        ("modules.json", [], ()),
    ],
)
def test_modules_of_a_router_lie_in_folders_of_their_names(
    path: str, document: object, folders: tuple[str, ...]
) -> None:
    """A file that has types and a structure is a Router's, and its names are folders beside it."""
    assert routed_folders({path: freeze(document)}) == folders  # type: ignore[arg-type]  # hostile on purpose
    files = [f"{folder}/config.json" for folder in folders]
    assert declared_paths(files, None, folders) == tuple(sorted(files))
