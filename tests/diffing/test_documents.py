"""Documents: the changes of a JSON file are complete, minimal, and never more than a person can read."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.diffing.documents import (
    MAX_CHANGES,
    MAX_ENTRIES,
    MAX_KEY_SIZE,
    MAX_VALUE_SIZE,
    ValueChange,
    field_changes,
    same_value,
    value_changes,
)

scalars = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2, width=16) | st.text("ab.*0", max_size=2)
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.0", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


def applied(document: Any, changes: tuple[ValueChange, ...]) -> Any:
    """The document with the changes made: removals last and from the end, so that positions hold."""
    result = copy.deepcopy(document)
    removals = [change for change in changes if not change.new_present]
    for change in [*(each for each in changes if each.new_present), *reversed(removals)]:
        if not change.steps:
            return change.new
        place = result
        for step in change.steps[:-1]:
            place = place[step]
        if not change.new_present:
            del place[change.steps[-1]]
        elif isinstance(place, list) and not change.old_present:
            assert change.steps[-1] == len(place)
            place.append(change.new)
        else:
            place[change.steps[-1]] = change.new
    return result


@given(documents, documents)
def test_the_changes_lead_from_the_old_document_to_the_new(old: Any, new: Any) -> None:
    """Nothing that differs is left out, and there is no change exactly if the documents are equal."""
    changes = tuple(value_changes(old, new))

    assert same_value(applied(old, changes), new)
    assert (not changes) == same_value(old, new)
    assert len({change.steps for change in changes}) == len(changes)


@given(documents, documents)
def test_the_way_back_undoes_the_changes(old: Any, new: Any) -> None:
    """From new to old the same places change, with their values exchanged."""
    there = {change.steps: (change.old, change.new) for change in value_changes(old, new)}
    back = {change.steps: (change.new, change.old) for change in value_changes(new, old)}

    assert there == back


@given(documents)
def test_equality_of_documents_is_that_of_json(document: Any) -> None:
    """What is written and read again is equal; the same text gives no changes."""
    assert same_value(document, json.loads(json.dumps(document)))
    assert not list(value_changes(document, json.loads(json.dumps(document, sort_keys=True))))


@pytest.mark.parametrize(
    ("old", "new", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        (None, 0, False),
        ("1", 1, False),
        ([], {}, False),
        ([1], (1.0,), True),
        ([True], [1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": None}, {}, False),
    ],
)
def test_values_are_equal_as_json_has_it(old: Any, new: Any, equal: bool) -> None:
    """Numbers by value, everything else by type and content; the order of keys does not count."""
    assert same_value(old, new) is equal


CHANGES = {
    "a field": ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [("b", 2, 3)]),
    "a nested field": ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)]),
    "an array of plain values": ({"a": ["x"]}, {"a": ["x", "y"]}, [("a", ("x",), ("x", "y"))]),
    "an array of objects": ([{"t": 1}, {"t": 2}], [{"t": 1}, {"t": 3}], [("1.t", 2, 3)]),
    "another type": ({"a": {"b": 1}}, {"a": [1]}, [("a", {"b": 1}, (1,))]),
    "the whole document": ([1], {"a": 1}, [("", (1,), {"a": 1})]),
    "nothing": ({"a": 1.0}, {"a": 1}, []),
}


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_at_its_place(old: Any, new: Any, expected: list[tuple[str, Any, Any]]) -> None:
    """The deepest place that names the difference, dotted."""
    changes, notes = field_changes("config.json", old, new)

    assert [(change.field, change.old, change.new) for change in changes] == expected
    assert notes == ()


def test_fields_that_come_and_go_are_told_from_fields_that_are_null() -> None:
    """Absence is not null."""
    changes, _ = field_changes("config.json", {"a": None}, {"b": None})

    told = {change.field: (change.old_present, change.new_present) for change in changes}
    assert told == {"a": (True, False), "b": (False, True)}


def tokenizer(vocabulary: dict[str, int], **sections: Any) -> dict[str, Any]:
    """A `tokenizer.json` as the tokenizers library lays it out, cut down."""
    model = {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocabulary}
    return {
        "version": "1.0",
        "normalizer": {"type": "BertNormalizer", "lowercase": True},
        "model": model,
    } | sections


def test_the_sections_of_a_tokenizer_are_told_whole() -> None:
    """A section makes sense only as a whole; the model's parts are told one by one."""
    normalizer = {"type": "BertNormalizer", "lowercase": False}
    changes, _ = field_changes(
        "tokenizer.json", tokenizer({"a": 0}), tokenizer({"a": 0, "b": 1}, normalizer=normalizer)
    )

    assert [change.field for change in changes] == ["normalizer", "model.vocab"]
    assert changes[0].new == normalizer
    assert all(change.affects_embeddings for change in changes)


