"""Locking and verifying as a whole: sources, depths, policies, servers, and what cannot be compared."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

import embaudit
from embaudit import cli
from embaudit.embeddings import probe, save_probe
from embaudit.errors import SourceError, TargetError
from embaudit.locking import load_lock, lock, save_lock, verify
from embaudit.model.findings import Severity
from embaudit.model.lock import Lock
from embaudit.model.policy import Policy, Waiver
from embaudit.sources import MemorySource
from embaudit.testing.embedding_server import EmbeddingServer
from embaudit.testing.everywhere import Everywhere
from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import bert_settings, bert_tensors, save_safetensors, save_torch


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small model: settings, tokenizer, and weights in both formats."""
    folder = tmp_path_factory.mktemp("weights")
    save_safetensors(bert_tensors(), folder / "model.safetensors")
    save_torch(bert_tensors(), folder / "pytorch_model.bin")
    weights = {path.name: path.read_bytes() for path in folder.iterdir()}
    return bert_settings() | weights | {"README.md": b"# A card\n"}


@pytest.fixture
def everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Everywhere]:
    """A repository at every place."""
    from huggingface_hub import constants

    with LoopbackHub() as hub, hub.in_process():
        made = Everywhere(hub, tmp_path)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made.cache))
        yield made


@pytest.fixture
def folder(tmp_path: Path, contents: dict[str, bytes]) -> Path:
    """The model in a folder."""
    place = tmp_path / "model"
    for path, content in contents.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    return place


def codes(report: embaudit.AuditReport) -> list[str]:
    """The codes of its findings."""
    return [finding.code for finding in report.findings]


def test_a_lock_of_any_place_holds_at_any_other(everywhere: Everywhere, contents: dict[str, bytes]) -> None:
    """One commit is one lock, wherever its bytes lie, and verifies wherever they lie."""
    targets = everywhere.targets(everywhere.commit(contents))

    locks = {place: lock(target) for place, target in targets.items()}

    assert len({json.dumps(_substance(each)) for each in locks.values()}) == 1
    for place in ("hub", "folder"):
        reports = {other: verify(locks[place], target) for other, target in targets.items()}
        assert {other: codes(report) for other, report in reports.items()} == {place: [] for place in targets}


def _substance(locked: Lock) -> list[str]:
    """What does not depend on where it was measured."""
    files = {path: (file.size, file.sha256) for path, file in locked.files.items()}
    return [repr(files), repr(locked.checkpoints), repr(locked.settings), repr(locked.pipeline)]


def test_without_a_target_the_locked_commit_is_verified(
    everywhere: Everywhere, contents: dict[str, bytes]
) -> None:
    """A branch that moved on does not matter: hub, cache and clone are asked for the commit."""
    first = everywhere.commit(contents)
    locked = {
        "hub": lock("org/name@main"),
        "cache": lock(f"cache:org/name@{first}"),
        "clone": lock(f"{everywhere.clone}@main"),
    }
    everywhere.commit({"config.json": b"{}"})

    assert {place: codes(verify(each)) for place, each in locked.items()} == {place: [] for place in locked}
    assert {each.commit for each in locked.values()} == {first}
    assert "EMB501" in codes(verify(locked["hub"], "org/name@main"))


def test_headers_of_the_hub_are_enough_where_it_lists_the_locked_digests(
    everywhere: Everywhere, contents: dict[str, bytes]
) -> None:
    """At depth headers, and at full where nothing changed, no weight is read, and nothing is left open."""
    everywhere.commit(contents)
    locked = lock("org/name@main")

    reports = {depth: verify(locked, depth=depth) for depth in ("headers", "full")}

    assert {depth: codes(report) for depth, report in reports.items()} == {"headers": [], "full": []}
    assert max(report.cost.requests for report in reports.values()) <= 2 * len(contents)


def test_a_folder_without_digests_cannot_be_verified_by_headers(folder: Path) -> None:
    """Weights that nobody lists a digest of, and that are not read, are errors: not compared is not equal."""
    report = verify(lock(folder), folder, depth="headers")

    assert {finding.where.path for finding in report.findings} >= {"model.safetensors", "pytorch_model.bin"}
    assert set(codes(report)) == {"EMB513"}
    assert not report.passed()


