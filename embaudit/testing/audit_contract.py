"""That the same audit of the same bytes finds the same, wherever the bytes come from: tests for any source.

Two differences are meant, and no sample has them. Over a network, local headers inside a zip are inferred at
depth headers (`Checkpoint.inferred` counts them), so that damage to one is found at the other depths only.
And a file that is a Git LFS pointer as a whole stands for another content in a folder, a cache or a clone
(EMB007), while the hub, or memory, gives it as the content that it is (EMB140).

pytest is not imported: the class works with any runner that calls methods named `test_...`. torch is, on
demand, where the sample repositories are made.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import attrs

from embaudit.model.files import Snapshot
from embaudit.model.findings import Finding
from embaudit.model.tensor_map import Depth
from embaudit.pipeline import audit
from embaudit.report import AuditReport
from embaudit.sources.base import Source
from embaudit.sources.memory import MemorySource
from embaudit.testing.damage import write_damaged
from embaudit.testing.damaged_tensors import tiny_model
from embaudit.testing.repositories import bert_settings, bert_tensors, flat, save_safetensors, save_torch

ABOUT_THE_SOURCE: Mapping[str, str] = MappingProxyType(
    {
        "EMB001": "whether a revision can move: memory and folders have no revisions",
        "EMB002": "whether the commit is known: only some sources know it",
        "EMB003": "which commits came later: a history and a cache know it",
        "EMB005": "what a cache has not downloaded: a listing of the commit lies beside it",
        "EMB020": "whom the hub gives the files to",
        "EMB022": "what the hub's scanners say",
        "EMB023": "under which name the hub answers",
        "EMB026": "when files were committed: a history knows it",
    }
)
"""Rules whose findings are about where bytes come from and not about the bytes, and what each asks.

