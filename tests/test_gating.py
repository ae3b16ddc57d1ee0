"""The gate: what passes and what doesn't, and that what is fetched is what was audited."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from huggingface_hub import constants

import embaudit
from embaudit.gating import DownloadError, GateError, gate, reasons_against
from embaudit.gating.choosing import files_to_use
from embaudit.gating.downloading import _exactly
from embaudit.model.findings import Finding, Severity, Skipped
from embaudit.model.policy import DEFAULT_POLICY, Policy, RemoteCodeRule
from embaudit.sources import MemorySource
from embaudit.sources.hub import open_hub
from embaudit.sources.hub.patience import Patience
from embaudit.sources.notes import place_of_note, read_note
from embaudit.testing.loopback_hub import Dropped, LoopbackHub, Meanwhile, Repository, Status, Trickle
from embaudit.testing.repositories import (
    bert_settings,
    bert_shapes,
    bert_tensors,
    cache_commit,
    flat,
    save_torch,
)

REPO = "org/name"
LOADER = "sentence-transformers==6.2.0"
MISREADS = "tei==1.5.0"
SAFE, BIN, DENSE = "model.safetensors", "pytorch_model.bin", "2_Dense/pytorch_model.bin"
N_LAYERS = 12
HASTY = Patience(attempts=2, first_wait=0.001, longest_wait=0.002, ceiling=5.0, margin=0.0)
CEILING_SECONDS = 60
"""Far more than anything here takes; a test that hangs is ended."""


def safetensors(filled_with: int = 7) -> bytes:
    """A BERT of twelve small layers, 450 KB of which an audit reads the first 100 KiB."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    stop = 0
    for name, shape in bert_shapes(N_LAYERS):
        n_values = 1
        for size in shape:
            n_values *= size
        start, stop = stop, stop + 4 * n_values
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, stop]}
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + bytes([filled_with]) * stop