def test_a_vocabulary_is_counted_and_never_printed() -> None:
    """Thirty thousand entries become a sentence that says how many differ."""
    words = {f"word{i}": i for i in range(30_000)}
    changed = {**words, "word0": 7, "new": 30_000}
    del changed["word5"]
    del changed["word6"]

    changes, _ = field_changes("tokenizer.json", tokenizer(words), tokenizer(changed))

    assert [change.field for change in changes] == ["model.vocab"]
    assert changes[0].old == "an object of 30000 entries, 2 only here, 1 with another value there"
    assert changes[0].new == "an object of 29999 entries, 1 only here, 1 with another value there"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("x" * 3_000, "x" * 2_999 + "y", "a text of 3000 characters, equal up to character 2999"),
        (list(range(3_000)), list(range(2_000)), "an array of 3000 elements, equal up to element 2000"),
        ("x" * 3_000, None, "a text of 3000 characters, equal up to character 0"),
        ([["a", 1]] * 1_500, 7, "an array of 1500 elements, equal up to element 0"),
        (
            {"a": "x" * 3_000},
            [],
            "an object of 1 entries, 1 only here, 0 with another value there",
        ),
    ],
    ids=["text", "numbers", "text gone", "pairs", "object"],
)
def test_a_large_value_is_described(old: Any, new: Any, told: str) -> None:
    """Values that would fill a screen say what they are and where they begin to differ."""
    changes, _ = field_changes("config.json", {"a": old}, {"a": new})

    assert [change.field for change in changes] == ["a"]
    assert changes[0].old == told


@given(documents, documents)
def test_no_reported_value_is_large(old: Any, new: Any) -> None:
    """The output of one change is bounded whatever the document holds."""
    big = {str(i): new for i in range(50)}
    changes, _ = field_changes(
        "config.json", {"a": old, "b": "x" * MAX_VALUE_SIZE * 2}, {"a": [big], "b": old}
    )

    assert all(len(str(change.new)) <= 8 * MAX_VALUE_SIZE for change in changes)
    assert all(len(str(change.old)) <= 8 * MAX_VALUE_SIZE for change in changes)


def test_a_long_key_is_cut() -> None:
    """The way to a field is bounded too."""
    changes, _ = field_changes("config.json", {}, {"k" * 10_000: {"x": 1}})

    assert changes[0].field == "k" * MAX_KEY_SIZE + "..."


def test_what_matters_is_told_before_the_rest_is_left_out() -> None:
    """More changes than a person reads are counted; those that can change an embedding come first."""
    old = {
        "id2label": {str(i): i for i in range(MAX_ENTRIES)},
        "label2id": {str(i): i for i in range(50)},
        "hidden_size": 1,
    }
    new = {
        "id2label": {str(i): -1 - i for i in range(MAX_ENTRIES)},
        "label2id": {str(i): -1 - i for i in range(50)},
        "hidden_size": 2,
    }

    changes, notes = field_changes("config.json", old, new)

    assert len(changes) == MAX_CHANGES
    assert changes[0].field == "hidden_size"
    assert notes == ("'config.json': 51 more changes of fields are not told",)


def test_which_shard_holds_which_tensor_is_not_told_by_the_index() -> None:
    """The tensors are compared themselves; of the index only its metadata is told."""
    old = {"metadata": {"total_size": 1}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}
    new = {"metadata": {"total_size": 2}, "weight_map": {"a": "model-00002-of-00002.safetensors"}}

    changes, _ = field_changes("model.safetensors.index.json", old, new)

    assert [change.field for change in changes] == ["metadata.total_size"]