Left out of comparisons between sources; every other finding has to be the same from all of them. (EMB021 and
EMB027 are about the hub, too, and not here: they say that there are no bytes, so that they are not the same.)
"""

LOADERS = ("transformers==5.23.0", "sentence-transformers==6.2.0", "tei==1.5.0")
"""The loaders that the audits of the contract ask about."""

SAMPLE_DAMAGES = (
    "legacy-bin",
    "first-dropped",
    "prefixed-bin",
    "table-resized",
    "bin-with-unsafe-entry",
    "safetensors-and-other-bin",
    "shards-and-other-bin",
    "shard-absent",
    "index-absent",
    "index-not-json",
    "index-lacks-a-tensor",
    "index-names-a-stranger",
    "a-tensor-in-both-shards",
    "cut",
    "cut-bin",
    "cut-in-header",
    "zero-bytes",
    "zero-bytes-bin",
    "bin-called-safetensors",
    "safetensors-called-bin",
    "config-absent",
    "config-not-json",
    "only-onnx",
    "first-float16",
)
"""Kinds of damage that the sample repositories have, keys of `embaudit.testing.damage.DAMAGES`."""

_ODD_NAMES = (
    "a file with spaces.json",
    "per cent %41.json",
    "question?mark=1&x.json",
    "hash#fragment.json",
    "plus+comma,semicolon;.json",
    "quote'\"`.json",
    "back\\slash.json",
    "new\nline.json",
    "\N{CJK UNIFIED IDEOGRAPH-6A21}\N{CJK UNIFIED IDEOGRAPH-578B}.json",
    "cafe\N{COMBINING ACUTE ACCENT}.json",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}.json",
    "CONFIG.json",
    "Config.json",
    "-option.json",
    "...json",
    "deep/er/and deeper/model #1.safetensors",
)


class AuditContract:
    """The tests of what audits find through a source. Subclass it, name the class `Test...`, and open it.

        class TestMySource(AuditContract):
            def snapshot_of(self, files):
                return MySource(put_somewhere(files)).snapshot()

    Each audit of a sample repository through the source is held against one of the same bytes in memory,
    under the same name: old releases of transformers look into a repository's name for the type of its model.
    """

    def snapshot_of(self, files: Mapping[str, bytes]) -> Snapshot | Source:
        """A snapshot (or a source) of a repository that holds these files and no others."""
        raise NotImplementedError

    def repositories(self) -> Mapping[str, Mapping[str, bytes]]:
        """Name to files of each repository that is audited; the samples, unless a subclass has others."""
        return sample_repositories()

    def test_headers_tell_the_same(self) -> None:
        """Audits that read headers only find the same."""
        self.hold_at(Depth.HEADERS)

    def test_sampled_values_tell_the_same(self) -> None:
        """Audits that read a few KiB of each tensor find the same."""
        self.hold_at(Depth.SAMPLED)

    def test_whole_files_tell_the_same(self) -> None:
        """Audits that read everything find the same."""
        self.hold_at(Depth.FULL)

    def hold_at(self, depth: Depth) -> None:
        """Audit every repository at one depth, and compare.

        Raises:
            AssertionError: If an audit tells anything else of a source than of memory; says what.
        """
        for name, files in self.repositories().items():
            opened = self.snapshot_of(files)
            snapshot = opened if isinstance(opened, Snapshot) else opened.snapshot()
            report = audit(snapshot, loaders=LOADERS, depth=depth)
            found = audit_differences(report, _in_memory(name, files, report.repo_id, depth))
            if found:
                told = "; ".join(found)
                raise AssertionError(f"broken promise: {name} at depth {depth} is audited alike: {told}")


def _in_memory(name: str, files: Mapping[str, bytes], repo_id: str | None, depth: Depth) -> AuditReport:
    if files is sample_repositories().get(name):
        return _sample_in_memory(name, repo_id, depth)
    return _audited(files, repo_id, depth)


@cache
def _sample_in_memory(name: str, repo_id: str | None, depth: Depth) -> AuditReport:
    """As `_audited`; once for all the sources of a test run."""
    return _audited(sample_repositories()[name], repo_id, depth)


def _audited(files: Mapping[str, bytes], repo_id: str | None, depth: Depth) -> AuditReport:
    return audit(MemorySource(files, repo_id=repo_id).snapshot(), loaders=LOADERS, depth=depth)


def audit_differences(report: AuditReport, other: AuditReport) -> tuple[str, ...]:
    """What two audits of the same bytes tell differently, one sentence each; none if they agree.

    Findings are compared whole and in order, those of `ABOUT_THE_SOURCE` left out; checkpoints without
    `inferred`, which says how much was looked up, and not what was found. Meant for audits without `against`:
    what two sources know of one another's commits and digests is for each pair to say.

    Args:
        report: One audit.
        other: An audit of the same bytes from elsewhere, with the same arguments.
    """
    parts: Mapping[str, Callable[[AuditReport], object]] = {
        "the listing": lambda each: {path: (e.size, e.kind, e.state) for path, e in each.files.items()},
        "the declaration": lambda each: each.declaration,
        "the mappings": lambda each: each.mappings,
        "the loads": lambda each: each.loads,
        "the checkpoints": lambda each: {
            name: attrs.evolve(checkpoint, inferred=0) for name, checkpoint in each.checkpoints.items()
        },
        "the order of findings": lambda each: [finding.code for finding in _of_bytes(each)],
    }
    found = [*_lost("only one", report, other), *_lost("only the other", other, report)]
    found += [f"{what} differ" for what, part in parts.items() if part(report) != part(other)]
    return tuple(found)


def _lost(teller: str, report: AuditReport, other: AuditReport) -> Iterator[str]:
    told = tuple(_of_bytes(other))
    for finding in _of_bytes(report):
        if finding not in told:
            yield f"{teller} finds {finding}"


def _of_bytes(report: AuditReport) -> Iterator[Finding]:
    return (finding for finding in report.findings if finding.code not in ABOUT_THE_SOURCE)


@cache
def sample_repositories() -> Mapping[str, Mapping[str, bytes]]:
    """Name to files of small repositories: a good one, and many that are damaged or odd, each in one way."""
    with TemporaryDirectory() as folder:
        samples = {**_whole(Path(folder, "whole")), **dict(_damaged(Path(folder, "damaged")))}
    return MappingProxyType({name: MappingProxyType(files) for name, files in samples.items()})


def _damaged(folder: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    model = tiny_model("bert")
    for kind in SAMPLE_DAMAGES:
        place = folder / kind
        write_damaged(kind, model, place)
        yield kind, {path.name: path.read_bytes() for path in place.iterdir()}


def _whole(folder: Path) -> dict[str, dict[str, bytes]]:
    """Repositories around a small BERT with all its settings."""
    settings, weights = bert_settings(), _weights(folder)
    both = {name: weights[name] for name in ("model.safetensors", "pytorch_model.bin")}
    good = {**settings, **both}
    json_of = {path: b'{"a": 1}' for path in _ODD_NAMES if path.endswith(".json")}
    odd = {path: both["model.safetensors"] for path in _ODD_NAMES if not path.endswith(".json")}
    return {
        "good": good,
        "flat storage": {**settings, "pytorch_model.bin": weights["flat.bin"]},
        "flat beside safetensors": {**good, "pytorch_model.bin": weights["flat.bin"]},
        "pairs that differ": {**good, "pytorch_model.bin": weights["other.bin"]},
        "exports beside": {
            **good,
            "README.md": b"# a model\n",
            "onnx/model.onnx": b"\x08\x07" * 999,
            "openvino/openvino_model.bin": b"\0" * 99,
            "model.gguf": b"GGUF\x03\0\0\0",
        },
        "training files": {
            **good,
            "optimizer.pt": weights["flat.bin"],
            "training_args.bin": both["pytorch_model.bin"],
            "trainer_state.json": b'{"epoch": 3}',
            "checkpoint-1/model.safetensors": both["model.safetensors"],
        },
        "damaged zip directory": {**settings, "pytorch_model.bin": _flipped(both["pytorch_model.bin"], -200)},
        "damaged zip pickle": {**settings, "pytorch_model.bin": _flipped(both["pytorch_model.bin"], 200)},
        "damaged legacy pickle": {**settings, "pytorch_model.bin": _flipped(weights["legacy.bin"], 3000)},
        "damaged legacy magic": {**settings, "pytorch_model.bin": _flipped(weights["legacy.bin"], 5)},
        "damaged safetensors header": {
            **settings,
            "model.safetensors": _flipped(both["model.safetensors"], 300),
        },
        "safetensors with a tail": {
            **settings,
            "model.safetensors": both["model.safetensors"] + bytes(10),
        },
        "settings malformed": {
            **good,
            "modules.json": b"[{]",
            "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true, "pooling_mode_mean_tokens": false}',
            "tokenizer_config.json": b"\xff\xfe",
            "sentence_bert_config.json": b"",
        },
        "odd names": {**good, **json_of, **odd},
        "nothing but code": {"modeling_own.py": b"raise SystemExit\n", "config.json": b'{"auto_map": {}}'},
    }


def _weights(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    tensors, others = bert_tensors(), bert_tensors(seed=1)
    save_safetensors(tensors, folder / "model.safetensors")
    save_torch(tensors, folder / "pytorch_model.bin")
    save_torch(flat(tensors), folder / "flat.bin")
    save_torch(others, folder / "other.bin")
    save_torch(tensors, folder / "legacy.bin", legacy=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _flipped(content: bytes, position: int) -> bytes:
    """The content with the bits of one byte turned."""
    changed = bytearray(content)
    changed[position] ^= 0xFF
    return bytes(changed)