def flipped(content: bytes) -> bytes:
    """The same with another last bit."""
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.fixture(scope="module")
def misread(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same model as a `.bin` whose tensors are views into one storage."""
    pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("weights") / BIN
    save_torch(flat(bert_tensors(N_LAYERS)), path)
    return path.read_bytes()


@attrs.frozen
class World:
    """A hub with one repository, `org/name`."""

    hub: LoopbackHub
    repository: Repository
    files: Mapping[str, bytes]
    commit: str

    def sha256(self, path: str) -> str:
        """The digest under which the hub keeps a file."""
        digest = self.repository.commits[self.commit].files[path].sha256
        assert digest is not None
        return digest


@pytest.fixture
def world() -> Iterator[World]:
    """The hub, in this process: a sound model with an export, a picture, and data beside it."""
    files = {
        **bert_settings(N_LAYERS),
        SAFE: safetensors(),
        "onnx/model.onnx": b"another program's",
        "README.md": b"---\nlicense: mit\n---\n",
        "results.csv": b"1,2\n",
    }
    with LoopbackHub() as hub, hub.in_process():
        repository = hub.create(REPO)
        yield World(hub, repository, files, repository.commit(files, title="the model"))


USED = {*bert_settings(), SAFE, "README.md"}


def held(folder: Path) -> dict[str, bytes]:
    """Every file in a folder but the bookkeeping of huggingface_hub."""
    found = (path for path in folder.rglob("*") if path.is_file())
    relative = {path.relative_to(folder).as_posix(): path for path in found}
    return {name: path.read_bytes() for name, path in relative.items() if not name.startswith(".cache/")}


def refused(target: object, **options: object) -> GateError:
    """The refusal of a target."""
    with pytest.raises(GateError) as caught:
        gate(target, **options)  # type: ignore[call-overload] # arguments come from tables
    return caught.value


# What passes


def test_a_sound_model_passes_with_its_report(world: World) -> None:
    """The report comes back, judged by the default policy, and of the weights only a header was read."""
    report = gate(REPO)

    assert report.commit == world.commit
    assert report.policy == DEFAULT_POLICY
    assert reasons_against(report) == ()
    assert report.cost.bytes_read < len(world.files[SAFE])


def test_a_fault_does_not_pass(world: World, misread: bytes) -> None:
    """A finding at the threshold ends in an error with the report, the target, the code and the remedy."""
    world.repository.commit({BIN: misread, SAFE: None})

    error = refused(REPO)

    first = error.report.findings[0]
    assert first.code == "EMB110"
    assert str(error).startswith(f"{REPO} does not pass: EMB110: {first.message} {first.remedy}")
    assert not any(request.origin == "cdn" and request.range is None for request in world.hub.requests)


def test_the_error_travels_between_processes(world: World, misread: bytes) -> None:
    """A refusal survives pickling with its report, its reasons and its words."""
    world.repository.commit({BIN: misread, SAFE: None})
    error = refused(REPO)

    copy = pickle.loads(pickle.dumps(error))

    assert (copy.report, copy.reasons, str(copy)) == (error.report, error.reasons, str(error))


def test_a_policy_may_be_a_value_or_a_file(world: World, misread: bytes, tmp_path: Path) -> None:
    """What fails by default passes a policy that ignores the rule, given as a value or as a TOML file."""
    world.repository.commit({BIN: misread, SAFE: None})
    (tmp_path / "embaudit.toml").write_text('ignore = ["EMB110"]\n')

    assert gate(REPO, policy=Policy(ignore=("EMB110",))).policy is not None
    assert gate(REPO, policy=tmp_path / "embaudit.toml").policy is not None
    assert refused(REPO, policy=Policy(fail_on=Severity.INFO)).report.policy is not None


@pytest.mark.usefixtures("world")
def test_no_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that lies in the working directory is not taken unless it is named."""
    (tmp_path / "embaudit.toml").write_text('fail-on = "info"\n')
    monkeypatch.chdir(tmp_path)

    assert gate(REPO).policy == DEFAULT_POLICY
    assert refused(REPO, policy="embaudit.toml").report.policy != DEFAULT_POLICY


def test_a_loader_has_to_be_faithful(world: World, misread: bytes) -> None:
    """A loader that is named must load the model rightly; one of which that cannot be told does not pass."""
    assert gate(REPO, loaders=LOADER).load(LOADER).outcome == "faithful"
    unknown = refused(REPO, loaders="vllm")
    assert "vllm" in str(unknown)
    world.repository.commit({BIN: misread, SAFE: None})
    assert str(refused(REPO, loaders=(LOADER, MISREADS))).startswith(f"{REPO} does not pass: EMB202")


@pytest.mark.usefixtures("world")
def test_loaders_of_the_policy_and_the_caller_add_up() -> None:
    """The policy's loaders are asked about beside those of the caller, and each once."""
    report = gate(REPO, policy=Policy(loaders=(LOADER,)), loaders=[LOADER, "transformers==5.23.0"])

    assert [load.asked for load in report.loads] == [LOADER, "transformers==5.23.0"]


@pytest.mark.parametrize(
    ("threshold", "passes"), [(Severity.ERROR, True), (Severity.WARNING, False)], ids=["error", "warning"]
)
def test_a_question_that_the_hub_did_not_answer(
    world: World, misread: bytes, threshold: Severity, passes: bool
) -> None:
    """A rule that needs the history does not pass without it, from its own severity on."""
    world.repository.commit({BIN: misread})
    world.hub.inject(Status(status=503, where="/paths-info/", times=None))
    snapshot = open_hub(REPO, world.repository.refs["refs/heads/main"], patience=HASTY)
    policy = Policy(fail_on=threshold, ignore=("EMB00", "EMB1"))

    report = gate(snapshot, policy=policy) if passes else refused(snapshot, policy=policy).report

    assert [skipped.code for skipped in report.skipped if skipped.unanswered] == ["EMB026"]
    assert report.findings == ()


def test_what_was_not_asked_for_does_not_block(world: World) -> None:
    """At the strictest threshold a sound pinned model passes, though no values were read."""
    report = gate(f"{REPO}@{world.commit}", policy=Policy(fail_on=Severity.INFO))

    assert report.skipped
    assert reasons_against(report) == ()


@pytest.mark.parametrize(
    ("codes", "first"),
    [
        (("EMB004", "EMB110", "EMB202"), "EMB202"),
        (("EMB114", "EMB202"), "EMB114"),
        (("EMB110", "EMB120"), "EMB110"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_what_matters_most_comes_first(codes: tuple[str, ...], first: str) -> None:
    """What would run code is told before what a loader does, and that before what is wrong with a file."""
    report = embaudit.audit(MemorySource({}).snapshot())
    found = tuple(Finding(code=code, severity=Severity.ERROR, message="?") for code in codes)

    reasons = reasons_against(attrs.evolve(report, findings=found))

    assert isinstance(reasons[0], Finding | Skipped)
    assert reasons[0].code == first
    assert len(reasons) == len(codes)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("org/nothing", embaudit.TargetError),
        ("./nothing", embaudit.TargetError),
        ("cache:org/name", embaudit.TargetError),
        (f"{REPO}@nothing", embaudit.TargetError),
    ],
)
def test_what_was_not_audited_does_not_pass(world: World, target: str, kind: type[Exception]) -> None:
    """A target that cannot be audited is the audit's own error: neither a pass nor a judgement."""
    assert world.commit
    with pytest.raises(kind) as caught:
        gate(target)

    assert not isinstance(caught.value, GateError)


# Which files are used


def listed(*paths: str, policy: Policy = DEFAULT_POLICY, loaders: str | None = None) -> set[str]:
    """Of a repository with these files beside the settings of a small BERT, those that are used."""
    beside = dict.fromkeys(paths, b"{}")
    if SAFE in beside:
        beside[SAFE] = safetensors()
    snapshot = MemorySource({**bert_settings(N_LAYERS), **beside}).snapshot()
    report = embaudit.audit(snapshot, loaders=loaders, policy=policy)
    return set(files_to_use(report)) & {*paths}


NO_CODE = Policy(remote_code=RemoteCodeRule.FORBIDDEN)


@pytest.mark.parametrize(
    ("beside", "used", "options"),
    [
        pytest.param((SAFE, BIN), {SAFE}, {}, id="two forms"),
        pytest.param((BIN,), {BIN}, {}, id="the only form"),
        pytest.param((SAFE, DENSE), {SAFE, DENSE}, {}, id="a module's weights"),
        pytest.param((SAFE, BIN, "other.safetensors"), {SAFE}, {"loaders": LOADER}, id="what a loader reads"),
        pytest.param((SAFE, BIN, "m.onnx"), {SAFE, BIN, "m.onnx"}, {"loaders": "vllm"}, id="not known"),
        pytest.param((SAFE, "model.onnx", "tf_model.h5", "q4.gguf"), {SAFE}, {}, id="exports"),
        pytest.param((SAFE, "optimizer.pt", "training_args.bin"), {SAFE}, {}, id="state of a training"),
        pytest.param((SAFE, "code.py"), {SAFE, "code.py"}, {}, id="code"),
        pytest.param((SAFE, "code.py"), {SAFE}, {"policy": NO_CODE}, id="code that is forbidden"),
        pytest.param(("vocab.txt", "a.jinja", "b.odd"), {"vocab.txt", "a.jinja", "b.odd"}, {}, id="texts"),
        pytest.param(("README.md", "LICENSE", "guide.md", "a.png"), {"README.md", "LICENSE"}, {}, id="pages"),
        pytest.param(("a.csv", "a.zip", "a.svg", ".gitattributes"), set(), {}, id="data"),
    ],
)
def test_files_that_are_used(beside: tuple[str, ...], used: set[str], options: dict[str, object]) -> None:
    """Weights that a loader reads, or each model once; settings, tokenizer, code that may run; no more."""
    assert listed(*beside, **options) == used  # type: ignore[arg-type] # options come from a table


def test_a_path_is_asked_for_and_no_other() -> None:
    """A pattern fits the one path that it was made of, whatever letters that has."""
    from huggingface_hub.utils import filter_repo_objects

    paths = ["a[1].txt", "a1.txt", "b*.txt", "bb.txt", "c?.txt", "cc.txt", "d].txt"]

    for path in paths:
        assert [*filter_repo_objects(paths, allow_patterns=[_exactly(path)])] == [path]


# Downloads


def test_what_passed_is_downloaded_and_nothing_else(world: World) -> None:
    """The folder holds the files that the loader reads, byte for byte, and the hub was asked for no other."""
    folder = gate(REPO, loaders=LOADER, download=True)

    assert folder.name == world.commit
    assert held(folder) == {path: world.files[path] for path in USED}
    assert not any(part in request.path for request in world.hub.requests for part in ("onnx", "results"))


def test_a_download_goes_where_it_should(world: World, tmp_path: Path) -> None:
    """`local_dir` and `cache_dir` say where to; neither leaves anything in the cache of the process."""
    local = gate(REPO, download=True, local_dir=tmp_path / "local")
    cached = gate(REPO, download=True, cache_dir=tmp_path / "cache")

    assert local == (tmp_path / "local")
    assert cached.is_relative_to(tmp_path / "cache")
    assert held(local) == held(cached) == {path: world.files[path] for path in USED}
    assert not Path(constants.HF_HUB_CACHE).exists()


def test_what_does_not_pass_is_not_downloaded(world: World, misread: bytes) -> None:
    """A refusal leaves no file behind."""
    world.repository.commit({BIN: misread, SAFE: None})

    refused(REPO, download=True)

    assert not Path(constants.HF_HUB_CACHE).exists()


def test_the_branch_may_move_meanwhile(world: World) -> None:
    """What is pushed after the audit began is neither audited nor fetched: the commit is fixed once."""
    push = {SAFE: safetensors(filled_with=9), "new.json": b"{}"}
    world.hub.inject(Meanwhile(action=lambda: world.repository.commit(push), where="/api/models/"))

    folder = gate(REPO, download=True)

    assert world.repository.refs["refs/heads/main"] != world.commit
    assert held(folder) == {path: world.files[path] for path in USED}
    asked = [request.path for request in world.hub.requests if "/resolve/" in request.path]
    assert asked
    assert all(f"/resolve/{world.commit}/" in path for path in asked)


@pytest.mark.parametrize("where", ["cache", "local"])
def test_other_bytes_than_audited_are_found(world: World, tmp_path: Path, where: str) -> None:
    """Weights with one bit changed behind the header are refused by name and removed; then all is well."""
    world.hub.replace(world.sha256(SAFE), flipped(world.files[SAFE]))
    place = {"cache": {"cache_dir": tmp_path}, "local": {"local_dir": tmp_path}}[where]

    with pytest.raises(DownloadError, match=f"'{SAFE}'.*SHA-256.*removed") as caught:
        gate(REPO, download=True, **place)  # type: ignore[call-overload] # one of two names

    assert caught.value.path == SAFE
    assert pickle.loads(pickle.dumps(caught.value)).path == SAFE
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 200_000]
    world.hub.replace(world.sha256(SAFE), world.files[SAFE])
    folder = gate(REPO, download=True, **place)  # type: ignore[call-overload] # one of two names
    assert held(folder) == {path: world.files[path] for path in USED}


def test_what_a_link_leads_to_is_left_alone(world: World, tmp_path: Path) -> None:
    """A file of somebody's own, linked into the cache and not what was audited, is refused and stays."""
    folder = gate(REPO, download=True)
    own = tmp_path / "own.safetensors"
    own.write_bytes(flipped(world.files[SAFE]))
    blob = folder / (folder / SAFE).readlink()
    blob.unlink()
    blob.symlink_to(own)

    with pytest.raises(DownloadError, match=f"'{SAFE}' .* cannot be read"):
        gate(REPO, download=True)

    assert own.read_bytes() == flipped(world.files[SAFE])


def test_every_wrong_file_is_counted(world: World) -> None:
    """Of several wrong files one is named and all are removed, so that one more gate is enough."""
    folder = gate(REPO, download=True)
    for path in (SAFE, "config.json"):
        (folder / path).resolve().write_bytes(flipped(world.files[path]))

    with pytest.raises(DownloadError, match="and 1 more"):
        gate(REPO, download=True)

    assert held(gate(REPO, download=True)) == {path: world.files[path] for path in USED}


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        (SAFE, b"half", "bytes instead of"),
        ("vocab.txt", b"hello", "no file of the audited commit"),
        (BIN, b"hello", "no file of the audited commit"),
        ("config.json", None, ""),
        ("tokenizer.json", b"other", "bytes instead of"),
    ],
)
def test_what_lies_in_the_cache_already_is_not_believed(
    world: World, path: str, content: bytes | None, words: str
) -> None:
    """A cached file that is shorter, other, or none of the commit's is refused; a missing one is fetched."""
    folder = gate(REPO, download=True)
    (folder / path).unlink(missing_ok=True)
    if content is None:
        assert held(gate(REPO, download=True)) == {path: world.files[path] for path in USED}
        return
    (folder / path).write_bytes(content)

    with pytest.raises(DownloadError, match=words) as caught:
        gate(REPO, download=True)

    assert caught.value.path == path


