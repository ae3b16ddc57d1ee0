"""What moved upstream of locks and caches: what is asked of the hub, what matters, what cannot be told."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

import embaudit
from embaudit import cli
from embaudit.errors import TargetError, UsageError
from embaudit.model.files import CommitInfo
from embaudit.model.lock import Lock, LockedCode
from embaudit.model.outdated import LoaderMove, ModelState, Movement, Outdated
from embaudit.model.policy import Policy
from embaudit.model.prediction import Outcome
from embaudit.model.record import Cost
from embaudit.model.tensor_map import Depth
from embaudit.report.codec import from_jsonable
from embaudit.report.outdated import MAX_DETAILED, render_outdated
from embaudit.testing.loopback_hub import LoopbackHub, Repository, Status
from embaudit.testing.repositories import (
    bert_settings,
    bert_tensors,
    cache_commit,
    save_safetensors,
    save_torch,
)
from embaudit.watching import outdated
from embaudit.watching.upstreams import MOST_UNANSWERED

CEILING = 40
"""Seconds after which a test that hangs is ended."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small model in both formats, and another one as safetensors."""
    folder = tmp_path_factory.mktemp("weights")
    save_safetensors(bert_tensors(), folder / "model.safetensors")
    save_torch(bert_tensors(), folder / "pytorch_model.bin")
    save_safetensors(bert_tensors(seed=1), folder / "other.safetensors")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def contents(weights: dict[str, bytes]) -> dict[str, bytes]:
    """What a repository begins with."""
    forms = {name: weights[name] for name in ("model.safetensors", "pytorch_model.bin")}
    return bert_settings() | forms | {"README.md": b"# A card\n"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """A hub, and a working directory without anything in it."""
    monkeypatch.chdir(tmp_path)
    with LoopbackHub() as hub, hub.in_process():
        yield hub


@pytest.fixture
def repository(hub: LoopbackHub, contents: dict[str, bytes]) -> Repository:
    """`org/name` with one commit."""
    made = hub.create("org/name")
    made.commit(contents, title="First")
    return made


def lock_of(repo_id: str, commit: str | None, **fields: Any) -> Lock:
    """What a lock says of where it comes from, and nothing else."""
    made = Lock(
        tool_version="1",
        created="2026-01-01T00:00:00+00:00",
        target=repo_id,
        source="hub",
        repo_id=repo_id,
        commit=commit,
        depth=Depth.HEADERS,
    )
    return attrs.evolve(made, **fields)


def tip(repository: Repository, branch: str = "main") -> str:
    """The commit at the end of a branch."""
    return repository.refs[f"refs/heads/{branch}"]


def only(found: Outdated) -> ModelState:
    """The one model that was asked about."""
    (state,) = found.models
    return state


def movements(found: Outdated) -> dict[str | None, str]:
    """Repository to verdict."""
    return {each.repo_id: str(each.movement) for each in found.models}


def test_what_did_not_move_costs_one_request(hub: LoopbackHub, repository: Repository) -> None:
    """One listing tells that a branch still ends where it ended, loaders or not."""
    found = outdated(lock_of("org/name", tip(repository)), loaders=["transformers", "tei"])

    assert only(found).movement is Movement.CURRENT
    assert only(found).upstream == tip(repository)
    assert len(hub.requests) == found.cost.requests == 1


def test_a_card_that_changed_is_told_without_a_header(hub: LoopbackHub, repository: Repository) -> None:
    """Two listings and the history between: three requests, and no file is read."""
    before = tip(repository)
    repository.commit({"README.md": b"# Another card\n"}, title="Write a card")
    repository.commit({"LICENSE": b"none\n"}, title="Add a licence")

    found = outdated(lock_of("org/name", before), loaders="transformers")

    state = only(found)
    assert (state.movement, state.n_commits, state.n_lost) == (Movement.HARMLESS, 2, 0)
    assert [commit.title for commit in state.commits] == ["Write a card", "Add a licence"]
    assert state.changed == {"docs": ("LICENSE", "README.md")}
    assert state.loaders == (LoaderMove(loader="transformers"),)
    assert len(hub.requests) == found.cost.requests == 3
    assert not [request.path for request in hub.requests if "/api/models/" not in request.path]


def test_what_both_commits_have_is_read_once(hub: LoopbackHub, repository: Repository) -> None:
    """Where settings changed, loaders are asked, and headers of unchanged weights come once for both."""
    before = tip(repository)
    repository.commit({"1_Pooling/config.json": b'{"pooling_mode_cls_token": true}'})

    found = outdated(lock_of("org/name", before), loaders="sentence-transformers>=5")

    begins = [
        request.path.rpartition("/")[2]
        for request in hub.requests
        if "/resolve/" in request.path and str(request.range).startswith("bytes=0-")
    ]
    assert only(found).movement is Movement.MATTERS
    assert (begins.count("model.safetensors"), begins.count("pytorch_model.bin")) == (1, 1)
    assert found.cost.bytes_read < 300_000


CONFIG = json.loads(bert_settings()["config.json"])
MOVES = {
    "another pooling": ({"1_Pooling/config.json": b'{"pooling_mode_cls_token": true}'}, "transformers", True),
    "another tokenizer": ({"tokenizer.json": b"{}"}, "transformers", True),
    "a vocabulary without a known name": ({"spm.model": b"other words"}, "transformers", True),
    "code": ({"modeling.py": b"class Model: ...\n"}, "transformers", True),
    "a setting that nobody reads": (
        {"config.json": json.dumps(CONFIG | {"_name_or_path": "elsewhere"}).encode()},
        "transformers",
        False,
    ),
    "weights of another program": ({"onnx/model.onnx": b"onnx"}, "transformers", False),
    "weights of another program, and no loader": ({"onnx/model.onnx": b"onnx"}, None, True),
    "a form that the loader passes over": ({"pytorch_model.bin": None}, "transformers>=5", False),
    "a form that nobody was asked about": ({"pytorch_model.bin": None}, None, True),
    "the form that the loader takes": ({"model.safetensors": None}, "transformers>=5", True),
    "files of a training": ({"training_args.bin": b"pickle"}, "transformers", False),
    "a list of results": ({"results.csv": b"1,2\n"}, "transformers", False),
}


@pytest.mark.parametrize(("files", "loader", "matters"), MOVES.values(), ids=MOVES)
def test_what_matters_depends_on_what_loaders_read(
    repository: Repository, files: dict[str, bytes | None], loader: str | None, *, matters: bool
) -> None:
    """A change matters if a loader takes it, or if it is of a setting that decides vectors."""
    before = repository.commit({"spm.model": b"words"})
    repository.commit(files)

    state = only(outdated(lock_of("org/name", before), loaders=loader))

    assert state.movement is (Movement.MATTERS if matters else Movement.HARMLESS)
    assert state.n_changed == 1
    assert state.reasons


def test_weights_that_are_called_something_else_are_gone(
    repository: Repository, contents: dict[str, bytes]
) -> None:
    """A file that moved is judged by the name that it had as well: under that of a card nobody loads it."""
    before = repository.commit({"pytorch_model.bin": None})
    repository.commit({"model.safetensors": None, "notes.md": contents["model.safetensors"]})

    state = only(outdated(lock_of("org/name", before), loaders="transformers"))

    assert state.movement is Movement.MATTERS
    assert state.changed == {"docs": ("notes.md",), "weights": ("model.safetensors",)}


def test_each_loader_is_told_for_itself(repository: Repository) -> None:
    """A form that one loader passes over matters to another one of which nobody knows what it takes."""
    before = tip(repository)
    repository.commit({"pytorch_model.bin": b"no pickle any more"})

    state = only(outdated(lock_of("org/name", before), loaders=["transformers>=5", "transformers==4.20.0"]))

    newer, older = state.loaders
    assert (newer.matters, newer.before, newer.after) == (False, Outcome.FAITHFUL, Outcome.FAITHFUL)
    assert (older.matters, older.before, older.after) == (True, Outcome.UNKNOWN, Outcome.UNKNOWN)
    assert state.movement is Movement.MATTERS


def test_a_load_that_fails_now_is_told_with_both_outcomes(repository: Repository) -> None:
    """What came of the load before, and what comes of it now."""
    before = tip(repository)
    repository.commit({"model.safetensors": b"nothing that is a header", "pytorch_model.bin": None})

    (load,) = only(outdated(lock_of("org/name", before), loaders="transformers>=5")).loaders

    assert (load.before, load.after) == (Outcome.FAITHFUL, Outcome.REFUSED)
    assert any("refused instead of faithful" in why for why in load.why)


def test_the_loaders_are_those_of_policy_lock_and_caller(repository: Repository) -> None:
    """A lock's own loaders, those of the policy inside it, of the given one, and named ones are all asked."""
    locked = lock_of(
        "org/name",
        tip(repository),
        loads={"transformers": Outcome.FAITHFUL},
        policy=Policy(loaders=["tei==1.5.0"]),
    )
    repository.commit({"README.md": b"# Another card\n"})

    state = only(outdated(locked, policy=Policy(loaders=["candle"]), loaders="sentence-transformers"))

    assert {each.loader for each in state.loaders} == {
        "transformers",
        "tei==1.5.0",
        "candle",
        "sentence-transformers",
    }


def _gone(hub: LoopbackHub) -> None:
    hub.delete("org/name")


def _gated(hub: LoopbackHub) -> None:
    repository = hub.find("org/name")
    assert repository is not None
    repository.gated = "manual"


def _limited(hub: LoopbackHub) -> None:
    hub.inject(Status(status=429, where="/org/name", retry_after="3600", times=None))


def _no_branch(hub: LoopbackHub) -> None:
    repository = hub.find("org/name")
    assert repository is not None
    repository.branch("other", tip(repository))
    repository.remove("refs/heads/main")


def _unreadable(hub: LoopbackHub) -> None:
    """The listing comes, and the history and the older listing do not."""
    repository = hub.find("org/name")
    assert repository is not None
    repository.commit({"README.md": b"new"})
    hub.inject(Status(status=429, where="/org/name", retry_after="3600", times=None, after=1))


@pytest.mark.parametrize("fail", [_gone, _gated, _limited, _no_branch, _unreadable])
def test_one_that_cannot_be_looked_up_ends_none_of_the_others(
    hub: LoopbackHub,
    repository: Repository,
    fail: Callable[[LoopbackHub], None],
) -> None:
    """Gone, gated, refused for a while: that one is unknown, with a reason, and never passed."""
    locks = [lock_of("org/name", tip(repository))]
    for name in ("org/after", "org/moved"):
        other = hub.create(name)
        other.commit({"config.json": b"{}"})
        locks.append(lock_of(name, tip(other)))
    other.commit({"config.json": b'{"hidden_size": 8}'})
    fail(hub)

    found = outdated(locks)

    assert movements(found) == {"org/moved": "moved-matters", "org/name": "unknown", "org/after": "current"}
    assert [each.movement for each in found.models] == sorted(
        (each.movement for each in found.models), key=list(Movement).index
    )
    (unknown,) = found.of(Movement.UNKNOWN)
    assert unknown.reasons[0]
    assert not found.is_complete


def test_a_hub_that_answers_nobody_is_not_asked_for_everybody(hub: LoopbackHub) -> None:
    """After a few models in a row without an answer the rest are told as not asked, at once."""
    hub.inject(Status(status=429, retry_after="3600", times=None))
    locks = [lock_of(f"org/model-{number}", "0" * 40) for number in range(10)]

    found = outdated(locks)

    assert len(hub.requests) == MOST_UNANSWERED
    assert {each.movement for each in found.models} == {Movement.UNKNOWN}
    assert "not asked" in found.models[-1].reasons[0]


def test_without_a_network_everything_is_unknown(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, nothing is current and nothing is raised."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    found = outdated([lock_of("org/name", tip(repository)), lock_of("org/other", "0" * 40)])

    assert {each.movement for each in found.models} == {Movement.UNKNOWN}
    assert all("offline" in each.reasons[0] for each in found.models)


def test_a_gated_repository_that_may_be_had_costs_a_question_more(hub: LoopbackHub) -> None:
    """The listing of a gated repository is public; whether its files may be had is asked besides."""
    gated = hub.create("org/gated", gated="auto")
    commit = gated.commit({"config.json": b"{}"})

    with hub.in_process(token=hub.token("org/gated")):
        found = outdated(lock_of("org/gated", commit))

    assert only(found).movement is Movement.CURRENT
    assert len(hub.requests) == 2


def test_a_repository_that_is_closed_matters_though_it_did_not_move(
    hub: LoopbackHub, repository: Repository
) -> None:
    """The commit is listed still, and nobody can have its files."""
    repository.disabled = True

    state = only(outdated(lock_of("org/name", tip(repository))))

    assert (state.movement, len(hub.requests)) == (Movement.MATTERS, 1)
    assert "disabled" in state.reasons[0]


def test_a_commit_that_is_gone_matters(repository: Repository) -> None:
    """After a history was rewritten, who pins an old commit can have it no more."""
    before = repository.commit({"README.md": b"# Another card\n"})
    repository.rewrite()

    state = only(outdated(lock_of("org/name", before)))

    assert (state.movement, state.n_commits) == (Movement.MATTERS, None)
    assert "any more" in state.reasons[0]
    assert before in state.no_count


def test_a_branch_that_was_set_back_tells_what_it_lost(repository: Repository) -> None:
    """Commits that upstream has no more are counted as lost; what they changed is judged as any change is."""
    first = tip(repository)
    second = repository.commit({"1_Pooling/config.json": b'{"pooling_mode_cls_token": true}'})
    repository.branch("kept", second)
    repository.branch("main", first)

    state = only(outdated(lock_of("org/name", second)))

    assert (state.movement, state.n_commits, state.n_lost) == (Movement.MATTERS, 0, 1)


def test_a_pinned_commit_is_held_against_main(repository: Repository) -> None:
    """What was locked by its hash is behind when main has more, and current when main has less."""
    first = tip(repository)
    ahead = repository.commit({"README.md": b"# Next\n"}, branch="next", parent=first)

    older = only(outdated(lock_of("org/name", ahead, revision=ahead)))
    repository.commit({"README.md": b"# New\n"})
    newer = only(outdated(lock_of("org/name", first, revision=first[:8])))

    assert (older.movement, older.branch) == (Movement.CURRENT, "main")
    assert older.reasons == ("main is 1 commit behind what is pinned",)
    assert (newer.movement, newer.branch, newer.n_commits) == (Movement.HARMLESS, "main", 1)


def test_what_was_locked_at_a_tag_is_held_against_the_tag(repository: Repository) -> None:
    """A tag that stays is current, whatever main does; one that was moved is told."""
    first = tip(repository)
    repository.tag("v1", first)
    second = repository.commit({"config.json": b"{}"})
    locked = lock_of("org/name", first, revision="v1")

    before = only(outdated(locked))
    repository.remove("refs/tags/v1")
    repository.tag("v1", second)
    after = only(outdated(locked))

    assert (before.movement, after.movement) == (Movement.CURRENT, Movement.MATTERS)


def test_a_longer_history_than_the_limit_leaves_the_count_open(repository: Repository) -> None:
    """The commits are not counted, with the reason; what changed is judged all the same."""
    before = tip(repository)
    for number in range(4):
        repository.commit({"README.md": str(number).encode()})

    state = only(outdated(lock_of("org/name", before), limits=embaudit.Limits(commits=2)))

    assert (state.movement, state.n_commits) == (Movement.HARMLESS, None)
    assert "more than 2 commits" in state.no_count


def test_a_renamed_repository_is_followed_and_told(hub: LoopbackHub, repository: Repository) -> None:
    """The hub redirects from the old name; the new one is in the reasons, moved or not."""
    before = tip(repository)
    hub.rename("org/name", "org/renamed")

    current = only(outdated(lock_of("org/name", before)))
    repository.commit({"README.md": b"# New\n"})
    moved = only(outdated(lock_of("org/name", before)))

    assert (current.movement, moved.movement) == (Movement.CURRENT, Movement.HARMLESS)
    assert "org/renamed" in current.reasons[-1]
    assert "org/renamed" in moved.reasons[-1]


FAULTY = {
    "no repository": ({"repo_id": None}, "which repository"),
    "no commit": ({"commit": None}, "which commit"),
    "a path for a repository": ({"repo_id": "./model"}, "not the id of a repository"),
    "half a commit": ({"commit": "abc"}, "not a full commit hash"),
    "a loader of another embaudit": ({"loads": {"newloader==9": Outcome.FAITHFUL}}, "newloader"),
}


@pytest.mark.parametrize(("fields", "reason"), FAULTY.values(), ids=FAULTY)
def test_a_lock_that_names_nothing_to_look_up_is_unknown(
    hub: LoopbackHub, fields: dict[str, Any], reason: str
) -> None:
    """A lock is a file that anybody may edit: what it names is checked before anything is opened."""
    state = only(outdated(attrs.evolve(lock_of("org/name", "0" * 40), **fields)))

    assert state.movement is Movement.UNKNOWN
    assert reason in state.reasons[0]
    assert hub.requests == ()


@pytest.mark.usefixtures("repository")
def test_lock_files_that_cannot_be_read_are_unknown(tmp_path: Path) -> None:
    """A missing and a broken lock are told beside the one that can be looked up."""
    (tmp_path / "broken.lock").write_text("{")
    embaudit.save_lock(embaudit.lock("org/name", depth="headers"), tmp_path / "good.lock")

    found = outdated([tmp_path / "missing.lock", str(tmp_path / "broken.lock"), tmp_path / "good.lock"])

    assert {Path(each.origin).name: str(each.movement) for each in found.models} == {
        "missing.lock": "unknown",
        "broken.lock": "unknown",
        "good.lock": "current",
    }


def test_one_repository_in_several_locks_is_asked_for_once(hub: LoopbackHub, repository: Repository) -> None:
    """Two locks of one branch need one listing."""
    locked = lock_of("org/name", tip(repository))

    found = outdated([locked, attrs.evolve(locked, target="again")])

    assert [each.movement for each in found.models] == [Movement.CURRENT, Movement.CURRENT]
    assert len(hub.requests) == 1


def test_code_of_another_repository_is_watched_with_the_model(
    hub: LoopbackHub, repository: Repository
) -> None:
    """Loaders take the newest commit of it, so that code which moved matters; a card of it does not."""
    code = hub.create("other/code")
    first = code.commit({"modeling.py": b"class Model: ...\n"})
    where = "config.json: auto_map.AutoModel"
    needed = LockedCode(
        where=where, reference="other/code--modeling.Model", repo_id="other/code", commit=first
    )
    locked = lock_of("org/name", tip(repository), remote_code=(needed,))

    verdicts = [movements(outdated(locked, loaders="transformers"))]
    code.commit({"README.md": b"# Code\n"})
    verdicts.append(movements(outdated(locked, loaders="transformers")))
    code.commit({"modeling.py": b"class Model: changed = True\n"})
    found = outdated(locked, loaders="transformers")
    verdicts.append(movements(found))
    unlocked = attrs.evolve(locked, remote_code=(attrs.evolve(needed, commit=None),))
    verdicts.append(movements(outdated(unlocked)))

    assert {each["org/name"] for each in verdicts} == {"current"}
    assert [each["other/code"] for each in verdicts] == [
        "current",
        "moved-harmless",
        "moved-matters",
        "unknown",
    ]
    assert found.models[0].needed_by == where


def test_every_branch_of_every_cached_model_is_looked_up(
    hub: LoopbackHub, repository: Repository, contents: dict[str, bytes], tmp_path: Path
) -> None:
    """Refs against the hub's, a model without refs against main; what is no model is left alone."""
    cache = tmp_path / "hub"
    first = tip(repository)
    repository.tag("v1", first)
    second = repository.commit({"1_Pooling/config.json": b"{}"})
    pinned = hub.create("org/pinned")
    old = pinned.commit({"config.json": b"{}"})
    pinned.commit({"README.md": b"# Card\n"})
    cache_commit(cache, "org/name", first, contents, ref="main")
    cache_commit(cache, "org/name", second, {"1_Pooling/config.json": b"{}"}, ref="v1")
    cache_commit(cache, "org/pinned", old, {"config.json": b"{}"})
    (cache / "models--org--empty").mkdir()
    (cache / "datasets--org--data" / "refs").mkdir(parents=True)
    (cache / "version.txt").write_text("1")

    found = outdated(cache=cache)

    assert [(each.repo_id, each.branch, str(each.movement), each.origin) for each in found.models] == [
        ("org/name", "main", "moved-matters", "cache"),
        ("org/name", "v1", "moved-matters", "cache"),
        ("org/pinned", "main", "moved-harmless", "cache"),
    ]


def test_the_usual_cache_is_found(
    repository: Repository, contents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cache=True` is huggingface_hub's own cache in this process."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "usual"))
    cache_commit(tmp_path / "usual", "org/name", tip(repository), contents, ref="main")

    assert movements(outdated(cache=True)) == {"org/name": "current"}


def test_a_cached_model_that_cannot_be_read_is_unknown(repository: Repository, tmp_path: Path) -> None:
    """One folder of the cache with more refs than a limit allows does not hide the next one."""
    cache = tmp_path / "hub"
    cache_commit(cache, "org/name", tip(repository), {"config.json": b"{}"}, ref="main", absent=None)
    for number in range(4):
        cache_commit(cache, "org/big", f"{number:040x}", {"config.json": b"{}"}, absent=None)

    found = outdated(cache=cache, limits=embaudit.Limits(files=3))

    assert movements(found)["org/big"] == "unknown"
    assert "org/name" in movements(found)


def test_what_is_asked_must_be_there(hub: LoopbackHub, tmp_path: Path) -> None:
    """Nothing to look up, an unknown loader and a cache that is not there are errors of the caller."""
    with pytest.raises(UsageError, match="name a lock"):
        outdated()
    with pytest.raises(UsageError, match="not a loader"):
        outdated(lock_of("org/name", "0" * 40), loaders="tranformers")
    with pytest.raises(TargetError, match="no cache"):
        outdated(cache=tmp_path / "nowhere")
    assert hub.requests == ()


INTERRUPTED = """
import faulthandler, os, signal, threading, time
import embaudit
from embaudit.model.lock import Lock
from embaudit.testing.loopback_hub import Late, LoopbackHub

faulthandler.dump_traceback_later({ceiling}, exit=True)

def interrupt_once_asked():
    while not any({where!r} in request.path for request in hub.requests):
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)

with LoopbackHub() as hub, hub.in_process():
    repository = hub.create("org/name")
    before = repository.commit({{"config.json": b"{{}}", "model.safetensors": b"0" * 99}})
    repository.commit({{"config.json": b'{{"hidden_size": 8}}'}})
    hub.inject(Late(seconds=300, where={where!r}, times=None))
    threading.Thread(target=interrupt_once_asked, daemon=True).start()
    locked = Lock(tool_version="1", created="", target="", source="hub", repo_id="org/name", commit=before,
                  depth="headers")
    try:
        embaudit.outdated([locked, locked], loaders="transformers")
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize("where", ["/revision/main", "/commits/", "/resolve/"])
def test_an_interrupt_ends_all_of_it(where: str) -> None:
    """Ctrl-C while the hub keeps silent ends the program, and is not taken for a model that is unknown."""
    program = INTERRUPTED.format(where=where, ceiling=CEILING)

    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, timeout=2 * CEILING, text=True
    )

    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr


HOSTILE = ModelState(
    origin="a|b`c`.lock",
    repo_id="org/name",
    branch="x\x1b[2J|@everybody",
    commit="1" * 40,
    upstream="2" * 40,
    n_commits=30,
    commits=(CommitInfo(commit="2" * 40, title="\x1b[31m\u202ered <b>|", date="2026-01-01T00:00:00+00:00"),),
    changed={"weights": ("a\nb.safetensors",)},
    n_changed=1,
    loaders=(LoaderMove(loader="tei", before=Outcome.FAITHFUL, after=Outcome.CORRUPT, why=("it is",)),),
    movement=Movement.MATTERS,
    reasons=("<img src=x> | @everybody\x07",),
)


def many(number: int) -> Outdated:
    """So many models with names that want to be markup."""
    return Outdated(
        tool_version="1",
        created="2026-01-01T00:00:00+00:00",
        models=(HOSTILE,) * number,
        cost=Cost(requests=3, bytes_read=4_000, seconds=0.5),
    )


def test_the_json_form_says_everything() -> None:
    """What is written as JSON is read back as it was."""
    found = many(2)

    assert from_jsonable(Outdated, json.loads(render_outdated(found, "json"))) == found


def test_no_name_moves_a_cursor_or_is_markup() -> None:
    """In the forms for people every name is text, and every model one row of the table."""
    text, markdown = render_outdated(many(1)), render_outdated(many(1), "markdown")

    assert all(line.isprintable() for line in (*text.splitlines(), *markdown.splitlines()))
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(row.replace("\\|", "").split("|")) for row in rows} == {len(rows[1].split("|"))}
    assert "`<img`" in markdown
    assert "... and 29 more" in text
    assert "faithful before, corrupt now; it matters" in text


def test_a_comment_has_room_for_it() -> None:
    """The Markdown form of thousands of models fits into a comment, and counts those that it leaves out."""
    markdown = render_outdated(many(5_000), "markdown")

    assert len(markdown.encode()) < 65_536
    assert f"and {5_000 - MAX_DETAILED:,} more" in markdown


def test_nothing_at_all_is_said_so() -> None:
    """An empty cache is no table without rows."""
    assert render_outdated(many(0)).startswith("0 models: nothing to look up\n")


def run(*arguments: str) -> tuple[int, str]:
    """The exit code of `embaudit outdated`, and what it says."""
    result = CliRunner().invoke(cli.cli, ["outdated", *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.output


def test_the_exit_code_tells_what_to_do(repository: Repository, tmp_path: Path) -> None:
    """0 for nothing that matters, 1 for something, 3 as soon as one is unknown, 2 for a mistake."""
    embaudit.save_lock(embaudit.lock("org/name", depth="headers"), "embaudit.lock")
    codes = {"unmoved": run()[0]}
    repository.commit({"onnx/model.onnx": b"onnx"})
    codes["harmless"] = run("--loader", "transformers")[0]
    codes["matters"] = run("embaudit.lock")[0]
    codes["unknown, too"] = run("embaudit.lock", "missing.lock")[0]
    codes["usage"] = run("--loader", "nobody")[0]
    codes["no cache"] = run("--cache-dir", str(tmp_path / "nowhere"))[0]

    assert codes == {
        "unmoved": 0,
        "harmless": 0,
        "matters": 1,
        "unknown, too": 3,
        "usage": 2,
        "no cache": 3,
    }


def test_the_policy_of_the_working_directory_holds(repository: Repository) -> None:
    """Its loaders are asked about; another file may be named instead."""
    embaudit.save_lock(embaudit.lock("org/name", depth="headers"), "embaudit.lock")
    repository.commit({"README.md": b"# Card\n"})
    Path("embaudit.toml").write_text('loaders = ["transformers>=5"]\n')
    Path("other.toml").write_text('loaders = ["candle"]\n')

    found, named = run(), run("--policy", "other.toml")

    assert (found[0], named[0]) == (0, 0)
    assert "transformers>=5: nothing that it reads changed" in found[1]
    assert "candle: nothing that it reads changed" in named[1]
    assert "transformers" not in named[1]


def test_a_cache_is_asked_about_alone_or_with_locks(
    repository: Repository, contents: dict[str, bytes], tmp_path: Path
) -> None:
    """With `--cache-dir` alone no lock is looked for; with a lock both are told; the output may be a file."""
    cache_commit(tmp_path / "hub", "org/name", tip(repository), contents, ref="main")
    embaudit.save_lock(embaudit.lock("org/name", depth="headers"), "my.lock")

    alone = run("--cache-dir", str(tmp_path / "hub"), "--format", "json", "-o", "found.json")
    both = run("my.lock", "--cache-dir", str(tmp_path / "hub"), "--format", "markdown")

    assert alone == (0, "")
    assert [each["origin"] for each in json.loads(Path("found.json").read_text())["models"]] == ["cache"]
    assert both[0] == 0
    assert "`my.lock`" in both[1]
    assert "`cache`" in both[1]