def test_a_lock_without_values_holds_files(folder: Path) -> None:
    """Locked at depth headers, weights of a folder have no digest at all, and that is told."""
    locked = lock(folder, depth="headers")

    assert locked.files["model.safetensors"].sha256 is None
    assert locked.files["config.json"].sha256 is not None
    assert "EMB513" in codes(verify(locked, folder))


def test_a_source_that_lists_other_bytes_than_it_has_is_not_locked(contents: dict[str, bytes]) -> None:
    """A digest that the source claims and its bytes do not have ends the lock."""
    honest = MemorySource(contents).snapshot()
    entry = attrs.evolve(honest.files["model.safetensors"], sha256="0" * 64)
    lying = attrs.evolve(honest, files={**honest.files, "model.safetensors": entry})

    with pytest.raises(SourceError, match=r"model\.safetensors is listed with the digest 0000"):
        lock(lying)


def test_one_form_of_two_that_is_damaged_is_told(folder: Path) -> None:
    """Of a `.bin` and safetensors of one model each is held against itself."""
    locked = lock(folder)
    tensors = bert_tensors()
    tensors["embeddings.word_embeddings.weight"][0, 0] += 1
    save_torch(tensors, folder / "pytorch_model.bin")

    report = verify(locked, folder)

    assert [(finding.code, finding.where.path) for finding in report.findings] == [
        ("EMB502", "pytorch_model.bin")
    ]


def test_a_form_that_is_gone_is_told_by_the_one_that_is_left(folder: Path) -> None:
    """Without its `.bin` the model is still there, with every value."""
    locked = lock(folder)
    (folder / "pytorch_model.bin").unlink()

    report = verify(locked, folder)

    assert report.passed()
    assert set(codes(report)) == {"EMB505"}


def test_a_malformed_file_is_not_compared_and_not_passed(folder: Path) -> None:
    """Weights whose header cannot be read any more are an error, and the reason is told."""
    locked = lock(folder)
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)

    report = verify(locked, folder)

    assert not report.passed()
    assert "EMB513" in codes(report)


def test_a_pointer_in_the_place_of_weights_is_not_compared(folder: Path, contents: dict[str, bytes]) -> None:
    """A clone without its LFS objects has no weights, though its pointers name the locked digest."""
    locked = lock(folder)
    digest, size = locked.files["model.safetensors"].sha256, len(contents["model.safetensors"])
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"
    (folder / "model.safetensors").write_text(pointer)

    assert not verify(locked, folder).passed()


def test_the_locked_policy_holds_for_verifications(folder: Path, tmp_path: Path) -> None:
    """Its loaders are locked, its waivers cover findings, and its threshold decides."""
    waiver = Waiver(code="EMB509", reason="cards change", path="README.md")
    policy = Policy(fail_on=Severity.INFO, loaders=("transformers==5.23.0",), waivers=(waiver,))
    save_lock(lock(folder, policy=policy), tmp_path / "embaudit.lock")
    (folder / "README.md").write_text("# Another\n")

    report = verify(tmp_path / "embaudit.lock", folder)

    assert set(load_lock(tmp_path / "embaudit.lock").loads) == {"transformers==5.23.0"}
    assert [waived.finding.code for waived in report.waived] == ["EMB509"]
    assert report.passed()
    (folder / "NOTICE").write_text("new")
    assert not verify(tmp_path / "embaudit.lock", folder).passed()


def test_a_server_is_held_against_the_golden_probe(folder: Path, tmp_path: Path) -> None:
    """The same vectors pass; others do not, nor does a server without a golden probe to compare with."""
    place = tmp_path / "embaudit.lock"
    with EmbeddingServer() as server:
        save_probe(probe(server.tei), tmp_path / "golden.safetensors")
        save_lock(lock(folder, probe=tmp_path / "golden.safetensors"), place)
        assert not {"EMB520", "EMB522", "EMB523"} & set(codes(verify(place, server.tei)))
        assert "EMB522" in codes(verify(lock(folder), server.tei))
        current = probe(server.tei)
    turned = attrs.evolve(current, vectors=current.vectors[:, ::-1].copy())

    report = verify(place, turned)

    assert report.source == "server"
    assert "EMB520" in codes(report)
    assert {skipped.code for skipped in report.skipped} >= {"EMB502"}
    assert {skipped.code for skipped in verify(place, folder).skipped} >= {"EMB520"}