def test_a_cached_target_is_checked_where_it_is(world: World) -> None:
    """Of a target in the cache the folder comes back, unless a byte of it is wrong; nothing is removed."""
    folder = gate(REPO, download=True)
    world.hub.forget()

    for target in (f"cache:{REPO}@{world.commit}", folder, str(folder)):
        assert Path(os.path.realpath(gate(target, download=True))) == Path(os.path.realpath(folder))
    assert world.hub.requests == ()
    (folder / SAFE).resolve().write_bytes(flipped(world.files[SAFE]))
    with pytest.raises(DownloadError, match=SAFE):
        gate(f"cache:{REPO}@{world.commit}", download=True)
    assert (folder / SAFE).exists(), "what this gate did not download is not its to remove"


def test_a_folder_is_its_own_place(tmp_path: Path) -> None:
    """Of a plain folder that passes, the folder itself comes back."""
    folder = cache_commit(tmp_path, REPO, "1" * 40, bert_settings(N_LAYERS) | {SAFE: safetensors()})
    plain = tmp_path / "plain"
    plain.mkdir()
    for path, content in held(folder).items():
        (plain / path).parent.mkdir(exist_ok=True)
        (plain / path).write_bytes(content)

    assert gate(plain, download=True) == plain


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        (REPO, {"cache_dir": "x"}, "nothing is to be downloaded"),
        (REPO, {"local_dir": "x"}, "nothing is to be downloaded"),
        (REPO, {"download": True, "cache_dir": "x", "local_dir": "y"}, "exclude each other"),
        (REPO, {"download": True, "local_dir": ""}, "local_dir is '', which names no folder"),
        (REPO, {"download": True, "cache_dir": "x\0"}, "cache_dir is .*, which names no folder"),
        (REPO, {"download": True, "local_dir": 5}, "local_dir is a path, not 5"),
        (REPO, {"download": True, "cache_dir": b"x"}, "cache_dir is a path, not b'x'"),
        ("./x", {"download": True, "local_dir": "y"}, "on this disk already"),
        (MemorySource({}).snapshot(), {"download": True}, "has no folder to give"),
        (REPO, {"loaders": "nothing"}, "not a loader"),
    ],
)
def test_arguments_that_contradict_each_other(
    world: World, target: object, options: dict[str, object], words: str
) -> None:
    """A place without a download, two places, a place for what is on this disk: errors of usage."""
    assert world.commit
    with pytest.raises(embaudit.UsageError, match=words):
        gate(target, **options)  # type: ignore[call-overload] # arguments come from a table


