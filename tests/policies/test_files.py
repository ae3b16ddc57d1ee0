"""Where a policy's file is looked for, and what becomes of a file that is none."""

import os
from pathlib import Path

import pytest

from embaudit.errors import UsageError
from embaudit.policies import MAX_POLICY_BYTES, find_policy, read_policy

PROJECT = '[project]\nname = "x"\n'
POLICY = "dimension = 3\n"


def write(path: Path, text: str) -> Path:
    """The file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_policy_is_read_from_a_file_of_its_own_or_a_project(tmp_path: Path) -> None:
    """Both kinds of file give the same policy, whose source is the path as it was given."""
    alone = write(tmp_path / "rules" / "strict.toml", POLICY)
    project = write(tmp_path / "pyproject.toml", f"{PROJECT}[tool.embaudit]\n{POLICY}")

    assert read_policy(alone).dimension == read_policy(str(project)).dimension == 3
    assert read_policy(alone).source == str(alone)


def test_a_link_to_a_policy_is_followed(tmp_path: Path) -> None:
    """A file that somebody names may be a link, as those of a mounted configuration are."""
    place = write(tmp_path / "data" / "policy", POLICY)
    (tmp_path / "embaudit.toml").symlink_to(place)

    assert read_policy(tmp_path / "embaudit.toml").dimension == 3


def test_the_name_of_a_link_decides_how_it_is_read(tmp_path: Path) -> None:
    """A link called pyproject.toml is read as one, whatever its target is called."""
    place = write(tmp_path / "data" / "policy", f"[tool.embaudit]\n{POLICY}")
    (tmp_path / "pyproject.toml").symlink_to(place)

    assert read_policy(tmp_path / "pyproject.toml").dimension == 3


def test_what_is_no_file_of_a_policy_is_a_clear_error(tmp_path: Path) -> None:
    """A pipe, a folder, nothing, a loop, too many bytes, other encodings: each is told, and nothing waits."""
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (MAX_POLICY_BYTES + 1))
    (tmp_path / "utf16.toml").write_bytes(POLICY.encode("utf-16"))
    (tmp_path / "latin.toml").write_bytes(b'dimension = 3\nlicences = ["\xe4"]\n')
    (tmp_path / "bom.toml").write_bytes(POLICY.encode("utf-8-sig"))
    words = {
        "pipe.toml": "cannot be read: not a regular file",
        ".": "cannot be read: not a regular file",
        "nothing.toml": "cannot be read: No such file",
        "loop.toml": "cannot be read: ",
        "large.toml": "has 262,145 bytes; a policy has at most 262,144",
        "utf16.toml": "line 1: is not UTF-8",
        "latin.toml": "line 2: is not UTF-8",
        "bom.toml": "line 1: begins with a byte order mark",
        "no\0name": "NUL character",
    }

    for name, expected in words.items():
        with pytest.raises(UsageError) as caught:
            read_policy(tmp_path / name)
        assert expected in str(caught.value), name


def test_what_is_no_path_is_a_clear_error() -> None:
    """A number, or a text that no file can be called, is a `UsageError` too."""
    for wrong in (3, "\ud800", "~nobody-known-here/embaudit.toml"):
        with pytest.raises(UsageError, match="cannot be the name of a policy's file"):
            read_policy(wrong)  # type: ignore[arg-type] # what a caller may pass by mistake


def test_a_name_with_control_characters_cannot_move_the_cursor(tmp_path: Path) -> None:
    """The name of a file, and that of a key, is told with escapes where it does not print."""
    place = write(tmp_path / "a\x1b[2Jb.toml", '"b\\u001b[2Jc" = 3')

    with pytest.raises(UsageError) as caught:
        read_policy(place)
    assert "\x1b" not in str(caught.value)


def test_the_nearest_policy_above_a_folder_is_found(tmp_path: Path) -> None:
    """The folder comes before those above it, and a file of its own before a project; nothing is joined."""
    deep = tmp_path / "a" / "b"
    write(deep / "pyproject.toml", PROJECT)
    (tmp_path / ".git").mkdir()
    assert find_policy(deep) is None

    write(tmp_path / "pyproject.toml", f"{PROJECT}[tool.embaudit]\ndimension = 1\n")
    found = find_policy(deep)
    assert found is not None
    assert (found.dimension, found.source) == (1, str(tmp_path / "pyproject.toml"))

    write(tmp_path / "embaudit.toml", "dimension = 2\n")
    assert find_policy(str(deep)) == read_policy(tmp_path / "embaudit.toml")
    write(deep / "pyproject.toml", f"{PROJECT}[tool.embaudit]\nmax-age-days = 3\n")
    assert find_policy(deep) == read_policy(deep / "pyproject.toml")


@pytest.mark.parametrize("is_file", [False, True], ids=["a clone", "a worktree"])
def test_the_search_ends_at_the_root_of_the_git_repository(tmp_path: Path, *, is_file: bool) -> None:
    """What lies above the folder with `.git`, a folder or a worktree's file, is somebody else's."""
    write(tmp_path / "embaudit.toml", POLICY)
    inner = tmp_path / "clone" / "src"
    inner.mkdir(parents=True)
    assert find_policy(inner) is not None

    if is_file:
        (tmp_path / "clone" / ".git").write_text("gitdir: elsewhere\n")
    else:
        (tmp_path / "clone" / ".git").mkdir()

    assert find_policy(inner) is None


def test_a_file_on_the_way_that_cannot_be_read_ends_the_search(tmp_path: Path) -> None:
    """Whether it holds a policy is not known then, so that going on would be to pass it over."""
    write(tmp_path / "embaudit.toml", POLICY)
    inner = tmp_path / "inner"
    for make, words in (
        (lambda: write(inner / "pyproject.toml", "not toml"), "is not TOML"),
        (lambda: (inner / "embaudit.toml").symlink_to("nowhere"), "cannot be read"),
    ):
        make()
        with pytest.raises(UsageError, match=words):
            find_policy(inner)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Looking for the policy of no folder is a mistake, not the absence of a policy."""
    with pytest.raises(UsageError, match="is not a folder"):
        find_policy(tmp_path / "nothing")