def test_another_golden_probe_than_the_locked_one_is_refused(folder: Path, tmp_path: Path) -> None:
    """Golden vectors that were exchanged, or are gone, end the verification."""
    place, golden = tmp_path / "embaudit.lock", tmp_path / "golden.safetensors"
    with EmbeddingServer() as server:
        save_probe(probe(server.tei), golden)
        save_lock(lock(folder, probe=golden), place)
        save_probe(probe(server.tei, ["another text"]), golden)
        with pytest.raises(TargetError, match="is not the golden probe that was locked"):
            verify(place, server.tei)
        golden.unlink()
        with pytest.raises(TargetError, match="is not there"):
            verify(place, server.tei)


@pytest.mark.usefixtures("folder")
def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lock` and `verify` end with 0, 1, 2 and 3 as all commands do."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli.cli, arguments)
        return result.exit_code, result.output

    assert run("verify")[0] == cli.NOT_AUDITED
    assert run("lock", "./model", "--loader", "transformers==5.23.0")[0] == cli.PASSED
    assert (tmp_path / "embaudit.lock").is_file()
    assert run("verify")[0] == cli.PASSED
    (tmp_path / "model" / "vocab.txt").write_text("other\n")
    code, output = run("verify", "embaudit.lock", "./model", "--format", "json")
    assert code == cli.FINDINGS
    assert [finding["code"] for finding in json.loads(output)["findings"]] == ["EMB508"]
    assert run("verify", "--fail-on", "nothing")[0] == cli.USAGE
    assert run("verify", "embaudit.lock", "./missing")[0] == cli.NOT_AUDITED
    assert run("lock", "./model", "--loader", "no-such-loader")[0] == cli.USAGE
    (tmp_path / "far").mkdir()
    with EmbeddingServer() as server:
        save_probe(probe(server.tei), tmp_path / "far" / "golden.safetensors")
    assert run("lock", "./model", "--probe", "far/golden.safetensors")[0] == cli.USAGE


def test_a_verification_of_headers_needs_neither_numpy_nor_torch(folder: Path) -> None:
    """A lock without values imports what an audit of headers does, and no more."""
    program = (
        "import sys\n"
        "from embaudit.locking import lock\n"
        "lock(sys.argv[1], depth='headers')\n"
        "assert not {'numpy', 'torch', 'safetensors'} & set(sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, folder], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


def test_of_a_changed_shard_only_its_tensors_are_read_again(tmp_path: Path) -> None:
    """Of two shards one changed: the bytes of the other are digested once, as a file."""
    import torch

    shards = {name: {f"{name}.weight": torch.randn(300, 300)} for name in ("one", "two")}
    for name, tensors in shards.items():
        save_safetensors(tensors, tmp_path / f"{name}.safetensors")
    weight_map = {f"{name}.weight": f"{name}.safetensors" for name in shards}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    locked = lock(tmp_path)
    shards["two"]["two.weight"][0, 0] += 1
    save_safetensors(shards["two"], tmp_path / "two.safetensors")

    report = verify(locked, tmp_path)

    size = (tmp_path / "one.safetensors").stat().st_size
    assert [finding.where.tensor for finding in report.findings] == ["two.weight"]
    assert 3 * size <= report.cost.bytes_read < 3 * size + 10_000


def test_an_index_that_takes_a_tensor_from_another_shard_is_seen(tmp_path: Path) -> None:
    """Two shards hold one name with other values: which of them counts is the index's word."""
    import torch

    for name in ("one", "two"):
        save_safetensors({"a": torch.randn(8, 8), name: torch.randn(8)}, tmp_path / f"{name}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    weight_map = {name: f"{name}.safetensors" for name in ("one", "two")}
    index.write_text(json.dumps({"weight_map": {**weight_map, "a": "one.safetensors"}}))
    locked = lock(tmp_path)
    index.write_text(json.dumps({"weight_map": {**weight_map, "a": "two.safetensors"}}))

    report = verify(locked, tmp_path)

    assert [(finding.code, finding.where.tensor) for finding in report.findings] == [("EMB502", "a")]


def test_a_lock_behind_a_link_is_written_where_it_leads(folder: Path, tmp_path: Path) -> None:
    """The link stays a link."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "embaudit.lock"
    link.symlink_to(tmp_path / "real" / "model.lock")

    save_lock(lock(folder), link)

    assert link.is_symlink()
    assert load_lock(tmp_path / "real" / "model.lock") == load_lock(link)