@pytest.mark.parametrize(
    "fault",
    [
        Status(status=403, origin="cdn", times=None, method="GET"),
        Status(status=404, origin="cdn", times=None, method="GET"),
    ],
    ids=["403", "404"],
)
def test_a_download_that_fails_says_so_without_addresses(world: World, fault: Status) -> None:
    """What passed and could not be fetched is a `SourceError` that names the repository and no address."""
    snapshot = open_hub(REPO, patience=HASTY)
    gate(snapshot)
    world.hub.inject(fault)

    with pytest.raises(embaudit.SourceError, match="passed, and could not be downloaded") as caught:
        gate(snapshot, download=True)

    assert "http" not in str(caught.value)
    assert f"status {fault.status}" in str(caught.value)
    assert caught.value.__cause__ is None


# Interruptions, and several at once

FETCH = """
import sys
from embaudit.gating import gate
print(gate("org/name", download=True, **({"local_dir": sys.argv[1]} if sys.argv[1:] else {})))
"""


def started(world: World, home: Path, *arguments: object) -> "subprocess.Popen[str]":
    """A gate in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, *map(str, arguments)],
        env={**os.environ, **world.hub.environment(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("where", ["cache", "local"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_an_interrupted_gate_leaves_no_half_file(
    world: World, tmp_path: Path, how: signal.Signals, where: str
) -> None:
    """Ended while weights come, it leaves whole files or none under their names; the next one completes."""
    local = [tmp_path / "local"] if where == "local" else []
    # An audit asks for ranges.
    world.hub.inject(
        Trickle(where=lambda r: r.range is None, origin="cdn", drop=20_000, pause=0.03, times=None)
    )
    process = started(world, tmp_path / "home", *local)
    _wait_for(lambda: any(r.origin == "cdn" and r.range is None for r in world.hub.requests), process)
    process.send_signal(how)
    process.communicate(timeout=CEILING_SECONDS)
    assert process.returncode != 0

    folders = [*local, *(tmp_path / "home" / "hub").glob("models--*/snapshots/*")]
    assert folders
    for folder in folders:
        left = {path: content for path, content in held(folder).items() if not is_probe(path)}
        assert left == {path: world.files[path] for path in left}
        # huggingface_hub lets what is on its way arrive before it leaves on an interrupt.
        assert how is signal.SIGINT or SAFE not in left
    world.hub.heal()
    again = started(world, tmp_path / "home", *local)
    output, error = again.communicate(timeout=CEILING_SECONDS)
    assert again.returncode == 0, error
    assert held(Path(output.strip())) == {path: world.files[path] for path in USED}


def is_probe(path: str) -> bool:
    """Whether it is a file by which huggingface_hub up to 1.0 learns the umask, left when it is killed."""
    return path.rpartition("/")[2].startswith("tmp_")


PROBE = f"tmp_{uuid.UUID(int=7, version=4)}"


@pytest.mark.parametrize(
    "note",
    [b"", b"0" * 40, b"0" * 40 + b"\netag\n", b"0" * 40 + b"\netag\n17.5e", b"\xff\n\xff\n\xff\n"],
    ids=["empty", "one-line", "two-lines", "broken-off-time", "no-text"],
)
def test_a_broken_note_of_a_killed_download_is_no_obstacle(world: World, tmp_path: Path, note: bytes) -> None:
    """A note that breaks off is written anew: huggingface_hub up to 1.0 ends on one (`gating.leftovers`)."""
    gate(REPO, download=True, local_dir=tmp_path)
    notes = [tmp_path / place_of_note(path) for path in ("config.json", SAFE)]
    for place in notes:
        place.write_bytes(note)

    assert held(gate(REPO, download=True, local_dir=tmp_path)) == {path: world.files[path] for path in USED}
    assert [read_note(place) is not None for place in notes] == [True, True]


def test_the_empty_files_of_a_killed_download_are_removed(world: World, tmp_path: Path) -> None:
    """Left where huggingface_hub makes them to learn the umask, they are no strays."""
    for name in (PROBE, f"1_Pooling/{PROBE}"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert held(gate(REPO, download=True, local_dir=tmp_path)) == {path: world.files[path] for path in USED}


@pytest.mark.parametrize(
    ("name", "content"),
    [(PROBE, b"x"), (f"{PROBE}.json", b""), (f"my_{PROBE}", b""), ("tmp_7", b""), (PROBE.upper(), b"")],
)
def test_what_is_no_leftover_stays(world: World, tmp_path: Path, name: str, content: bytes) -> None:
    """A file that only looks like one of huggingface_hub's is refused, and stays where it is."""
    assert world.commit
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DownloadError, match="no file of the audited commit"):
        gate(REPO, download=True, local_dir=tmp_path)

    assert (tmp_path / name).read_bytes() == content


