"""The conductor: what an audit makes of whole repositories, sound and faulty."""

import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from safetensors.torch import save

import embaudit
from embaudit.model.limits import Limits
from embaudit.model.refs import is_commit
from embaudit.sources import MemorySource
from embaudit.testing.repositories import bert_settings, bert_tensors, cache_commit, flat

OLD, NEW = "1" * 40, "2" * 40
TENSORS: dict[str, torch.Tensor] = bert_tensors()


def torch_file(tensors: Mapping[str, torch.Tensor], **options: Any) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(dict(tensors), buffer, **options)
    return buffer.getvalue()


def safetensors_file(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """What safetensors writes."""
    return save({name: tensor.clone() for name, tensor in tensors.items()}, metadata={"format": "pt"})


BIN, SAFE = torch_file(TENSORS), safetensors_file(TENSORS)


def repository(**files: bytes | None) -> dict[str, bytes]:
    """The settings and both weight files; `files` by stem, None leaves one out."""
    both: dict[str, bytes | None] = {"pytorch_model": BIN, "model": SAFE} | files
    names = {"pytorch_model": "pytorch_model.bin", "model": "model.safetensors"}
    weights = {names.get(stem, stem): content for stem, content in both.items() if content is not None}
    return bert_settings() | weights


def audited(files: Mapping[str, bytes], **options: Any) -> embaudit.AuditReport:
    """The audit of a repository in memory, at a commit that was asked for."""
    source = MemorySource(files, repo_id="org/name", commit=OLD, revision=OLD)
    return embaudit.audit(source.snapshot(), **options)


def codes(report: embaudit.AuditReport) -> list[str]:
    """The codes of its findings, in order."""
    return [finding.code for finding in report.findings]


def without(*names: str) -> dict[str, torch.Tensor]:
    """The model without some tensors."""
    return {name: tensor for name, tensor in TENSORS.items() if name not in names}


BIAS = "encoder.layer.1.output.dense.bias"
NOT_FINITE = TENSORS[BIAS].clone()
NOT_FINITE[3] = torch.nan


@pytest.mark.parametrize("depth", ["headers", "sampled", "full"])
def test_a_sound_repository_raises_no_alarm(depth: str) -> None:
    """Both formats of the same model at a pinned commit: nothing above information, at any depth."""
    report = audited(repository(), depth=depth)

    assert codes(report) == ["EMB101"]
    assert report.worst is embaudit.Severity.INFO
    assert report.mappings[0].same_model


HALVES = {name: tensor.half() for name, tensor in TENSORS.items()}
ROUNDED = {name: tensor.half().float() for name, tensor in TENSORS.items()}
PREFIXED = {f"bert.{name}": tensor for name, tensor in TENSORS.items()}
RESET, RESIZED, TURNED = torch.zeros(32), torch.zeros(7), torch.zeros(3, 4).t()
LEGACY = torch_file(TENSORS, _use_new_zipfile_serialization=False)

FAULTS: dict[str, tuple[dict[str, bytes], str, str]] = {
    "a tensor is missing": (repository(model=safetensors_file(without(BIAS))), "headers", "EMB102"),
    "a prefix": (repository(model=safetensors_file(PREFIXED)), "headers", "EMB103"),
    "half precision": (repository(model=safetensors_file(HALVES)), "headers", "EMB104"),
    "another shape": (repository(model=safetensors_file(TENSORS | {BIAS: RESIZED})), "headers", "EMB105"),
    "other values": (repository(model=safetensors_file(TENSORS | {BIAS: RESET})), "full", "EMB106"),
    "other values, sampled": (
        repository(model=safetensors_file(TENSORS | {BIAS: RESET})),
        "sampled",
        "EMB106",
    ),
    "rounded values": (repository(model=safetensors_file(ROUNDED)), "full", "EMB109"),
    "no weights": (repository(model=None, pytorch_model=None), "headers", "EMB108"),
    "a flat storage": (repository(model=None, pytorch_model=torch_file(flat(TENSORS))), "headers", "EMB110"),
    "strides": (repository(pytorch_model=torch_file(TENSORS | {"t": TURNED})), "headers", "EMB112"),
    "the legacy format": (repository(pytorch_model=LEGACY), "headers", "EMB113"),
    "a path in the pickle": (
        repository(pytorch_model=torch_file(TENSORS | {"path": Path("x")})),  # type: ignore[dict-item]
        "headers",
        "EMB114",
    ),
    "a wrapper": (
        repository(pytorch_model=torch_file({"state_dict": TENSORS, "epoch": 3})),  # type: ignore[dict-item]
        "headers",
        "EMB115",
    ),
    "a NaN": (repository(model=safetensors_file(TENSORS | {BIAS: NOT_FINITE})), "full", "EMB131"),
    "no tensors": (repository(model=safetensors_file({})), "headers", "EMB132"),
    "safetensors one byte short": (repository(model=SAFE[:-1]), "headers", "EMB140"),
    "half a .bin": (repository(pytorch_model=BIN[: len(BIN) // 2]), "headers", "EMB140"),
    "an empty .bin": (repository(pytorch_model=b""), "headers", "EMB140"),
    "a bare pickle": (repository(pytorch_model=b"\x80\x02cos\nsystem\n."), "headers", "EMB140"),
    "broken JSON": (repository() | {"config.json": b"{"}, "headers", "EMB009"),
    "a name in another case": (repository() | {"CONFIG.json": b"{}"}, "headers", "EMB008"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    """One fault in a repository: its rule fires at the depth that can see it; the report survives JSON."""
    files, depth, expected = FAULTS[fault]

    report = audited(files, depth=depth)

    assert expected in codes(report)
    assert embaudit.AuditReport.from_json(report.to_json()) == report
    assert report.render("html")
    assert expected in report.render("text")


def test_a_file_that_cannot_be_read_is_not_passed_over() -> None:
    """Rules about checkpoints are asked about the readable file and say that they skipped the other."""
    report = audited(repository(model=SAFE[:-1]))

    assert set(report.checkpoints) == {"pytorch_model.bin"}
    assert ("EMB130", "model.safetensors was not read") in {(one.code, one.reason) for one in report.skipped}


def test_a_file_over_a_limit_is_a_finding_that_names_the_limit() -> None:
    """A limit that the caller lowers is the finding's evidence."""
    report = audited(repository(), limits=Limits(tensors=10))

    found = {finding.evidence["limit"] for finding in report.findings if finding.code == "EMB141"}
    assert found == {"tensors"}


def test_rules_that_this_depth_cannot_ask_are_skipped() -> None:
    """At depth headers the rules about values say that they were not asked."""
    skipped = {one.code for one in audited(repository()).skipped}

    assert {"EMB004", "EMB106", "EMB131"} <= skipped


def test_full_depth_proves_the_digests_of_a_cache(tmp_path: Path) -> None:
    """A blob whose bytes changed after the download is told, with both digests; headers do not see it."""
    folder = cache_commit(tmp_path, "org/name", OLD, repository())
    blob = (folder / "model.safetensors").resolve()
    blob.write_bytes(SAFE[:-1] + b"\x7f")

    assert "EMB004" not in codes(embaudit.audit(folder))
    (found,) = [one for one in embaudit.audit(folder, depth="full").findings if one.code == "EMB004"]
    assert found.where.path == "model.safetensors"
    assert found.evidence["claimed"] == blob.name


def test_the_diff_runs_from_the_older_to_the_newer_commit(tmp_path: Path) -> None:
    """Where the cache knows which commit is newer, the order of the arguments does not matter."""
    old = cache_commit(tmp_path, "org/name", OLD, repository(model=None))
    new = cache_commit(tmp_path, "org/name", NEW, repository(), ref="main")

    for target, against in ((old, new), (new, old)):
        diff = embaudit.audit(target, against=against).diff
        assert diff is not None
        assert (diff.old.commit, diff.new.commit) == (OLD, NEW)
        assert [entry.path for entry in diff.added] == ["model.safetensors"]


def test_another_pooling_mode_is_told_between_two_snapshots(tmp_path: Path) -> None:
    """A changed setting is told field by field, a settings file that vanished as a whole."""
    other = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True}
    vanished = {path: content for path, content in repository().items() if path != "modules.json"}
    old = cache_commit(tmp_path, "org/name", OLD, repository())
    new = cache_commit(
        tmp_path, "org/name", NEW, vanished | {"1_Pooling/config.json": json.dumps(other).encode()}
    )

    report = embaudit.audit(new, against=old)

    places = {(one.code, one.where.path) for one in report.findings}
    assert {("EMB011", "1_Pooling/config.json"), ("EMB014", "modules.json")} <= places


def test_a_snapshot_can_be_audited_twice() -> None:
    """An audit changes nothing: the same snapshot gives the same report, but for time."""
    snapshot = MemorySource(repository(), commit=OLD, revision=OLD).snapshot()
    first, second = (embaudit.audit(snapshot, depth="full") for _ in range(2))

    same = {"created": "", "cost": first.cost}
    assert attrs.evolve(first, **same) == attrs.evolve(second, **same)
    assert first.cost.bytes_read == second.cost.bytes_read


def test_headers_cost_headers() -> None:
    """The cost counts every byte, and no tensor data is among them."""
    report = audited(repository())

    data = sum(checkpoint.n_bytes for checkpoint in report.checkpoints.values())
    assert report.cost.bytes_read < sum(map(len, repository().values())) - data + 4096


def test_progress_is_told_in_bytes_of_tensor_data() -> None:
    """At depth full the bytes that progress was told of are those of every comparison and scan."""
    told: list[int] = []

    report = audited(repository(), depth="full", progress=told.append)

    sizes = [checkpoint.n_bytes for checkpoint in report.checkpoints.values()]
    assert sum(told) == 2 * sum(sizes)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"depth": "deep"}, embaudit.UsageError),
        ({"ignore": ("EMB9",)}, embaudit.UsageError),
        ({"revision": NEW}, embaudit.TargetError),
        ({"revision": "\ud800"}, embaudit.TargetError),
        ({"against": "./nothing/here"}, embaudit.TargetError),
    ],
    ids=str,
)
def test_wrong_arguments_are_errors(arguments: dict[str, Any], error: type[Exception]) -> None:
    """What the caller got wrong is raised, not found."""
    with pytest.raises(error):
        audited(repository(), **arguments)


def test_the_report_says_what_was_audited(tmp_path: Path) -> None:
    """Target, source, repository, revision and commit are those of the snapshot."""
    folder = cache_commit(tmp_path, "org/name", OLD, repository(), ref="main")

    report = embaudit.audit(folder)

    assert (report.target, report.source, report.repo_id, report.commit) == (
        str(folder),
        "cache",
        "org/name",
        OLD,
    )
    assert is_commit(report.revision)
    assert report.tool_version == embaudit.__version__
    assert report.declaration.model_type == "bert"


@pytest.mark.parametrize(
    ("depth", "expected"), [("headers", "EMB015"), ("sampled", "EMB012"), ("full", "EMB012")], ids=str
)
def test_weights_that_changed_between_commits_never_pass_in_silence(
    tmp_path: Path, depth: str, expected: str
) -> None:
    """Another digest is a warning even where the headers are equal and values were not read."""
    other = safetensors_file({name: tensor + 1 for name, tensor in TENSORS.items()})
    old = cache_commit(tmp_path, "org/name", OLD, repository())
    new = cache_commit(tmp_path, "org/name", NEW, repository(model=other))

    report = embaudit.audit(new, against=old, depth=depth)

    assert expected in codes(report)
    assert not report.passed("warning")


@pytest.mark.parametrize("damaged", [b"", b"garbage", SAFE[:-1], bytes(len(SAFE))], ids=len)
def test_weights_that_cannot_be_compared_never_pass_in_silence(tmp_path: Path, damaged: bytes) -> None:
    """A weight file that is damaged in the other snapshot is a warning at every depth."""
    good = cache_commit(tmp_path, "org/name", OLD, repository(pytorch_model=None))
    bad = cache_commit(tmp_path, "org/name", NEW, repository(pytorch_model=None, model=damaged))

    for depth in embaudit.Depth:
        report = embaudit.audit(good, against=bad, depth=depth)
        assert {"EMB015", "EMB016"} <= set(codes(report))


def test_files_in_the_wrong_container_are_errors() -> None:
    """A torch file called safetensors, and the reverse, are refused by loaders: errors here."""
    report = audited(repository(model=BIN, pytorch_model=SAFE))

    assert [one.where.path for one in report.findings if one.code == "EMB119"] == [
        "model.safetensors",
        "pytorch_model.bin",
    ]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_protocol_is_an_error_exactly_where_torch_refuses_it(tmp_path: Path, protocol: int) -> None:
    """What `torch.load` refuses by default for its protocol is an error, what it loads is none."""
    data = torch_file(TENSORS, pickle_protocol=protocol)
    (tmp_path / "pytorch_model.bin").write_bytes(data)
    try:
        torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
        refused = False
    except pickle.UnpicklingError:
        refused = True

    report = audited(repository(model=None, pytorch_model=data))

    assert ("EMB133" in codes(report)) == refused


def test_files_of_other_programs_raise_no_alarm() -> None:
    """Beside sound weights, what other programs call `.bin` or `.pt` is information at most."""
    others = {"faiss.bin": b"IxF2" * 9, "state.bin": torch_file({"x": 1}), "lid.176.bin": b"\xba\x16O/" * 9}  # type: ignore[dict-item]

    report = audited(repository(pytorch_model=None) | others)

    assert report.worst is embaudit.Severity.INFO
    assert "EMB101" not in codes(report)


def test_a_report_travels_to_another_process(tmp_path: Path) -> None:
    """A pool of processes gives back reports equal to its own; nothing in one is open."""
    old = cache_commit(tmp_path, "org/name", OLD, repository(model=None))
    new = cache_commit(tmp_path, "org/name", NEW, repository(), ref="main")

    report = embaudit.audit(new, against=old, depth="full", loaders="tei==1.5.0")
    again = pickle.loads(pickle.dumps(report))

    assert again == report
    assert all(checkpoint.reader is None for checkpoint in report.checkpoints.values())
    assert again.render("html") == report.render("html")
