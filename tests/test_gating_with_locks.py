"""`gate(lock=)`: what was locked passes, what drifted from it does not, judged by one policy."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner, Result

from embaudit.cli import FINDINGS, PASSED, USAGE, cli
from embaudit.gating import GateError, gate
from embaudit.locking import load_lock, lock, save_lock
from embaudit.model.findings import Finding, Severity
from embaudit.model.policy import Policy, Waiver
from embaudit.testing.loopback_hub import LoopbackHub, Repository
from embaudit.testing.repositories import bert_settings, bert_tensors, save_safetensors

REPO = "org/name"
SAFE = "model.safetensors"
LOADER = "sentence-transformers==6.2.0"


@attrs.frozen
class World:
    """A hub with one repository, and its lock."""

    hub: LoopbackHub
    repository: Repository
    files: Mapping[str, bytes]
    lock_file: Path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small model."""
    path = tmp_path_factory.mktemp("weights") / SAFE
    save_safetensors(bert_tensors(), path)
    return path.read_bytes()


@pytest.fixture
def world(weights: bytes, tmp_path: Path) -> Iterator[World]:
    """The hub, in this process, with the repository as it was locked."""
    files = {**bert_settings(), SAFE: weights}
    with LoopbackHub() as hub, hub.in_process():
        repository = hub.create(REPO)
        repository.commit(files, title="the model")
        save_lock(lock(REPO, loaders=LOADER), tmp_path / "embaudit.lock")
        yield World(hub, repository, files, tmp_path / "embaudit.lock")


def reasons(world: World, **options: object) -> list[str]:
    """The codes for which the newest commit does not pass."""
    with pytest.raises(GateError) as caught:
        gate(REPO, lock=world.lock_file, **options)  # type: ignore[call-overload] # options come from tables
    return [reason.code for reason in caught.value.reasons]


def test_what_was_locked_passes(world: World) -> None:
    """One report tells of both: the rules of an audit and those of drift were asked, of one commit."""
    report = gate(f"{REPO}@main", lock=world.lock_file, loaders=LOADER)

    assert report.target == f"{REPO}@main"
    assert not [finding for finding in report.findings if finding.code.startswith("EMB5")]
    assert {code[:4] for code in report.asked} >= {"EMB0", "EMB1", "EMB2", "EMB5", "EMB6"}


def test_the_cost_is_that_of_both(world: World) -> None:
    """The report counts every request that the hub got, and of the weights no more is read than without."""
    asked_for = []
    for given in (None, world.lock_file):
        world.hub.forget()

        report = gate(REPO, lock=given)

        assert report.cost.requests == len(world.hub.requests)
        asked_for.append([request.path for request in world.hub.requests if request.path.endswith(SAFE)])
    assert asked_for[0] == asked_for[1]


def test_a_card_may_change(world: World) -> None:
    """A commit that changes nothing but the README is told, and passes."""
    world.repository.commit({**world.files, "README.md": b"# Better words"})

    report = gate(REPO, lock=world.lock_file)

    told = {finding.code: finding.severity for finding in report.findings if finding.code[:4] == "EMB5"}
    assert told
    assert max(told.values()) < Severity.ERROR


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"tokenizer.json": b"{}"}, id="tokenizer"),
        pytest.param({SAFE: None}, id="weights"),
    ],
)
def test_what_drifted_does_not_pass(world: World, change: Mapping[str, bytes | None]) -> None:
    """A change of what decides an embedding keeps the commit out, with a code of drift."""
    content = world.files[SAFE]
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    changed = {path: flipped if given is None else given for path, given in change.items()}
    world.repository.commit({**world.files, **changed})

    assert any(code.startswith("EMB5") for code in reasons(world))


def test_the_locked_commit_still_passes(world: World) -> None:
    """The branch moved on; what was locked is judged, and fetched, as it was locked."""
    world.repository.commit({**world.files, "tokenizer.json": b"{}"})

    folder = gate(
        f"{REPO}@{load_lock(world.lock_file).commit}", lock=world.lock_file, loaders=LOADER, download=True
    )

    assert (folder / SAFE).read_bytes() == world.files[SAFE]


def test_the_locked_policy_holds_unless_another_is_given(world: World) -> None:
    """What went with the lock decides on the audit and on the drift; a policy of the caller's replaces it."""
    world.repository.commit({**world.files, "README.md": b"# Better words"})
    strict = attrs.evolve(load_lock(world.lock_file), policy=Policy(fail_on=Severity.INFO))
    save_lock(strict, world.lock_file)

    assert any(code.startswith("EMB5") for code in reasons(world))
    assert gate(REPO, lock=world.lock_file, policy=Policy()).policy == Policy()


def test_one_waiver_covers_drift(world: World) -> None:
    """A waiver of the caller's policy covers a finding of drift; the others still keep it out."""
    world.repository.commit({**world.files, "tokenizer.json": b"{}"})
    codes = reasons(world)
    waivers = tuple(Waiver(code=code, reason="looked at") for code in dict.fromkeys(codes))

    report = gate(REPO, lock=world.lock_file, policy=Policy(waivers=waivers))

    assert {waived.finding.code for waived in report.waived} >= {c for c in codes if c.startswith("EMB5")}


@pytest.mark.parametrize(("days", "passes"), [(9, True), (10, True), (11, False)])
def test_a_lock_grows_old(world: World, days: int, passes: bool) -> None:
    """A lock counts for as many days as the policy says; the last one is included."""
    made = datetime.now(timezone.utc) - timedelta(days=days)
    old = attrs.evolve(load_lock(world.lock_file), created=made.isoformat(timespec="seconds"))
    policy = Policy(max_age_days=10)

    if passes:
        assert gate(REPO, lock=old, policy=policy).passed()
        return
    with pytest.raises(GateError) as caught:
        gate(REPO, lock=old, policy=policy)
    (reason,) = caught.value.reasons
    assert isinstance(reason, Finding)
    assert reason.code == "EMB610"


def test_locking_again_renews_a_lock_that_grows_old(world: World) -> None:
    """Locked again, what did not change keeps its file to the byte, unless its policy limits the age."""
    for policy, renewed in ((None, False), (Policy(max_age_days=10), True)):
        before = attrs.evolve(load_lock(world.lock_file), created="2026-01-01T00:00:00+00:00", policy=policy)
        world.lock_file.unlink()
        save_lock(before, world.lock_file)

        save_lock(attrs.evolve(before, created="2026-02-01T00:00:00+00:00"), world.lock_file)

        assert (load_lock(world.lock_file).created > before.created) is renewed


def run(*arguments: object) -> Result:
    """One call of the command line in this process."""
    return CliRunner().invoke(cli, ["gate", *(str(argument) for argument in arguments)])


def test_the_command_takes_the_target_from_the_lock(world: World) -> None:
    """Without TARGET the locked commit is meant, wherever the branch is now; with it, what it names."""
    world.repository.commit({**world.files, "tokenizer.json": b"{}"})

    assert run("--lock", world.lock_file).exit_code == PASSED
    assert run(REPO, "--lock", world.lock_file).exit_code == FINDINGS
    assert run().exit_code == USAGE