def test_an_audited_file_of_such_a_name_is_kept(world: World, tmp_path: Path) -> None:
    """A file of the repository is never taken for a leftover, whatever it is called."""
    world.repository.commit({PROBE: b""})
    (tmp_path / PROBE).touch()

    gate(REPO, download=True, local_dir=tmp_path)

    assert (tmp_path / PROBE).is_file()


def _wait_for(condition: object, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + CEILING_SECONDS
    while not condition():  # type: ignore[operator] # a function without arguments
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("where", ["cache", "local"])
def test_several_at_once_do_not_get_into_each_others_way(world: World, tmp_path: Path, where: str) -> None:
    """Two gates at once, one cache or one folder: both pass, and both give the same whole files."""
    local = [tmp_path / "local"] if where == "local" else []
    processes = [started(world, tmp_path / "home", *local) for _ in range(2)]
    ended = [process.communicate(timeout=CEILING_SECONDS) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], ended
    (folder,) = {output.strip() for output, _ in ended}
    assert held(Path(folder)) == {path: world.files[path] for path in USED}


def test_a_dropped_connection_costs_a_second_try_at_most(world: World) -> None:
    """Where the connection breaks off while weights come, the client goes on, or the next gate does."""
    world.hub.inject(Dropped(where=lambda r: r.range is None, origin="cdn", after_headers=True))

    # huggingface_hub goes on by itself from 1.0 on.
    with suppress(embaudit.SourceError):
        gate(REPO, download=True)

    assert held(gate(REPO, download=True))[SAFE] == world.files[SAFE]
