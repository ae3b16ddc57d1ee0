"""Every rule, held to a table: rows where it fires, rows where it stays silent, and where it is skipped."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import attrs
import numpy as np
import pytest

from embaudit.embeddings import compare_probes
from embaudit.model.checkpoint import CheckpointFormat, Oddity, PickleGlobal, PickleSummary, ShardIndex
from embaudit.model.declaration import BadDocument, Declaration, ModelCard
from embaudit.model.diff import FieldChange, FileChange, SnapshotDiff
from embaudit.model.dtypes import DType
from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.model.facts import (
    Absent,
    ComparedValues,
    ContentCheck,
    Fact,
    Facts,
    LastCommits,
    LoadChange,
    LoadChanges,
    Loads,
    OnHub,
    UnreadableFile,
    ValueScans,
    WeightContents,
    WeightFiles,
)
from embaudit.model.files import CacheState, CommitInfo, FileState, FlaggedFile, HubState, Snapshot
from embaudit.model.findings import Observation, Severity, Skipped, Where
from embaudit.model.lock import LockDrift, LockedCode, LockedTensor, ServedDrift
from embaudit.model.policy import Policy, RecordedAudit, Waiver, WaiverUse
from embaudit.model.prediction import DuplicateKey, LoadPrediction, MisreadKey, Outcome
from embaudit.model.probe import Behaviour, Probe, ServerMismatch
from embaudit.model.probe import Observation as ProbeObservation
from embaudit.model.tensor_map import Agreement, Depth, TensorMap, TiedName
from embaudit.model.values import ValueScan
from embaudit.rules import RULES, ask_rules
from embaudit.rules.evidence import MAX_LISTED
from embaudit.testing.facts import (
    COMMIT_A,
    COMMIT_B,
    make_checkpoint,
    make_entry,
    make_load,
    make_lock,
    make_locked,
    make_pair,
    make_prediction,
    make_snapshot,
    make_tensor,
)

CAST = Agreement.IDENTICAL_AFTER_CAST
E, W, N = Severity.ERROR, Severity.WARNING, Severity.INFO


@attrs.frozen
class Case:
    """A row: the rule, the situation in words, the facts, and for each finding its severity and place."""

    code: str
    situation: str
    facts: tuple[Fact, ...]
    findings: tuple[tuple[Severity, str], ...] = ()


def cached(**fields: Any) -> Any:
    """A snapshot out of a cache, at commit A."""
    return make_snapshot(source="cache", commit=COMMIT_A, **fields)


def a_map(*pairs: Any, **fields: Any) -> TensorMap:
    """A map between the two usual files."""
    return TensorMap(
        **{
            "left": "pytorch_model.bin",
            "right": "model.safetensors",
            "depth": Depth.HEADERS,
            "pairs": pairs,
            **fields,
        }
    )


def a_diff(
    old: tuple[str, ...] = ("model.safetensors",),
    new: tuple[str, ...] = ("model.safetensors",),
    **fields: Any,
) -> SnapshotDiff:
    """A diff between two snapshots of these files."""
    return SnapshotDiff(
        old=make_snapshot(old, commit=COMMIT_A), new=make_snapshot(new, commit=COMMIT_B), **fields
    )


def layered(*missing: str, extra: tuple[str, ...] = (), n_layers: int = 6) -> Any:
    """A checkpoint of uniform layers without the names in `missing` and with those in `extra`."""
    suffixes = ("attn.q.weight", "attn.q.bias", "mlp.weight", "norm.weight")
    names = [f"encoder.layer.{n}.{suffix}" for n in range(n_layers) for suffix in suffixes]
    kept = [name for name in names if not any(name.startswith(start) for start in missing)]
    return make_checkpoint((*kept, *extra))


def sharded(**fields: Any) -> Any:
    """Two shards with a tensor each, and an index that fits them unless `fields` change something."""
    weight_map = {"a": "one.safetensors", "b": "two.safetensors"}
    index = ShardIndex(
        path="index.json",
        weight_map=fields.pop("weight_map", weight_map),
        total_size=fields.pop("total_size", 48),
    )
    tensors = fields.pop(
        "tensors", (make_tensor("a", file="one.safetensors"), make_tensor("b", file="two.safetensors"))
    )
    return make_checkpoint(
        tensors, name="index.json", format=CheckpointFormat.SAFETENSORS, index=index, **fields
    )


OFFSET = make_tensor("second", storage_offset=6, storage="0")
FIRST = make_tensor("first", storage="0")
BIN_ONLY = WeightFiles(checkpoints=("pytorch_model.bin",))
BOTH = WeightFiles(checkpoints=("model.safetensors", "pytorch_model.bin"))
MISREAD = MisreadKey(
    name="second", file="pytorch_model.bin", reason="bytes for elements", byte_to_read=88, byte_read=70
)
OLD = make_load(versions=">=4.30.0,<=4.57.6")
OLD_AND_INCOMPLETE = attrs.evolve(OLD, outcome=Outcome.INCOMPLETE, missing_keys=("a.weight",))
ST = make_load(loader="sentence-transformers", versions="==6.2.0")
GAMMA_WINS, WEIGHT_WINS = (
    DuplicateKey(name="norm.weight", stored=("norm.gamma", "norm.weight"), winner=winner)
    for winner in ("norm.gamma", "norm.weight")
)
FROM_BIN = make_load(loader="candle", versions="==0.9.0", files=("pytorch_model.bin",))
SAFETENSORS, BFLOAT16 = (
    make_checkpoint((make_tensor("a", dtype=dtype),), name="model.safetensors")
    for dtype in (DType.FLOAT32, DType.BFLOAT16)
)
LARGE = ValueScans(checkpoint="model.safetensors", scans=(ValueScan(name="a", n_beyond_float16=1),))
DAMAGED_MAP = a_map(make_pair("a", values=Agreement.DIFFERENT), depth=Depth.FULL)
BUFFER = "embeddings.position_ids"


def a_change(**fields: Any) -> FieldChange:
    """A change of the pooling mode."""
    return FieldChange(
        **{
            "file": "1_Pooling/config.json",
            "field": "pooling_mode",
            "old": "mean",
            "new": "cls",
            "affects_embeddings": True,
            "why": "other pooling",
            **fields,
        }
    )


def a_file_change(path: str) -> FileChange:
    """A file with other content."""
    entry = make_entry(path)
    return FileChange(path=path, kind=entry.kind, old=entry, new=attrs.evolve(entry, size=11))


def same_names() -> TensorMap:
    """A map of one file in two snapshots whose headers are equal."""
    return a_map(make_pair("a"), left="model.safetensors")


def same_checksums() -> TensorMap:
    """The same, with equal checksums in both files."""
    return a_map(make_pair("a", values=Agreement.IDENTICAL_BY_CHECKSUM), left="model.safetensors")


def same_values() -> TensorMap:
    """The same, with every value compared."""
    return a_map(make_pair("a", values=Agreement.IDENTICAL), left="model.safetensors", depth=Depth.FULL)


COMMITS = (CommitInfo(commit=COMMIT_B, title="add safetensors", date="2024-03-01T00:00:00.000Z"),)
NEWER_KNOWN = cached(newer=COMMITS)
BIN_AND_SAFE = ("model.safetensors", "pytorch_model.bin")
FEBRUARY, MARCH = (
    CommitInfo(commit=COMMIT_A, title="a", date="2024-02-01T00:00:00+00:00"),
    CommitInfo(commit=COMMIT_B, title="b", date="2024-03-01T00:00:00.000Z"),
)


def on_hub(files: Any = (), **state: Any) -> Any:
    """A snapshot of `org/name` on the hub, at commit B of its main branch."""
    told = {"repo_id": "org/name", "asked_id": "org/name", "key": "1", **state}
    return make_snapshot(files, source="hub", repo_id=told["asked_id"], commit=COMMIT_B, hub=HubState(**told))


def answered(*args: Any, is_target: bool = True, **fields: Any) -> OnHub:
    """The same as the fact of which rules about the hub are asked."""
    snapshot = on_hub(*args, **fields)
    assert snapshot.hub is not None
    return OnHub(snapshot=snapshot, hub=snapshot.hub, is_target=is_target)


def on_disk(source: str = "cache", **fields: Any) -> Any:
    """A snapshot of `org/name` on this disk, at commit A."""
    return make_snapshot(source=source, repo_id="org/name", commit=COMMIT_A, **fields)


def between(old: Any, new: Any, **fields: Any) -> SnapshotDiff:
    """A diff between two snapshots."""
    return SnapshotDiff(old=old, new=new, **fields)


def dated(**commits: CommitInfo) -> LastCommits:
    """The last commits of the `.bin`, of the `.safetensors` and of an export."""
    paths = {"bin": "pytorch_model.bin", "safe": "model.safetensors", "onnx": "onnx/model.onnx"}
    return LastCommits(commits={paths[name]: commit for name, commit in commits.items()})


def an_update(*files: str, loads: LoadChanges | None = None, **fields: Any) -> tuple[Fact, ...]:
    """What an update of one commit brings, in a repository of these files."""
    files = files or ("model.safetensors",)
    diff = a_diff(files, files, commits=COMMITS, **fields)
    return (diff,) if loads is None else (diff, loads)


def a_load_change(before: Any, after: Any) -> LoadChanges:
    """What becomes of one loader."""
    return LoadChanges(changes=(LoadChange(before=make_prediction(before), after=make_prediction(after)),))


SAME_LOAD = a_load_change(make_load(), make_load())


POOLING, MODULES = "1_Pooling/config.json", "modules.json"
PROMPTS, LENGTHS = "config_sentence_transformers.json", "sentence_bert_config.json"
CLS, MEAN = PoolingMode.CLS, PoolingMode.MEAN
MODULE_LIST = tuple(
    {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for index, (kind, path) in enumerate(
        (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
    )
)
POOLING_SETTINGS: dict[str, Any] = {
    "word_embedding_dimension": 4,
    "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True,
}
NEW_POOLING = {"embedding_dimension": 4, "pooling_mode": "cls"}
SETTINGS: dict[str, Any] = {
    "config.json": {"model_type": "bert", "hidden_size": 4, "max_position_embeddings": 512},
    "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "do_lower_case": True},
    MODULES: MODULE_LIST,
    POOLING: POOLING_SETTINGS,
    LENGTHS: {"max_seq_length": 256},
    PROMPTS: {},
}
"""What a small model of sentence-transformers declares: BERT, pooled by the mean, normalised."""
WITH_DENSE = {
    MODULES: (
        *MODULE_LIST[:2],
        {**MODULE_LIST[2], "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    ),
    "2_Dense/config.json": {"in_features": 4, "out_features": 2},
}
DENSE = DenseLayer(
    path="2_Dense",
    in_features=4,
    out_features=2,
    bias=True,
    activation="torch.nn.modules.activation.Tanh",
)
WITH_PROMPT = {PROMPTS: {"prompts": {"q": "query: "}, "default_prompt_name": "q"}}
UNPOOLED = {POOLING: {**POOLING_SETTINGS, "include_prompt": False}}
LOWERED = {
    LENGTHS: {"max_seq_length": 256, "do_lower_case": True},
    "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "do_lower_case": False},
}
CUT = {PROMPTS: {"truncate_dim": 2}}
TABLE = make_checkpoint([make_tensor("embeddings.word_embeddings.weight", (10, 4))])


def settings(changed: Mapping[str, Any] | None = None) -> tuple[Snapshot, Declaration]:
    """The files of the small model, some of them changed; None takes a file out."""
    documents = {path: each for path, each in {**SETTINGS, **(changed or {})}.items() if each is not None}
    return make_snapshot(tuple(documents)), Declaration(documents=documents)


def pipeline(**fields: Any) -> EmbeddingPipeline:
    """What is declared by the files of the small model, unless `fields` say otherwise."""
    declared: dict[str, Any] = {
        "pooling": (MEAN,),
        "normalize": True,
        "max_seq_length": 256,
        "lowercase": True,
        "dimension": 4,
    }
    return EmbeddingPipeline(**{**declared, **fields})


def pooling_with(made: EmbeddingPipeline) -> LoadPrediction:
    """A loader that makes this of a text, and of which nothing else is known."""
    return make_prediction(make_load(Outcome.UNKNOWN, loader="server", versions="==1", pipeline=made))


def piped(documents: Mapping[str, Any] | None = None, **fields: Any) -> tuple[Fact, ...]:
    """One loader with its pipeline, and the small model."""
    return (Loads(predictions=(pooling_with(pipeline(**fields)),)), *settings(documents))


def piped_eras(*made: EmbeddingPipeline) -> tuple[Fact, ...]:
    """One loader that makes something else of a text in every release, and the small model."""
    loads = (make_load(versions=f"=={number}", pipeline=each) for number, each in enumerate(made, 1))
    return (Loads(predictions=(make_prediction(*loads),)), *settings())


SAFE_FILE = make_checkpoint(name="model.safetensors", format=CheckpointFormat.SAFETENSORS, pickle=None)
BIN_FILE = make_checkpoint()
PICKLED_CODE = make_checkpoint(
    pickle=PickleSummary(protocol=2, tensor_only=False, reasons=("byte 7: it calls os.system",))
)
CARD = ModelCard(path="README.md")
AUTO_MAP = {"auto_map": {"AutoModel": "org/code--model.Model"}}
OWN_CODE = {"auto_map": {"AutoTokenizer": ["tokens.Slow", None]}}
CUSTOM_MODULE = ({"idx": 0, "name": "0", "path": "", "type": "custom.Transformer"},)
NEW_YEAR = date(2027, 1, 1)
ACCEPTED = Waiver(code="EMB101", reason="looked at", expires=NEW_YEAR)


def policy_on(
    *checkpoints: Any,
    unread: Mapping[str, str] | None = None,
    snapshot: Snapshot | None = None,
    **policy: Any,
) -> tuple[Fact, ...]:
    """A policy, and the weights of a snapshot whose listing is empty unless one is given."""
    weights = WeightContents(checkpoints=checkpoints, unread=unread or {})
    return (Policy(**policy), weights, snapshot or make_snapshot())


def policy_and_settings(changed: Mapping[str, Any] | None = None, **policy: Any) -> tuple[Fact, ...]:
    """A policy, and the small model, some of its files changed; its weights were read."""
    return (Policy(**policy), *settings(changed), WeightContents(checkpoints=(SAFE_FILE,)))


def recorded(created: str, **policy: Any) -> tuple[Fact, ...]:
    """A policy, and a lock that was made then, on New Year's Day of 2027."""
    return (Policy(**policy), RecordedAudit(name="embaudit.lock", created=created, today=NEW_YEAR))


def required(outcome: Outcome, **fields: Any) -> tuple[Fact, ...]:
    """A policy that asks for a faithful load by transformers, and what that would do."""
    load = make_prediction(make_load(outcome, **fields))
    return (Policy(loaders=("transformers",)), Loads(predictions=(load,)))


REQUIREMENTS = (
    Case(
        "EMB601",
        "safetensors are asked for, and there is a torch file",
        policy_on(SAFE_FILE, BIN_FILE, formats=("safetensors",)),
        ((E, "pytorch_model.bin"),),
    ),
    Case(
        "EMB601",
        "safetensors are asked for, and there is an ONNX file",
        policy_on(SAFE_FILE, snapshot=make_snapshot(("onnx/model.onnx",)), formats=("safetensors",)),
        ((E, "onnx/model.onnx"),),
    ),
    Case(
        "EMB601",
        "a file that could not be read",
        policy_on(SAFE_FILE, unread={"other.bin": "not a zip"}, formats=("safetensors",)),
        ((E, "other.bin"),),
    ),
    Case("EMB601", "no weights at all", policy_on(formats=("safetensors",)), ((E, "files"),)),
    Case("EMB601", "safetensors alone", policy_on(SAFE_FILE, formats=("safetensors",))),
    Case(
        "EMB601",
        "ONNX, which is allowed",
        policy_on(SAFE_FILE, snapshot=make_snapshot(("m.onnx",)), formats=("safetensors", "onnx")),
    ),
    Case(
        "EMB601",
        "a torch file that was not downloaded",
        policy_on(
            SAFE_FILE,
            snapshot=make_snapshot((make_entry("rust_model.ot", state=FileState.ABSENT),)),
            formats=("safetensors",),
        ),
    ),
    Case("EMB601", "a policy that names no formats", policy_on(BIN_FILE)),
    Case("EMB602", "a pickle of more than tensors", policy_on(PICKLED_CODE), ((E, "pytorch_model.bin"),)),
    Case("EMB602", "no pickle is allowed", policy_on(BIN_FILE, pickles="none"), ((E, "pytorch_model.bin"),)),
    Case(
        "EMB602",
        "a torch file that could not be read",
        policy_on(unread={"pytorch_model.bin": "it ends early"}),
        ((E, "pytorch_model.bin"),),
    ),
    Case("EMB602", "a pickle of tensors", policy_on(BIN_FILE)),
    Case("EMB602", "safetensors, where no pickle is allowed", policy_on(SAFE_FILE, pickles="none")),
    Case("EMB602", "any pickle is allowed", policy_on(PICKLED_CODE, pickles="any")),
    Case(
        "EMB602",
        "what could not be read and is only half called safetensors",
        policy_on(unread={"a.safetensors.bin": "it is a bare pickle", "b.safetensors.d/c.bin": "it is none"}),
        ((E, "a.safetensors.bin"), (E, "b.safetensors.d/c.bin")),
    ),
    Case(
        "EMB602",
        "an index of safetensors that could not be read",
        policy_on(unread={"model.safetensors.index.fp16.json": "it ends early"}),
    ),
    Case(
        "EMB602",
        "safetensors that could not be read, which nobody unpickles",
        policy_on(unread={"model-00001-of-00002.safetensors": "no index claims it"}),
    ),
    Case(
        "EMB603",
        "a branch",
        (Policy(require_commit=True), cached(revision="main")),
        ((E, "revision"),),
    ),
    Case("EMB603", "a folder", (Policy(require_commit=True), make_snapshot()), ((E, "revision"),)),
    Case("EMB603", "a commit", (Policy(require_commit=True), cached(revision=COMMIT_A))),
    Case("EMB603", "a branch, which may be", (Policy(), cached(revision="main"))),
    Case(
        "EMB604",
        "half precision is asked for",
        policy_on(SAFE_FILE, dtypes=("float16",)),
        ((E, "model.safetensors: weight"),),
    ),
    Case(
        "EMB604",
        "quantised weights",
        policy_on(make_checkpoint((make_tensor("layer.qweight", dtype=DType.INT32),)), dtypes=("float32",)),
        ((E, "pytorch_model.bin: layer.qweight"),),
    ),
    Case(
        "EMB604",
        "a file that could not be read",
        policy_on(SAFE_FILE, unread={"b.bin": "it ends early"}, dtypes=("float32",)),
        ((E, "b.bin"),),
    ),
    Case("EMB604", "no weights at all", policy_on(dtypes=("float32",)), ((E, "files"),)),
    Case(
        "EMB604",
        "the right type, and positions",
        policy_on(make_checkpoint(("a", make_tensor(BUFFER, dtype=DType.INT64))), dtypes=("float32",)),
    ),
    Case("EMB604", "a policy that names no types", policy_on(SAFE_FILE)),
    Case(
        "EMB605",
        "vectors of 4 components, and 768 are asked for",
        policy_and_settings(dimension=768),
        ((E, "dimension"),),
    ),
    Case(
        "EMB605",
        "no configuration",
        policy_and_settings({"config.json": None, POOLING: None}, dimension=4),
        ((E, "dimension"),),
    ),
    Case(
        "EMB605",
        "a loader that makes other vectors than are declared",
        (
            *policy_and_settings(dimension=4),
            Loads(predictions=(make_prediction(make_load(pipeline=pipeline(dimension=8))),)),
        ),
        ((E, "dimension"),),
    ),
    Case("EMB605", "the dimension that is asked for", policy_and_settings(dimension=4)),
    Case(
        "EMB605",
        "a loader of which no dimension is known",
        (
            *policy_and_settings(dimension=4),
            Loads(predictions=(make_prediction(make_load(), make_load(pipeline=pipeline(dimension=None))),)),
        ),
    ),
    Case("EMB605", "a policy that names no dimension", policy_and_settings()),
    Case(
        "EMB606",
        "a licence that is not on the list",
        (Policy(licences=("mit",)), attrs.evolve(CARD, licences=("cc-by-nc-4.0",))),
        ((E, "README.md: license"),),
    ),
    Case(
        "EMB606",
        "one of two licences is not on the list",
        (Policy(licences=("mit",)), attrs.evolve(CARD, licences=("mit", "gpl-3.0"))),
        ((E, "README.md: license"),),
    ),
    Case("EMB606", "no licence", (Policy(licences=("mit",)), CARD), ((E, "README.md: license"),)),
    Case(
        "EMB606",
        "a card that is malformed",
        (Policy(licences=("mit",)), attrs.evolve(CARD, problem="the head is not YAML")),
        ((E, "README.md: license"),),
    ),
    Case(
        "EMB606",
        "a licence that is on the list",
        (Policy(licences=("MIT",)), attrs.evolve(CARD, licences=("mit",))),
    ),
    Case(
        "EMB606",
        "another licence, by its name",
        (
            Policy(licences=("my-licence",)),
            attrs.evolve(CARD, licences=("other",), licence_name="My-Licence"),
        ),
    ),
    Case("EMB606", "a policy that names no licences", (Policy(), CARD)),
    Case(
        "EMB607",
        "code of another repository",
        policy_and_settings({"config.json": AUTO_MAP}),
        ((E, "config.json: auto_map"),),
    ),
    Case(
        "EMB607",
        "code of its own, where all is forbidden",
        policy_and_settings({"tokenizer_config.json": OWN_CODE}, remote_code="forbidden"),
        ((E, "tokenizer_config.json: auto_map"),),
    ),
    Case(
        "EMB607",
        "a module of its own, where all is forbidden",
        policy_and_settings({MODULES: CUSTOM_MODULE}, remote_code="forbidden"),
        ((E, "modules.json: type"),),
    ),
    Case(
        "EMB607",
        "a pipeline of its own, inside the configuration of a part",
        policy_and_settings(
            {
                "config.json": {
                    "text_config": {"custom_pipelines": {"embed": {"impl": "p.P", "pt": ["AutoModel"]}}}
                }
            },
            remote_code="forbidden",
        ),
        ((E, "config.json: text_config.custom_pipelines"),),
    ),
    Case(
        "EMB607",
        "settings that cannot be read",
        (
            Policy(),
            make_snapshot(("config.json",)),
            Declaration(bad=(BadDocument(path="config.json", problem="not JSON"),)),
        ),
        ((E, "config.json"),),
    ),
    Case("EMB607", "code of its own", policy_and_settings({"config.json": OWN_CODE, MODULES: CUSTOM_MODULE})),
    Case(
        "EMB607",
        "code of its own, named in full",
        (
            Policy(),
            on_hub(repo_id="org/code", asked_id="org/code"),
            Declaration(documents={"config.json": AUTO_MAP}),
        ),
    ),
    Case(
        "EMB607", "any code is allowed", policy_and_settings({"config.json": AUTO_MAP}, remote_code="allowed")
    ),
    Case("EMB607", "no code, where all is forbidden", policy_and_settings(remote_code="forbidden")),
    Case(
        "EMB608",
        "20 bytes, and 19 are allowed",
        (Policy(max_bytes=19), make_snapshot(("a", "b"))),
        ((E, "files"),),
    ),
    Case(
        "EMB608",
        "a size that is not known",
        (Policy(max_bytes=20), make_snapshot(("a", make_entry("b", size=None)))),
        ((E, "b"),),
    ),
    Case("EMB608", "20 bytes, and 20 are allowed", (Policy(max_bytes=20), make_snapshot(("a", "b")))),
    Case(
        "EMB608",
        "what was not downloaded",
        (Policy(max_bytes=10), make_snapshot(("a", make_entry("b", state=FileState.ABSENT)))),
    ),
    Case("EMB608", "a policy that names no size", (Policy(), make_snapshot(("a",)))),
    *(
        Case("EMB609", f"a load that is {outcome}", required(outcome), ((E, "model.safetensors: loaders"),))
        for outcome in (Outcome.INCOMPLETE, Outcome.CORRUPT, Outcome.UNKNOWN)
    ),
    Case(
        "EMB609",
        "a load that is refused",
        required(Outcome.REFUSED, files=(), reasons=("It asks for another file.",)),
        ((E, "loaders"),),
    ),
    Case("EMB609", "a loader that was not asked", (Policy(loaders=("tei",)),), ((E, "loaders"),)),
    Case("EMB609", "a faithful load", required(Outcome.FAITHFUL)),
    Case(
        "EMB609",
        "a corrupt load that the policy does not ask for",
        (Policy(), Loads(predictions=(make_prediction(make_load(Outcome.CORRUPT)),))),
    ),
    Case(
        "EMB610",
        "a lock of 31 days, and 30 are allowed",
        recorded("2026-12-01T12:00:00+00:00", max_age_days=30),
        ((E, "embaudit.lock: created"),),
    ),
    Case(
        "EMB610",
        "no date",
        recorded("yesterday", max_age_days=30),
        ((E, "embaudit.lock: created"),),
    ),
    Case(
        "EMB610",
        "a date that is still to come",
        recorded("2027-02-01", max_age_days=30),
        ((E, "embaudit.lock: created"),),
    ),
    Case("EMB610", "a lock of 30 days", recorded("2026-12-02T23:59:59Z", max_age_days=30)),
    Case("EMB610", "made tomorrow, by another clock", recorded("2027-01-02T00:00:01Z", max_age_days=1)),
    Case("EMB610", "a policy that names no age", recorded("1970-01-01")),
    Case(
        "EMB611",
        "its last day is over",
        (WaiverUse(waiver=ACCEPTED, expired=True, n_findings=1),),
        ((W, "waivers: EMB101"),),
    ),
    Case("EMB611", "it holds", (WaiverUse(waiver=ACCEPTED, n_findings=1),)),
    Case("EMB612", "nothing is covered", (WaiverUse(waiver=ACCEPTED),), ((N, "waivers: EMB101"),)),
    Case("EMB612", "a finding is covered", (WaiverUse(waiver=ACCEPTED, n_findings=1),)),
    Case("EMB612", "it has expired", (WaiverUse(waiver=ACCEPTED, expired=True),)),
    Case("EMB612", "its rule could not be asked", (WaiverUse(waiver=ACCEPTED, asked=False),)),
)


SAFE = "model.safetensors"


def drifted(old: Any, new: Any) -> tuple[LockDrift]:
    """What was locked, and what is there."""
    return (LockDrift(locked=old, found=new),)


def weights(digest: str | None = "1", name: str = SAFE, **tensors: str | None) -> Any:
    """A lock of one weight file of that digest, with tensors of these digests."""
    return make_lock({name: digest}, checkpoints={name: make_locked(tensors, name)})


def one_tensor(**fields: Any) -> Any:
    """A lock of one weight file with one tensor, float32 of the shape (2, 3) by default."""
    tensor = LockedTensor(**{"dtype": DType.FLOAT32, "shape": (2, 3), "sha256": "1", **fields})
    return make_lock({SAFE: str(fields)}, checkpoints={SAFE: make_locked({}, tensors={"a": tensor})})


def declaring(document: Any, path: str = "config.json", digest: str = "1") -> Any:
    """A lock of one file that says something."""
    return make_lock({path: digest}, settings={path: document})


def running(commit: str | None, reference: str = "a/b--c.D") -> Any:
    """A lock that has code of another repository run, at a commit."""
    code = LockedCode(
        where="config.json: auto_map.AutoModel", reference=reference, repo_id="a/b", commit=commit
    )
    return make_lock(remote_code=(code,))


def made(*rows: tuple[float, float], **fields: Any) -> Probe:
    """A probe of as many texts as there are rows."""
    texts = tuple("abc"[: len(rows)])
    return Probe(backend="a server", texts=texts, vectors=np.array(rows, np.float32), **fields)


def served(golden: Probe | None, current: Probe, *mismatches: ServerMismatch) -> tuple[ServedDrift]:
    """A server against a lock."""
    drift = None if golden is None else compare_probes(golden, current)
    return (ServedDrift(locked=make_lock(), current=current, drift=drift, mismatches=mismatches),)


BY_MEAN, BY_FIRST = (
    EmbeddingPipeline(pooling=(mode,), normalize=True, max_seq_length=256, lowercase=True, dimension=3)
    for mode in (PoolingMode.MEAN, PoolingMode.CLS)
)
POOLED_MEAN, POOLED_FIRST = make_lock(pipeline=BY_MEAN), make_lock(pipeline=BY_FIRST)
CODE_PLACE = "config.json: auto_map.AutoModel"
ONNX = "onnx/model.onnx"
ALONE_ONLY = ProbeObservation(behaviour=Behaviour.BATCHES, holds=False, worst=0.5)
IN_BATCHES = ProbeObservation(behaviour=Behaviour.BATCHES, holds=True)
UNIT, LONG = (ProbeObservation(behaviour=Behaviour.NORMALIZES, holds=holds) for holds in (True, False))
ANOTHER_SHA = ServerMismatch(field="model_sha", expected="a" * 40, served="b" * 40, why="another commit")
ANOTHER_TYPE = ServerMismatch(field="dtype", expected="float32", served="float16", why="rounds otherwise")

CASES = (
    *REQUIREMENTS,
    Case("EMB001", "a branch of the hub", (on_hub(),), ((W, "revision"),)),
    Case("EMB001", "a commit of the hub", (attrs.evolve(on_hub(), revision=COMMIT_B),)),
    Case("EMB001", "a cached branch", (cached(revision="main"),), ((W, "revision"),)),
    Case("EMB001", "no revision was asked for", (cached(),), ((W, "revision"),)),
    Case("EMB001", "a full commit hash", (cached(revision=COMMIT_A),)),
    Case("EMB001", "a folder, which has no revisions", (make_snapshot(),)),
    Case("EMB002", "a plain folder", (make_snapshot(),), ((N, "commit"),)),
    Case("EMB002", "a commit is known", (cached(),)),
    Case(
        "EMB003",
        "a later commit is cached",
        (cached(newer=(CommitInfo(commit=COMMIT_B),)),),
        ((W, "commit"),),
    ),
    Case("EMB003", "nothing newer is known", (cached(),)),
    Case(
        "EMB003",
        "the comparison is with another commit than the later one",
        (NEWER_KNOWN, between(NEWER_KNOWN, make_snapshot(commit="c" * 40), commits=COMMITS)),
        ((W, "commit"),),
    ),
    Case(
        "EMB003",
        "the comparison is with the later commit, and EMB028 tells how far it is",
        (NEWER_KNOWN, between(NEWER_KNOWN, on_hub(), commits=COMMITS)),
    ),
    Case(
        "EMB004",
        "another digest",
        (ContentCheck(path="a.bin", algorithm="sha256", claimed="1", computed="2"),),
        ((E, "a.bin"),),
    ),
    Case(
        "EMB004",
        "the digest it claims",
        (ContentCheck(path="a.bin", algorithm="sha256", claimed="1", computed="1"),),
    ),
    Case(
        "EMB005",
        "an interrupted download",
        (cached(cache=CacheState(incomplete=("x.incomplete",))),),
        ((W, "blobs"),),
    ),
    Case(
        "EMB005",
        "a settings file was not downloaded",
        (cached(cache=CacheState(absent=(make_entry("modules.json"),))),),
        ((W, "snapshot"),),
    ),
    Case(
        "EMB005",
        "only an ONNX export was not downloaded",
        (cached(cache=CacheState(absent=(make_entry("model.onnx"),))),),
        ((N, "snapshot"),),
    ),
    Case("EMB005", "a complete download", (cached(cache=CacheState()),)),
    Case("EMB005", "not a cache", (make_snapshot(),)),
    Case(
        "EMB006",
        "a broken link",
        (make_snapshot((make_entry("config.json", state=FileState.BROKEN_LINK),)),),
        ((E, "config.json"),),
    ),
    Case(
        "EMB006",
        "a broken link to a document",
        (make_snapshot((make_entry("README.md", state=FileState.ESCAPING_LINK),)),),
        ((W, "README.md"),),
    ),
    Case(
        "EMB006",
        "files that the hub refuses, which EMB021 tells",
        (make_snapshot((make_entry("config.json", state=FileState.REFUSED),)),),
    ),
    Case("EMB006", "files that can be read", (make_snapshot(("config.json",)),)),
    Case(
        "EMB007",
        "a pointer instead of weights",
        (make_snapshot((make_entry("model.safetensors", state=FileState.POINTER),)),),
        ((E, "model.safetensors"),),
    ),
    Case("EMB007", "the object is there", (make_snapshot(("model.safetensors",)),)),
    Case(
        "EMB008",
        "Config.json beside config.json",
        (make_snapshot(("Config.json", "config.json")),),
        ((W, "Config.json"),),
    ),
    Case("EMB008", "names that differ in more than case", (make_snapshot(("config.json", "configs.json")),)),
    Case(
        "EMB009",
        "a settings file that is not JSON",
        (Declaration(bad=(BadDocument(path="config.json", problem="not JSON"),)),),
        ((E, "config.json"),),
    ),
    Case(
        "EMB009",
        "Infinity, which python reads and strict parsers refuse",
        (Declaration(bad=(BadDocument(path="config.json", problem="holds Infinity", usable=True),)),),
        ((W, "config.json"),),
    ),
    Case("EMB009", "settings that can be read", (Declaration(documents={"config.json": {}}),)),
    Case(
        "EMB009",
        "settings that are not at hand, which EMB006, EMB007 or EMB021 tells",
        (
            Declaration(bad=(BadDocument(path="config.json", problem="refused"),)),
            make_snapshot((make_entry("config.json", state=FileState.REFUSED),)),
        ),
    ),
    Case(
        "EMB010",
        "safetensors appeared beside the .bin",
        (a_diff(("pytorch_model.bin",), ("model.safetensors", "pytorch_model.bin")),),
        ((W, "model.safetensors"),),
    ),
    Case("EMB010", "the same file is preferred", (a_diff(),)),
    Case("EMB010", "no weights before", (a_diff(()),)),
    Case(
        "EMB011",
        "another pooling mode",
        (a_diff(field_changes=(a_change(),)),),
        ((W, "1_Pooling/config.json: pooling_mode"),),
    ),
    Case("EMB011", "a harmless field", (a_diff(field_changes=(a_change(affects_embeddings=False),)),)),
    Case("EMB012", "other values", (a_diff(tensors=(DAMAGED_MAP,)),), ((W, "model.safetensors"),)),
    Case(
        "EMB012",
        "positions that loaders make themselves came along",
        (a_diff(tensors=(a_map(make_pair("a"), only_right=("embeddings.position_ids",)),)),),
        ((N, "model.safetensors"),),
    ),
    Case("EMB012", "the same tensors", (a_diff(tensors=(a_map(make_pair("a")),)),)),
    Case("EMB012", "the same checksums", (a_diff(tensors=(same_checksums(),)),)),
    Case(
        "EMB013",
        "weights of equal size, without digests",
        (a_diff(uncompared=("model.safetensors",)),),
        ((N, "model.safetensors"),),
    ),
    Case("EMB013", "everything was compared", (a_diff(),)),
    Case(
        "EMB014",
        "the pooling settings disappeared",
        (a_diff(removed=(make_entry("1_Pooling/config.json"),)),),
        ((W, "1_Pooling/config.json"),),
    ),
    Case(
        "EMB014", "remote code appeared", (a_diff(added=(make_entry("modeling.py"),)),), ((W, "modeling.py"),)
    ),
    Case(
        "EMB014",
        "the vocabulary changed",
        (a_diff(modified=(a_file_change("vocab.txt"),)),),
        ((W, "vocab.txt"),),
    ),
    Case(
        "EMB014",
        "settings whose fields EMB011 tells",
        (a_diff(modified=(a_file_change("1_Pooling/config.json"),), field_changes=(a_change(),)),),
    ),
    Case("EMB014", "only a document appeared", (a_diff(added=(make_entry("README.md"),)),)),
    Case(
        "EMB015",
        "other bytes, headers equal, values not compared",
        (a_diff(modified=(a_file_change("model.safetensors"),), tensors=(same_names(),)),),
        ((W, "model.safetensors"),),
    ),
    Case(
        "EMB015",
        "other bytes, and no comparison",
        (a_diff(modified=(a_file_change("model.safetensors"),)),),
        ((W, "model.safetensors"),),
    ),
    Case(
        "EMB015",
        "other bytes around equal tensors",
        (a_diff(modified=(a_file_change("model.safetensors"),), tensors=(same_values(),)),),
        ((N, "model.safetensors"),),
    ),
    Case(
        "EMB015",
        "other bytes around tensors of equal checksums, which no loader checks",
        (a_diff(modified=(a_file_change("model.safetensors"),), tensors=(same_checksums(),)),),
        ((W, "model.safetensors"),),
    ),
    Case(
        "EMB015",
        "another ONNX export",
        (a_diff(modified=(a_file_change("onnx/model.onnx"),)),),
        ((W, "onnx/model.onnx"),),
    ),
    Case(
        "EMB015",
        "weights disappeared",
        (a_diff(removed=(make_entry("2_Dense/model.safetensors"),)),),
        ((W, "2_Dense/model.safetensors"),),
    ),
    Case(
        "EMB015",
        "weights appeared",
        (a_diff(added=(make_entry("2_Dense/model.safetensors"),)),),
        ((N, "2_Dense/model.safetensors"),),
    ),
    Case(
        "EMB015",
        "the first weights appeared",
        (a_diff((), added=(make_entry("model.safetensors"),)),),
        ((N, "model.safetensors"),),
    ),
    Case(
        "EMB015",
        "safetensors appeared beside the .bin, which EMB010 tells",
        (
            a_diff(
                ("pytorch_model.bin",),
                ("model.safetensors", "pytorch_model.bin"),
                added=(make_entry("model.safetensors"),),
            ),
        ),
    ),
    Case(
        "EMB015",
        "tensors that EMB012 tells",
        (
            a_diff(
                modified=(a_file_change("model.safetensors"),),
                tensors=(attrs.evolve(DAMAGED_MAP, left="model.safetensors"),),
            ),
        ),
    ),
    Case("EMB015", "only settings changed", (a_diff(modified=(a_file_change("config.json"),)),)),
    Case("EMB016", "a file could not be read", (a_diff(notes=("a.bin is damaged",)),), ((W, "notes"),)),
    Case("EMB016", "everything was compared", (a_diff(),)),
    Case("EMB020", "access is granted by hand", (answered(gated="manual"),), ((N, "gated"),)),
    Case("EMB020", "access is granted to whoever asks", (answered(gated="auto"),), ((N, "gated"),)),
    Case("EMB020", "everybody has access", (answered(),)),
    Case("EMB021", "the hub says so", (answered(disabled=True),), ((E, "disabled"),)),
    Case(
        "EMB021",
        "the hub refuses files",
        (answered((make_entry("config.json", state=FileState.REFUSED),)),),
        ((E, "disabled"),),
    ),
    Case(
        "EMB021",
        "the one compared with is closed",
        (answered(disabled=True, is_target=False),),
        ((E, "against.disabled"),),
    ),
    Case("EMB021", "the repository is open", (answered(("config.json",)),)),
    Case(
        "EMB022",
        "one file is unsafe, another suspicious",
        (
            answered(
                ("a.py", "pytorch_model.bin"),
                flagged=(
                    FlaggedFile(path="a.py", level="suspicious"),
                    FlaggedFile(path="pytorch_model.bin", level="unsafe"),
                ),
            ),
        ),
        ((E, "pytorch_model.bin"), (W, "a.py")),
    ),
    Case(
        "EMB022",
        "a word that is not known, for a file that is not listed",
        (answered(flagged=(FlaggedFile(path="gone.bin", level="odd"),)),),
        ((W, "gone.bin"),),
    ),
    Case("EMB022", "the scans are not finished", (answered(scans_done=False),), ((N, "security"),)),
    Case("EMB022", "the scans found nothing", (answered(scans_done=True),)),
    Case("EMB022", "the hub does not tell of scans", (answered(),)),
    Case("EMB023", "another name", (answered(asked_id="old/name", redirected=True),), ((W, "repo_id"),)),
    Case(
        "EMB023",
        "another name of the one compared with",
        (answered(asked_id="old/name", is_target=False),),
        ((W, "against.repo_id"),),
    ),
    Case("EMB023", "the same name in other case", (answered(asked_id="Org/Name"),), ((N, "repo_id"),)),
    Case("EMB023", "the name that was asked for", (answered(),)),
    Case(
        "EMB024",
        "two keys under one name",
        (between(attrs.evolve(on_hub(key="0"), commit=COMMIT_A), on_hub()),),
        ((E, "repo_id"),),
    ),
    Case(
        "EMB024",
        "the hub's repository was made after the cached commit was downloaded, and does not know it",
        (
            between(
                on_disk(cache=CacheState(written="2024-01-01T00:00:00+00:00")),
                on_hub(created="2024-02-01T00:00:00.000Z"),
                unknown_commit=COMMIT_A,
            ),
        ),
        ((E, "repo_id"),),
    ),
    Case(
        "EMB024",
        "the cached commit was downloaded from the repository that is there",
        (
            between(
                on_disk(cache=CacheState(written="2024-03-01T00:00:00+00:00")),
                on_hub(created="2024-02-01T00:00:00.000Z"),
                unknown_commit=COMMIT_A,
            ),
        ),
    ),
    Case(
        "EMB024",
        "nobody knows when",
        (between(on_disk(cache=CacheState()), on_hub(), unknown_commit=COMMIT_A),),
    ),
    Case("EMB024", "one key", (between(on_hub(), on_hub()),)),
    Case(
        "EMB024",
        "two repositories with two names",
        (between(on_hub(key="0", repo_id="org/b", asked_id="org/b"), on_hub()),),
    ),
    Case(
        "EMB025",
        "the hub does not know a cached commit",
        (between(on_disk(), on_hub(), unknown_commit=COMMIT_A),),
        ((E, "commit"),),
    ),
    Case(
        "EMB025",
        "the hub does not know the commit of a clone, which may never have been pushed",
        (between(on_disk("git"), on_hub(), unknown_commit=COMMIT_A),),
        ((W, "commit"),),
    ),
    Case(
        "EMB025",
        "the same, the other way round",
        (between(on_hub(), on_disk("git"), unknown_commit=COMMIT_A),),
        ((W, "commit"),),
    ),
    Case(
        "EMB025",
        "a clone does not know a cached commit, and may need a fetch",
        (between(on_disk(), attrs.evolve(on_disk("git"), commit=COMMIT_B), unknown_commit=COMMIT_A),),
        ((N, "commit"),),
    ),
    Case(
        "EMB025",
        "a branch of the hub was rewritten since the download",
        (between(on_disk(revision="main"), on_hub(), commits=COMMITS, lost_commits=COMMITS),),
        ((W, "commit"),),
    ),
    Case(
        "EMB025",
        "the same, and the download was pinned; the cache's refs name the branch",
        (
            between(
                on_disk(revision=COMMIT_A, refs={"main": COMMIT_A}),
                on_hub(),
                commits=COMMITS,
                lost_commits=COMMITS,
            ),
        ),
        ((W, "commit"),),
    ),
    Case(
        "EMB025",
        "a clone and the hub's branch diverged",
        (between(on_disk("git", revision="main"), on_hub(), commits=COMMITS, lost_commits=COMMITS),),
        ((W, "commit"),),
    ),
    Case(
        "EMB025",
        "a branch of the hub went back behind what was downloaded from it",
        (between(on_hub(), on_disk(revision="main"), commits=COMMITS),),
        ((W, "commit"),),
    ),
    Case(
        "EMB025",
        "a clone is ahead of the hub, by commits that were not pushed",
        (between(on_hub(), on_disk("git", revision="main"), commits=COMMITS),),
    ),
    Case("EMB025", "the hub is ahead", (between(on_disk(revision="main"), on_hub(), commits=COMMITS),)),
    Case(
        "EMB025",
        "two branches",
        (between(on_disk(revision="refs/pr/1"), on_hub(), commits=COMMITS, lost_commits=COMMITS),),
    ),
    Case(
        "EMB025",
        "a cached commit that is unknown because another repository took the name, which EMB024 tells",
        (
            between(
                on_disk(cache=CacheState(written="2024-01-01T00:00:00+00:00")),
                on_hub(created="2024-02-01T00:00:00.000Z"),
                unknown_commit=COMMIT_A,
            ),
        ),
    ),
    Case(
        "EMB026",
        "the .bin came after the safetensors",
        (make_snapshot(BIN_AND_SAFE), dated(bin=MARCH, safe=FEBRUARY)),
        ((W, "model.safetensors"),),
    ),
    Case(
        "EMB026",
        "the safetensors came after the .bin, as conversions do",
        (make_snapshot(BIN_AND_SAFE), dated(bin=FEBRUARY, safe=MARCH)),
        ((N, "pytorch_model.bin"),),
    ),
    Case(
        "EMB026",
        "the weights came after the ONNX export",
        (make_snapshot(("model.safetensors", "onnx/model.onnx")), dated(safe=MARCH, onnx=FEBRUARY)),
        ((W, "onnx/model.onnx"),),
    ),
    Case(
        "EMB026",
        "the ONNX export came last",
        (make_snapshot(("model.safetensors", "onnx/model.onnx")), dated(safe=FEBRUARY, onnx=MARCH)),
    ),
    Case(
        "EMB026",
        "only a conversion to safetensors came after the ONNX export",
        (
            make_snapshot((*BIN_AND_SAFE, "onnx/model.onnx")),
            LastCommits(
                commits={
                    "pytorch_model.bin": FEBRUARY,
                    "onnx/model.onnx": attrs.evolve(FEBRUARY, commit="c" * 40, date="2024-02-02T00:00:00Z"),
                    "model.safetensors": MARCH,
                },
                same_values=(("pytorch_model.bin", "model.safetensors"),),
            ),
        ),
    ),
    Case(
        "EMB026",
        "a shard came after the .bin",
        (
            make_snapshot(
                ("model.safetensors.index.json", "model-00001-of-00001.safetensors", "pytorch_model.bin")
            ),
            LastCommits(
                commits={
                    "model.safetensors.index.json": FEBRUARY,
                    "model-00001-of-00001.safetensors": MARCH,
                    "pytorch_model.bin": attrs.evolve(FEBRUARY, commit="c" * 40, date="2024-02-02T00:00:00Z"),
                }
            ),
        ),
        ((N, "pytorch_model.bin"),),
    ),
    Case(
        "EMB026", "both came in one commit", (make_snapshot(BIN_AND_SAFE), dated(bin=FEBRUARY, safe=FEBRUARY))
    ),
    Case(
        "EMB026",
        "two commits of one moment",
        (
            make_snapshot(BIN_AND_SAFE),
            dated(bin=FEBRUARY, safe=attrs.evolve(FEBRUARY, commit=COMMIT_B)),
        ),
    ),
    Case("EMB026", "a commit is not known", (make_snapshot(BIN_AND_SAFE), dated(bin=MARCH))),
    Case(
        "EMB026",
        "a date is not known",
        (make_snapshot(BIN_AND_SAFE), dated(bin=MARCH, safe=CommitInfo(commit=COMMIT_A))),
    ),
    Case(
        "EMB026",
        "all values were compared and are identical",
        (
            make_snapshot(BIN_AND_SAFE),
            attrs.evolve(
                dated(bin=MARCH, safe=FEBRUARY), same_values=(("pytorch_model.bin", "model.safetensors"),)
            ),
        ),
    ),
    Case(
        "EMB026",
        "the commit of the weights is not known",
        (make_snapshot(("model.safetensors", "onnx/model.onnx")), dated(onnx=FEBRUARY)),
    ),
    Case(
        "EMB027",
        "an LFS object was never uploaded",
        (UnreadableFile(path="model.safetensors", problem="no content", no_content=True),),
        ((E, "model.safetensors"),),
    ),
    Case("EMB027", "a malformed file", (UnreadableFile(path="model.safetensors", problem="not zip"),)),
    Case(
        "EMB028",
        "a loader takes another file",
        an_update(*BIN_AND_SAFE, loads=a_load_change(make_load(files=("pytorch_model.bin",)), make_load())),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "a load turns from corrupt to faithful",
        an_update(loads=a_load_change(make_load(Outcome.CORRUPT), make_load())),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "what a loader does is told without releases",
        an_update(loads=a_load_change(make_load(Outcome.UNKNOWN, versions=""), make_load())),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "a loader computes in another type",
        an_update(loads=a_load_change(make_load(), make_load(dtype="float16"))),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "a loader misses other tensors",
        an_update(
            loads=a_load_change(OLD_AND_INCOMPLETE, attrs.evolve(OLD_AND_INCOMPLETE, missing_keys=("b",)))
        ),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "the file that a loader takes changed",
        an_update(loads=SAME_LOAD, modified=(a_file_change("model.safetensors"),)),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "weights changed, and what a loader would do cannot be told",
        an_update(
            "onnx/model.onnx",
            loads=a_load_change(make_load(Outcome.UNKNOWN, files=()), make_load(Outcome.UNKNOWN, files=())),
            modified=(a_file_change("onnx/model.onnx"),),
        ),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "a setting changed that can change an embedding",
        an_update(loads=SAME_LOAD, field_changes=(a_change(),)),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "the vocabulary changed",
        an_update(loads=SAME_LOAD, modified=(a_file_change("vocab.txt"),)),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "weights changed, and no loader was asked about",
        an_update("onnx/model.onnx", modified=(a_file_change("onnx/model.onnx"),)),
        ((W, "commit"),),
    ),
    Case(
        "EMB028",
        "only documentation changed",
        an_update(loads=SAME_LOAD, modified=(a_file_change("README.md"),)),
        ((N, "commit"),),
    ),
    Case(
        "EMB028",
        "only an export with settings of its own appeared, which the loader does not take",
        an_update(
            "model.safetensors",
            "onnx/model.onnx",
            loads=SAME_LOAD,
            added=(make_entry("onnx/model.onnx"), make_entry("onnx/config.json")),
        ),
        ((N, "commit"),),
    ),
    Case(
        "EMB028",
        "the file's bytes changed and its tensors did not",
        an_update(
            loads=SAME_LOAD,
            modified=(a_file_change("model.safetensors"),),
            tensors=(a_map(make_pair("a", values=Agreement.IDENTICAL), left="model.safetensors"),),
        ),
        ((N, "commit"),),
    ),
    Case("EMB028", "nothing tells the commits between", (a_diff(modified=(a_file_change("README.md"),)),)),
    Case("EMB028", "the two have diverged", an_update(lost_commits=COMMITS)),
    Case("EMB101", "safetensors and .bin", (BOTH,), ((N, "model.safetensors"),)),
    Case(
        "EMB101",
        "formats in different folders",
        (WeightFiles(checkpoints=("model.safetensors", "2_Dense/pytorch_model.bin")),),
    ),
    Case("EMB101", "one format", (BIN_ONLY,)),
    Case(
        "EMB101", "a file of another program", (WeightFiles(checkpoints=("model.safetensors", "faiss.bin")),)
    ),
    Case(
        "EMB102",
        "a tensor is missing in safetensors",
        (a_map(only_left=("a",)),),
        ((E, "model.safetensors: a"),),
    ),
    Case(
        "EMB102",
        "a tensor is missing in the .bin",
        (a_map(only_right=("a",)),),
        ((E, "pytorch_model.bin: a"),),
    ),
    Case(
        "EMB102",
        "only a buffer that loaders compute",
        (a_map(only_left=(BUFFER,)),),
        ((N, f"model.safetensors: {BUFFER}"),),
    ),
    Case("EMB102", "a tied name was dropped", (a_map(tied=(TiedName(name="a", tied_to="b", side="left"),)),)),
    Case(
        "EMB103",
        "a prefix",
        (a_map(make_pair("bert.a", "a", renamed_by="prefix 'bert.' removed")),),
        ((W, "model.safetensors: a"),),
    ),
    Case("EMB103", "the same names", (a_map(make_pair("a")),)),
    Case(
        "EMB104",
        "half precision",
        (a_map(make_pair("a", right_dtype=DType.FLOAT16)),),
        ((W, "model.safetensors: a"),),
    ),
    Case("EMB104", "the same dtypes", (a_map(make_pair("a")),)),
    Case(
        "EMB105",
        "another shape",
        (a_map(make_pair("a", right_shape=(3, 2))),),
        ((E, "model.safetensors: a"),),
    ),
    Case("EMB105", "the same shapes", (a_map(make_pair("a")),)),
    Case("EMB106", "other values", (ComparedValues(tensors=DAMAGED_MAP),), ((E, "model.safetensors: a"),)),
    Case(
        "EMB106",
        "close values",
        (ComparedValues(tensors=a_map(make_pair("a", values=Agreement.CLOSE))),),
        ((W, "model.safetensors: a"),),
    ),
    Case("EMB106", "equal checksums", (ComparedValues(tensors=same_checksums()),)),
    Case(
        "EMB106",
        "other checksums",
        (ComparedValues(tensors=a_map(make_pair("a", values=Agreement.DIFFERENT))),),
        ((E, "model.safetensors: a"),),
    ),
    Case(
        "EMB106",
        "values rounded by a cast",
        (ComparedValues(tensors=a_map(make_pair("a", values=Agreement.IDENTICAL_AFTER_CAST))),),
    ),
    Case(
        "EMB107",
        "a tied name was dropped",
        (a_map(tied=(TiedName(name="a", tied_to="b", side="left"),)),),
        ((N, "model.safetensors: a"),),
    ),
    Case("EMB107", "no ties", (a_map(make_pair("a")),)),
    Case("EMB108", "no weights at all", (WeightFiles(),), ((W, "files"),)),
    Case("EMB108", "weights", (BIN_ONLY,)),
    Case(
        "EMB109",
        "float32 that was once float16",
        (ComparedValues(tensors=a_map(make_pair("a", values=CAST, cast="float32 -> float16 -> float32"))),),
        ((W, "model.safetensors: a"),),
    ),
    Case(
        "EMB109",
        "another dtype, which EMB104 tells",
        (ComparedValues(tensors=a_map(make_pair("a", values=CAST, cast="...", right_dtype=DType.FLOAT16))),),
    ),
    Case(
        "EMB110",
        "a flat storage, and nothing else to read",
        (make_checkpoint((FIRST, OFFSET)), BIN_ONLY),
        ((E, "pytorch_model.bin: second"),),
    ),
    Case(
        "EMB110",
        "a flat storage with safetensors beside it",
        (make_checkpoint((FIRST, OFFSET)), BOTH),
        ((W, "pytorch_model.bin: second"),),
    ),
    Case(
        "EMB110",
        "a flat storage in which another tensor has strides that candle refuses",
        (make_checkpoint((FIRST, OFFSET, make_tensor("gaps", (2, 3), stride=(6, 1)))), BIN_ONLY),
        ((W, "pytorch_model.bin: second"),),
    ),
    Case(
        "EMB110",
        "an offset tensor that candle refuses for its strides",
        (make_checkpoint((attrs.evolve(OFFSET, stride=(6, 1)),)), BIN_ONLY),
    ),
    Case(
        "EMB110",
        "a nested state dict, of which candle sees no tensor",
        (make_checkpoint((FIRST, OFFSET), state_dict="state_dict"), BIN_ONLY),
    ),
    Case(
        "EMB110",
        "parts of a sparse tensor, which candle leaves out",
        (
            make_checkpoint(
                (make_tensor("x.values", storage_offset=6),),
                oddities=(Oddity(file="f", problem="tensor 'x' is sparse: its parts are listed instead"),),
            ),
            BIN_ONLY,
        ),
    ),
    Case("EMB110", "storages of their own", (make_checkpoint((FIRST,)), BIN_ONLY)),
    Case(
        "EMB110",
        "bytes, where both readings agree",
        (make_checkpoint((make_tensor("b", dtype=DType.UINT8, storage_offset=6),)), BIN_ONLY),
    ),
    Case(
        "EMB110",
        "the legacy format, which candle refuses",
        (make_checkpoint((OFFSET,), format=CheckpointFormat.TORCH_LEGACY), BIN_ONLY),
    ),
    Case(
        "EMB111",
        "two views of one storage",
        (make_checkpoint((FIRST, OFFSET)),),
        ((N, "pytorch_model.bin: first"),),
    ),
    Case(
        "EMB111",
        "tied names, which share all of it",
        (make_checkpoint((FIRST, attrs.evolve(FIRST, name="tied"))),),
    ),
    Case(
        "EMB112",
        "a transposed tensor",
        (make_checkpoint((make_tensor("t", (2, 3), stride=(1, 2)),)),),
        ((W, "pytorch_model.bin: t"),),
    ),
    Case("EMB112", "contiguous tensors", (make_checkpoint(),)),
    Case(
        "EMB113",
        "a legacy file",
        (make_checkpoint(format=CheckpointFormat.TORCH_LEGACY),),
        ((W, "pytorch_model.bin"),),
    ),
    Case("EMB113", "a zip file", (make_checkpoint(),)),
    Case(
        "EMB114",
        "a call of os.system",
        (
            make_checkpoint(
                pickle=PickleSummary(
                    protocol=2,
                    tensor_only=False,
                    reasons=("it calls os.system",),
                    globals=(PickleGlobal(module="os", name="system", position=9, called=True),),
                )
            ),
        ),
        ((E, "pytorch_model.bin"),),
    ),
    Case("EMB114", "tensors only", (make_checkpoint(),)),
    Case("EMB114", "safetensors, which holds no pickle", (make_checkpoint(pickle=None),)),
    Case(
        "EMB115",
        "tensors under state_dict",
        (make_checkpoint(state_dict="state_dict"),),
        ((W, "pytorch_model.bin: state_dict"),),
    ),
    Case("EMB115", "tensors at the top level", (make_checkpoint(),)),
    Case(
        "EMB116",
        "a tar file",
        (make_checkpoint(format=CheckpointFormat.TORCH_TAR),),
        ((W, "pytorch_model.bin"),),
    ),
    Case("EMB116", "a zip file", (make_checkpoint(),)),
    Case(
        "EMB117",
        "a big-endian file",
        (make_checkpoint((make_tensor("a", byte_order="big"),)),),
        ((W, "pytorch_model.bin: a"),),
    ),
    Case("EMB117", "a little-endian file", (make_checkpoint(),)),
    Case(
        "EMB118",
        "a record that nobody refers to",
        (make_checkpoint(oddities=(Oddity(file="pytorch_model.bin", problem="extra record"),)),),
        ((W, "pytorch_model.bin"),),
    ),
    Case("EMB118", "an ordinary file", (make_checkpoint(),)),
    Case(
        "EMB119",
        "a torch file called safetensors",
        (make_checkpoint(files=("model.safetensors",)),),
        ((E, "model.safetensors"),),
    ),
    Case(
        "EMB119",
        "safetensors called .bin",
        (make_checkpoint(format=CheckpointFormat.SAFETENSORS),),
        ((E, "pytorch_model.bin"),),
    ),
    Case("EMB119", "a name that says what the file is", (make_checkpoint(),)),
    Case(
        "EMB120",
        "a shard is not there",
        (sharded(missing_files=("two.safetensors",)),),
        ((E, "two.safetensors"),),
    ),
    Case("EMB120", "every shard is there", (sharded(),)),
    Case(
        "EMB121",
        "a shard without an index",
        (WeightFiles(orphan_shards=("model-00001-of-00002.safetensors",)),),
        ((W, "model-00001-of-00002.safetensors"),),
    ),
    Case("EMB121", "no orphans", (BIN_ONLY,)),
    Case(
        "EMB122",
        "a tensor is not in its shard",
        (sharded(tensors=(make_tensor("a", file="one.safetensors"),)),),
        ((E, "index.json: b"),),
    ),
    Case(
        "EMB122",
        "a tensor is in the other shard",
        (
            sharded(
                tensors=(make_tensor("a", file="one.safetensors"), make_tensor("b", file="one.safetensors"))
            ),
        ),
        ((E, "index.json: b"),),
    ),
    Case("EMB122", "the index fits", (sharded(),)),
    Case(
        "EMB122",
        "the shard itself is missing, which EMB120 tells",
        (sharded(tensors=(make_tensor("a", file="one.safetensors"),), missing_files=("two.safetensors",)),),
    ),
    Case(
        "EMB123",
        "a tensor beside the index",
        (sharded(weight_map={"a": "one.safetensors"}),),
        ((W, "index.json: b"),),
    ),
    Case("EMB123", "the index fits", (sharded(),)),
    Case("EMB123", "a single file", (make_checkpoint(),)),
    Case("EMB124", "another total", (sharded(total_size=47),), ((N, "index.json: metadata.total_size"),)),
    Case("EMB124", "the right total", (sharded(),)),
    Case("EMB124", "no total declared", (sharded(total_size=None),)),
    Case(
        "EMB130",
        "a tensor of a middle layer is missing",
        (layered("encoder.layer.2.attn.q.bias"),),
        ((E, "pytorch_model.bin: encoder.layer.2.attn.q.bias"),),
    ),
    Case(
        "EMB130",
        "a module of a middle layer is missing",
        (layered("encoder.layer.2.norm"),),
        ((E, "pytorch_model.bin: encoder.layer.2.norm.weight"),),
    ),
    Case(
        "EMB130",
        "a part of a module of the first layer is missing",
        (layered("encoder.layer.0.attn.q.bias"),),
        ((E, "pytorch_model.bin: encoder.layer.0.attn.q.bias"),),
    ),
    Case(
        "EMB130",
        "a whole layer is missing",
        (layered("encoder.layer.3."),),
        ((E, "pytorch_model.bin: encoder.layer.3.*"),),
    ),
    Case("EMB130", "a module that the first layer lacks by design", (layered("encoder.layer.0.norm"),)),
    Case(
        "EMB130",
        "a layer with another module in its place",
        (layered("encoder.layer.0.mlp", extra=("encoder.layer.0.experts.weight",)),),
    ),
    Case("EMB130", "uniform layers", (layered(),)),
    Case(
        "EMB130",
        "a tensor that every second layer has",
        (layered(extra=("encoder.layer.1.x", "encoder.layer.3.x", "encoder.layer.5.x")),),
    ),
    Case("EMB130", "two layers say nothing", (layered("encoder.layer.1.attn.q.bias", n_layers=2),)),
    Case(
        "EMB130",
        "steps without parameters in a Sequential",
        (make_checkpoint(("head.0.weight", "head.2.weight", "head.5.weight")),),
    ),
    Case(
        "EMB131",
        "a NaN",
        (
            ValueScans(
                checkpoint="pytorch_model.bin", scans=(ValueScan(name="a", n_nan=1, first_nan=(0, 1)),)
            ),
        ),
        ((E, "pytorch_model.bin: a"),),
    ),
    Case(
        "EMB131",
        "an infinity",
        (
            ValueScans(
                checkpoint="pytorch_model.bin", scans=(ValueScan(name="a", n_inf=1, first_inf=(0, 1)),)
            ),
        ),
        ((E, "pytorch_model.bin: a"),),
    ),
    Case(
        "EMB131",
        "minus infinity only, as in a mask",
        (ValueScans(checkpoint="a.bin", scans=(ValueScan(name="mask", n_inf=3, n_negative_inf=3),)),),
        ((N, "a.bin: mask"),),
    ),
    Case(
        "EMB131", "finite values", (ValueScans(checkpoint="pytorch_model.bin", scans=(ValueScan(name="a"),)),)
    ),
    Case("EMB132", "a file without tensors", (make_checkpoint(()),), ((E, "pytorch_model.bin"),)),
    Case("EMB132", "a sampler's state", (make_checkpoint((), name="sampler.bin"),), ((N, "sampler.bin"),)),
    Case("EMB132", "a file with tensors", (make_checkpoint(),)),
    Case(
        "EMB133",
        "protocol 4, and nothing else to read",
        (make_checkpoint(pickle=PickleSummary(protocol=4)), BIN_ONLY),
        ((E, "pytorch_model.bin"),),
    ),
    Case(
        "EMB133",
        "protocol 5, with safetensors beside it",
        (make_checkpoint(pickle=PickleSummary(protocol=5)), BOTH),
        ((W, "pytorch_model.bin"),),
    ),
    Case("EMB133", "protocol 2", (make_checkpoint(), BIN_ONLY)),
    Case("EMB133", "no pickle", (make_checkpoint(pickle=None), BIN_ONLY)),
    Case("EMB134", "a bare tensor", (make_checkpoint(("tensor",)),), ((W, "pytorch_model.bin"),)),
    Case("EMB134", "a list of tensors", (make_checkpoint(("0", "1")),), ((W, "pytorch_model.bin"),)),
    Case("EMB134", "the state dict of a Sequential", (make_checkpoint(("0.weight", "0.bias")),)),
    Case("EMB134", "safetensors, where any name is a name", (make_checkpoint(("0",), pickle=None),)),
    Case(
        "EMB140",
        "a truncated file",
        (UnreadableFile(path="1_Dense/model.safetensors", problem="ends early"),),
        ((E, "1_Dense/model.safetensors"),),
    ),
    Case(
        "EMB140",
        "a file that no loader opens by its name",
        (UnreadableFile(path="words.bin", problem="is something else"),),
        ((N, "words.bin"),),
    ),
    Case(
        "EMB140",
        "a file over a limit, which EMB141 tells",
        (UnreadableFile(path="a.bin", problem="large", limit="tensors"),),
    ),
    Case(
        "EMB141",
        "a file over a limit",
        (UnreadableFile(path="a.bin", problem="large", limit="tensors"),),
        ((E, "a.bin"),),
    ),
    Case(
        "EMB141",
        "a malformed file, which EMB140 tells",
        (UnreadableFile(path="a.bin", problem="ends early"),),
    ),
    Case(
        "EMB201",
        "a weight is missing",
        (make_prediction(make_load(Outcome.INCOMPLETE, missing_keys=("a.weight", "b.weight"))),),
        ((E, "model.safetensors: a.weight"),),
    ),
    Case(
        "EMB201",
        "a weight is missing in old versions, and none was asked for",
        (make_prediction(OLD_AND_INCOMPLETE, make_load()),),
        ((W, "model.safetensors: a.weight"),),
    ),
    Case(
        "EMB201",
        "a weight is missing in some of the versions asked for",
        (make_prediction(OLD_AND_INCOMPLETE, make_load(), version=">=4.30"),),
        ((E, "model.safetensors: a.weight"),),
    ),
    Case(
        "EMB201",
        "a weight gets no value, and nobody reports it",
        (make_prediction(make_load(Outcome.INCOMPLETE, unfilled_keys=("a.weight",), silent=True)),),
        ((E, "model.safetensors: a.weight"),),
    ),
    Case(
        "EMB201",
        "a pooler is missing, which embeddings do not use",
        (
            make_prediction(
                make_load(missing_keys=("pooler.dense.bias",), harmless_keys=("pooler.dense.bias",))
            ),
        ),
    ),
    Case(
        "EMB201",
        "the loader refuses for what is missing, which EMB204 tells",
        (make_prediction(make_load(Outcome.REFUSED, missing_keys=("a.weight",))),),
    ),
    Case(
        "EMB202",
        "a tensor is read from the wrong byte",
        (make_prediction(make_load(Outcome.CORRUPT, misread_keys=(MISREAD,), silent=True)),),
        ((E, "pytorch_model.bin: second"),),
    ),
    Case("EMB202", "every tensor is read from its own bytes", (make_prediction(make_load()),)),
    Case(
        "EMB203",
        "a stored tensor that nothing claims",
        (make_prediction(make_load(unexpected_keys=("encoder.layer.9.a", "encoder.layer.9.b"))),),
        ((W, "model.safetensors: encoder.layer.9.a"),),
    ),
    Case(
        "EMB203",
        "a projection that is not applied, without which the model is another one",
        (make_prediction(make_load(Outcome.INCOMPLETE, unexpected_keys=("2_Dense.linear.weight",))),),
        ((E, "model.safetensors: 2_Dense.linear.weight"),),
    ),
    Case(
        "EMB203",
        "weights are missing too, which EMB201 tells",
        (make_prediction(make_load(Outcome.INCOMPLETE, missing_keys=("a",), unexpected_keys=("b",))),),
    ),
    Case(
        "EMB203",
        "a task head",
        (make_prediction(make_load(unexpected_keys=("cls.bias",), harmless_keys=("cls.bias",))),),
    ),
    Case(
        "EMB204",
        "every version refuses",
        (make_prediction(make_load(Outcome.REFUSED, reasons=("It is a legacy file.",))),),
        ((E, "model.safetensors"),),
    ),
    Case(
        "EMB204",
        "the newest version refuses, an older one does not",
        (make_prediction(OLD, make_load(Outcome.REFUSED, files=(), ignored_files=("a.bin",))),),
        ((W, "a.bin"),),
    ),
    Case(
        "EMB204",
        "an old version refuses, and none was asked for",
        (make_prediction(attrs.evolve(OLD, outcome=Outcome.REFUSED, files=()), make_load(files=())),),
        ((N, "config.json"),),
    ),
    Case("EMB204", "the loader takes it", (make_prediction(make_load()),)),
    Case(
        "EMB205",
        "an architecture that is not known",
        (make_prediction(make_load(Outcome.UNKNOWN, reasons=("`mamba` is not known.",))),),
        ((W, "model.safetensors"),),
    ),
    Case("EMB205", "a load that can be told", (make_prediction(make_load()),)),
    Case(
        "EMB206",
        "gamma wins in one version and weight in another",
        (
            make_prediction(
                attrs.evolve(OLD, duplicate_keys=(GAMMA_WINS,)), make_load(duplicate_keys=(WEIGHT_WINS,))
            ),
        ),
        ((W, "model.safetensors: norm.weight"),),
    ),
    Case(
        "EMB206",
        "the same one wins in every version",
        (
            make_prediction(
                attrs.evolve(OLD, duplicate_keys=(GAMMA_WINS,)), make_load(duplicate_keys=(GAMMA_WINS,))
            ),
        ),
    ),
    Case(
        "EMB207",
        "old versions leave weights at random values",
        (make_prediction(OLD_AND_INCOMPLETE, make_load()),),
        ((N, "model.safetensors"),),
    ),
    Case("EMB207", "the same outcome in every version", (make_prediction(OLD, make_load(dtype="float16")),)),
    Case(
        "EMB208",
        "a release that came after embaudit",
        (make_prediction(make_load(versions="==7.0", extrapolated=True)),),
        ((W, "model.safetensors"),),
    ),
    Case("EMB208", "a known release", (make_prediction(make_load()),)),
    Case(
        "EMB201",
        "weights are missing on an old transformers beneath, and none was named",
        (
            make_prediction(
                attrs.evolve(
                    ST,
                    outcome=Outcome.INCOMPLETE,
                    missing_keys=("a",),
                    beneath="transformers>=4.41.0,<=4.57.6",
                ),
                attrs.evolve(ST, beneath="transformers>=5.0.0,<=5.23.0, torch>=2.6"),
                version="==6.2.0",
            ),
        ),
        ((W, "model.safetensors: a"),),
    ),
    Case(
        "EMB220",
        "both take the same file, and one a Dense module besides",
        (
            Loads(
                predictions=(
                    make_prediction(make_load()),
                    make_prediction(make_load(files=("2_Dense/model.safetensors", "model.safetensors"))),
                )
            ),
        ),
    ),
    Case(
        "EMB220",
        "one loader takes the torch file, another the safetensors",
        (Loads(predictions=(make_prediction(make_load()), make_prediction(FROM_BIN))),),
        ((W, "model.safetensors"),),
    ),
    Case(
        "EMB220",
        "both take the same file",
        (Loads(predictions=(make_prediction(make_load()), make_prediction(OLD))),),
    ),
    Case(
        "EMB221",
        "the files that two loaders take hold different values",
        (Loads(predictions=(make_prediction(make_load()), make_prediction(FROM_BIN))), DAMAGED_MAP),
        ((E, "pytorch_model.bin"),),
    ),
    Case(
        "EMB221",
        "nobody takes the file that is different",
        (Loads(predictions=(make_prediction(make_load()),)), DAMAGED_MAP),
    ),
    Case(
        "EMB221",
        "the files hold the same, but for a buffer",
        (
            Loads(predictions=(make_prediction(make_load()), make_prediction(FROM_BIN))),
            a_map(make_pair("a"), only_left=(BUFFER,)),
        ),
    ),
    Case(
        "EMB222",
        "float32 weights, computed in float16",
        (Loads(predictions=(make_prediction(make_load(dtype="float16")),)), SAFETENSORS),
        ((N, "model.safetensors"),),
    ),
    Case(
        "EMB222",
        "bfloat16 weights, computed in float16",
        (Loads(predictions=(make_prediction(make_load(dtype="float16")),)), BFLOAT16),
        ((N, "model.safetensors"),),
    ),
    Case(
        "EMB222",
        "float16 weights, computed in float32",
        (Loads(predictions=(make_prediction(make_load()),)), BFLOAT16),
    ),
    Case(
        "EMB223",
        "a weight of 100,000, computed in float16",
        (Loads(predictions=(make_prediction(make_load(dtype="float16")),)), LARGE),
        ((E, "model.safetensors: a"),),
    ),
    Case(
        "EMB223",
        "a weight of 100,000, computed in float32",
        (Loads(predictions=(make_prediction(make_load()),)), LARGE),
    ),
    Case("EMB301", "pooled by cls where the mean is declared", piped(pooling=(CLS,)), ((E, POOLING),)),
    Case(
        "EMB301",
        "pooled by cls in an old release that nobody asked for",
        piped_eras(pipeline(pooling=(CLS,)), pipeline()),
        ((W, POOLING),),
    ),
    Case(
        "EMB301",
        "two loaders that differ, and nothing declared",
        (
            Loads(predictions=(pooling_with(pipeline()), pooling_with(pipeline(pooling=(CLS,))))),
            *settings({MODULES: ({"type": "custom.Module", "path": "", "name": "0"},)}),
        ),
        ((E, POOLING),),
    ),
    Case("EMB301", "pooled as declared", piped()),
    Case("EMB301", "pooling that is not known", piped(pooling=None)),
    Case("EMB301", "pooling that is left to the caller", piped(pooling=(), normalize=False)),
    Case("EMB302", "not normalised where a Normalize is listed", piped(normalize=False), ((W, MODULES),)),
    Case(
        "EMB302",
        "normalised where no Normalize is listed",
        piped(documents={MODULES: MODULE_LIST[:2]}),
        ((W, MODULES),),
    ),
    Case("EMB302", "normalised as declared", piped()),
    Case("EMB302", "whether it normalises is not known", piped(normalize=None)),
    Case(
        "EMB303",
        "a Dense that is skipped",
        piped(documents=WITH_DENSE, normalize=False),
        ((E, "2_Dense/config.json"),),
    ),
    Case(
        "EMB303",
        "a Dense without the activation that is declared by its absence",
        piped(documents=WITH_DENSE, normalize=False, dense=(attrs.evolve(DENSE, activation=""),)),
        ((E, "2_Dense/config.json"),),
    ),
    Case("EMB303", "a Dense as declared", piped(documents=WITH_DENSE, normalize=False, dense=(DENSE,))),
    Case("EMB303", "a pipeline that is not known", piped(documents=WITH_DENSE, normalize=None)),
    Case("EMB304", "a default prompt that is left out", piped(documents=WITH_PROMPT), ((W, PROMPTS),)),
    Case(
        "EMB304",
        "a prompt that is pooled where it should not be",
        piped(documents={**WITH_PROMPT, **UNPOOLED}, prompts={"q": "query: "}, default_prompt="q"),
        ((W, PROMPTS),),
    ),
    Case(
        "EMB304",
        "the default prompt as declared",
        piped(documents=WITH_PROMPT, prompts={"q": "query: "}, default_prompt="q"),
    ),
    Case("EMB304", "prompts that nobody is given by default", piped(prompts={"q": "query: "})),
    Case("EMB305", "texts cut earlier than declared", piped(max_seq_length=128), ((W, LENGTHS),)),
    Case("EMB305", "texts cut later than declared", piped(max_seq_length=512), ((N, LENGTHS),)),
    Case("EMB305", "texts cut as declared", piped()),
    Case("EMB306", "texts as they are where they are lowercased", piped(lowercase=False), ((W, LENGTHS),)),
    Case("EMB306", "casing that is not known", piped(lowercase=None)),
    Case(
        "EMB306",
        "a loader that does not know of `do_lower_case`, and a cased tokenizer",
        piped(documents=LOWERED, lowercase=None),
        ((W, f"{LENGTHS}: do_lower_case"),),
    ),
    Case("EMB306", "a cased tokenizer, lowercased as declared", piped(documents=LOWERED)),
    Case(
        "EMB307", "whole vectors where they are cut", piped(documents=CUT, normalize=False), ((E, PROMPTS),)
    ),
    Case("EMB307", "cut as declared", piped(documents=CUT, normalize=False, truncate_dim=2, dimension=2)),
    Case(
        "EMB307",
        "whole vectors where nothing is left",
        piped(documents={PROMPTS: {"truncate_dim": 0}}, normalize=False),
        ((E, PROMPTS),),
    ),
    Case(
        "EMB308",
        "no vector of a text",
        (pooling_with(pipeline(pooling=(), failure="Encoding ends in an error.")),),
        ((E, MODULES),),
    ),
    Case("EMB308", "a vector of a text", (pooling_with(pipeline()),)),
    Case(
        "EMB308",
        "refused before that",
        (make_prediction(make_load(Outcome.REFUSED, loader="server", versions="==1")),),
    ),
    Case(
        "EMB310",
        "two modes, of which one reader takes one",
        settings({POOLING: {**POOLING_SETTINGS, "pooling_mode_cls_token": True}}),
        ((W, POOLING),),
    ),
    Case(
        "EMB310",
        "cls alone, which was cls and mean",
        settings({POOLING: {"word_embedding_dimension": 4, "pooling_mode_cls_token": True}}),
        ((W, POOLING),),
    ),
    Case("EMB310", "one mode with every flag", settings()),
    Case("EMB310", "the new format, which old readers refuse", settings({POOLING: NEW_POOLING})),
    Case("EMB310", "no pooling file", settings({POOLING: None, MODULES: None})),
    Case(
        "EMB311",
        "a token beyond the rows",
        (Declaration(documents={"added_tokens.json": {"<new>": 10}}), TABLE),
        ((E, "added_tokens.json"),),
    ),
    Case(
        "EMB311",
        "a vocabulary beyond the rows, and a decoder too",
        (
            Declaration(
                documents={
                    "config.json": {"vocab_size": 11},
                    "tokenizer_config.json": {"added_tokens_decoder": {"3": {}, "11": {}, "x": {}}},
                }
            ),
            TABLE,
        ),
        ((E, "config.json"), (E, "tokenizer_config.json")),
    ),
    Case(
        "EMB311",
        "a table of more rows than tokens",
        (Declaration(documents={"config.json": {"vocab_size": 9}, "added_tokens.json": {"a": 9}}), TABLE),
    ),
    Case(
        "EMB311",
        "no table of embeddings",
        (Declaration(documents={"config.json": {"vocab_size": 99}}), make_checkpoint()),
    ),
    Case(
        "EMB312",
        "code of another repository",
        (
            Declaration(
                documents={
                    "config.json": {"auto_map": {"AutoModel": "org/code--m.Model", "AutoConfig": "c.Config"}},
                    "tokenizer_config.json": {"auto_map": {"AutoTokenizer": (None, "org/code--t.Tokenizer")}},
                    MODULES: ({"type": "org/other--custom.Transformer", "path": ""},),
                }
            ),
        ),
        (
            (W, "config.json: auto_map"),
            (W, "modules.json: type"),
            (W, "tokenizer_config.json: auto_map"),
        ),
    ),
    Case(
        "EMB312",
        "code of its own",
        (Declaration(documents={"config.json": {"auto_map": {"AutoModel": "model.Model"}}}),),
    ),
    Case(
        "EMB314",
        "a mode that nobody knows",
        settings({POOLING: {"embedding_dimension": 4, "pooling_mode": "median"}}),
        ((W, MODULES),),
    ),
    Case("EMB314", "an argument is missing", settings({POOLING: {}}), ((W, MODULES),)),
    Case(
        "EMB314",
        "a tokenizer that is not made",
        settings({"tokenizer_config.json": {"padding_side": "middle"}}),
        ((W, MODULES),),
    ),
    Case("EMB314", "prompts that are null", settings({PROMPTS: {"prompts": None}}), ((W, MODULES),)),
    Case("EMB314", "an empty array of settings", settings({LENGTHS: ()})),
    *(
        Case(
            "EMB315",
            f"cut at {asked}",
            settings({PROMPTS: {"truncate_dim": asked}}),
            ((E, f"{PROMPTS}: truncate_dim"),),
        )
        for asked in (0, -1, True, False)
    ),
    *(
        Case("EMB315", f"cut at {asked!r}", settings({PROMPTS: {"truncate_dim": asked}}))
        for asked in (1, 2, None, "0", 0.0)
    ),
    Case(
        "EMB315",
        "settings that are refused",
        settings({PROMPTS: {"truncate_dim": 0}, POOLING: {}}),
    ),
    Case(
        "EMB314",
        "a default prompt that is none",
        settings({PROMPTS: {"default_prompt_name": "q"}}),
        ((W, MODULES),),
    ),
    Case(
        "EMB314",
        "a setting that nobody knows",
        settings({LENGTHS: {"max_sequence": 3}}),
        ((W, MODULES),),
    ),
    Case("EMB314", "settings as they should be", settings()),
    Case(
        "EMB314",
        "code that is not looked at",
        settings({MODULES: ({"type": "a.B", "path": "", "name": "0"},)}),
    ),
    Case("EMB314", "no modules", settings({MODULES: None, PROMPTS: {"default_prompt_name": "q"}})),
    Case(
        "EMB313",
        "600 tokens and 512 positions",
        settings({LENGTHS: {"max_seq_length": 600}}),
        ((W, "config.json: max_position_embeddings"),),
    ),
    Case("EMB313", "256 tokens and 512 positions", settings()),
    Case(
        "EMB313",
        "positions that are computed and have no end",
        settings({LENGTHS: {"max_seq_length": 600}, "config.json": {"model_type": "nomic_bert"}}),
    ),
    Case(
        "EMB501",
        "another commit, and a file differs",
        drifted(make_lock({"a": "1"}, commit=COMMIT_A), make_lock({"a": "2"}, commit=COMMIT_B)),
        ((W, "commit"),),
    ),
    Case(
        "EMB501",
        "another commit of the same files",
        drifted(make_lock({"a": "1"}, commit=COMMIT_A), make_lock({"a": "1"}, commit=COMMIT_B)),
        ((N, "commit"),),
    ),
    Case("EMB501", "the same commit", drifted(make_lock(commit=COMMIT_A), make_lock(commit=COMMIT_A))),
    Case("EMB501", "a folder, whose commit nobody knows", drifted(make_lock(commit=COMMIT_A), make_lock())),
    Case(
        "EMB502",
        "one tensor has another digest",
        drifted(weights("1", a="1", b="2"), weights("2", a="1", b="3")),
        ((E, f"{SAFE}: b"),),
    ),
    Case("EMB502", "another shape", drifted(one_tensor(), one_tensor(shape=(3, 2))), ((E, f"{SAFE}: a"),)),
    Case("EMB502", "other bytes of the same tensors", drifted(weights("1", a="1"), weights("2", a="1"))),
    Case("EMB502", "another type, for EMB504", drifted(one_tensor(), one_tensor(dtype=DType.FLOAT16))),
    Case(
        "EMB503", "a tensor is gone", drifted(weights("1", a="1", b="2"), weights("2", a="1")), ((E, SAFE),)
    ),
    Case("EMB503", "a tensor came", drifted(weights("1", a="1"), weights("2", a="1", b="2")), ((W, SAFE),)),
    Case("EMB503", "another name", drifted(weights("1", a="1"), weights("2", b="1")), ((W, SAFE),)),
    Case(
        "EMB503",
        "a buffer is gone, on which no embedding depends",
        drifted(weights("1", a="1", **{BUFFER: "2"}), weights("2", a="1")),
        ((N, SAFE),),
    ),
    Case(
        "EMB503",
        "a name is gone that shared the bytes of another",
        drifted(
            make_lock(
                {SAFE: "1"},
                checkpoints={SAFE: make_locked({"a": "1", "b": "1"}, tied=(frozenset({"a", "b"}),))},
            ),
            weights("2", a="1"),
        ),
    ),
    Case(
        "EMB504",
        "float16 instead of float32",
        drifted(one_tensor(), one_tensor(dtype=DType.FLOAT16, sha256="2")),
        ((E, f"{SAFE}: a"),),
    ),
    Case("EMB504", "the same type", drifted(one_tensor(), one_tensor(sha256="2"))),
    Case("EMB505", "written anew", drifted(weights("1", a="1"), weights("2", a="1")), ((N, SAFE),)),
    Case(
        "EMB505",
        "converted",
        drifted(weights("1", "pytorch_model.bin", a="1"), weights("2", a="1")),
        ((N, SAFE),),
    ),
    Case("EMB505", "the same file", drifted(weights("1", a="1"), weights("1", a="1"))),
    Case("EMB505", "other values", drifted(weights("1", a="1"), weights("2", a="2"))),
    Case("EMB505", "values that were not read", drifted(weights("1", a=None), weights("2", a=None))),
    Case("EMB506", "another pooling", drifted(POOLED_MEAN, POOLED_FIRST), ((E, "pooling"),)),
    Case("EMB506", "the same pipeline", drifted(POOLED_MEAN, POOLED_MEAN)),
    Case(
        "EMB507",
        "a field that can change an embedding",
        drifted(declaring({"hidden_act": "gelu"}), declaring({"hidden_act": "relu"}, digest="2")),
        ((E, "config.json: hidden_act"),),
    ),
    Case(
        "EMB507",
        "a field that cannot",
        drifted(
            declaring({"transformers_version": "4.8"}), declaring({"transformers_version": "5"}, digest="2")
        ),
        ((N, "config.json: transformers_version"),),
    ),
    Case(
        "EMB507",
        "the same in other bytes",
        drifted(declaring({"hidden_act": "gelu"}), declaring({"hidden_act": "gelu"}, digest="2")),
        ((N, "config.json"),),
    ),
    Case("EMB507", "the same file", drifted(declaring({}), declaring({}))),
    Case(
        "EMB508",
        "a field of the tokenizer",
        drifted(
            declaring({"normalizer": {"lowercase": True}}, "tokenizer.json"),
            declaring({"normalizer": {"lowercase": False}}, "tokenizer.json", "2"),
        ),
        ((E, "tokenizer.json: normalizer"),),
    ),
    Case(
        "EMB508",
        "a vocabulary without fields",
        drifted(make_lock({"vocab.txt": "1"}), make_lock({"vocab.txt": "2"})),
        ((E, "vocab.txt"),),
    ),
    Case(
        "EMB508",
        "a file of it is gone and another came",
        drifted(make_lock({"vocab.txt": "1"}), make_lock({"tokenizer.json": "2"})),
        ((E, "tokenizer.json"), (E, "vocab.txt")),
    ),
    Case("EMB508", "the same", drifted(make_lock({"vocab.txt": "1"}), make_lock({"vocab.txt": "1"}))),
    Case("EMB508", "another setting", drifted(declaring({"a": 1}), declaring({"a": 2}, digest="2"))),
    Case(
        "EMB509",
        "code",
        drifted(make_lock({"modeling.py": "1"}), make_lock({"modeling.py": "2"})),
        ((E, "modeling.py"),),
    ),
    Case("EMB509", "weights of ONNX", drifted(make_lock({ONNX: "1"}), make_lock({ONNX: "2"})), ((E, ONNX),)),
    Case(
        "EMB509",
        "the card and a picture",
        drifted(make_lock({"README.md": "1", "a.png": "1"}), make_lock({"README.md": "2", "a.png": "2"})),
        ((N, "README.md"),),
    ),
    Case(
        "EMB509",
        "some other file",
        drifted(make_lock({"a.txt": "1"}), make_lock({"a.txt": "2"})),
        ((W, "a.txt"),),
    ),
    Case("EMB509", "weights that other rules tell of", drifted(weights("1", a="1"), weights("2", a="2"))),
    Case(
        "EMB510",
        "weights are gone",
        drifted(weights("1", a="1"), make_lock()),
        ((E, SAFE),),
    ),
    Case("EMB510", "code came", drifted(make_lock(), make_lock({"modeling.py": "1"})), ((W, "modeling.py"),)),
    Case(
        "EMB510",
        "settings came",
        drifted(make_lock(), declaring({})),
        ((E, "config.json"),),
    ),
    Case(
        "EMB510",
        "the card and weights of ONNX were not downloaded",
        drifted(make_lock({"README.md": "1", ONNX: "1"}), make_lock()),
        ((N, "README.md"),),
    ),
    Case(
        "EMB510",
        "converted, for EMB505",
        drifted(weights("1", "pytorch_model.bin", a="1"), weights("2", a="1")),
    ),
    Case("EMB511", "a new commit", drifted(running(COMMIT_A), running(COMMIT_B)), ((E, CODE_PLACE),)),
    Case(
        "EMB511",
        "code that was not locked",
        drifted(make_lock(), running(COMMIT_A)),
        ((E, CODE_PLACE),),
    ),
    Case(
        "EMB511",
        "code is not asked for any more",
        drifted(running(COMMIT_A), make_lock()),
        ((E, CODE_PLACE),),
    ),
    Case(
        "EMB511",
        "the commit cannot be looked up",
        drifted(running(COMMIT_A), running(None)),
        ((E, CODE_PLACE),),
    ),
    Case("EMB511", "no commit was ever known", drifted(running(None), running(None)), ((W, CODE_PLACE),)),
    Case("EMB511", "the same commit", drifted(running(COMMIT_A), running(COMMIT_A))),
    Case(
        "EMB512",
        "it was faithful",
        drifted(
            make_lock(loads={"tei==1.5.0": Outcome.FAITHFUL}),
            make_lock(loads={"tei==1.5.0": Outcome.CORRUPT}),
        ),
        ((E, "loads"),),
    ),
    Case(
        "EMB512",
        "it is faithful now",
        drifted(
            make_lock(loads={"tei==1.5.0": Outcome.REFUSED}),
            make_lock(loads={"tei==1.5.0": Outcome.FAITHFUL}),
        ),
        ((W, "loads"),),
    ),
    Case(
        "EMB512",
        "as it was",
        drifted(
            make_lock(loads={"tei==1.5.0": Outcome.REFUSED}), make_lock(loads={"tei==1.5.0": Outcome.REFUSED})
        ),
    ),
    Case("EMB513", "no digest", drifted(make_lock({"a": "1"}), make_lock({"a": None})), ((E, "a"),)),
    Case("EMB513", "no values", drifted(weights("1", a="1"), weights("2", a=None)), ((E, SAFE),)),
    Case(
        "EMB513",
        "weights that are not at hand",
        drifted(weights("1", a="1"), make_lock({SAFE: "1"}, problems={SAFE: "is not at hand: pointer"})),
        ((E, SAFE),),
    ),
    Case("EMB513", "no values of the same file", drifted(weights("1", a=None), weights("1", a=None))),
    Case("EMB520", "another vector", served(made((1, 0), (0, 1)), made((1, 0), (1, 0))), ((E, "vectors"),)),
    Case("EMB520", "a text without a vector", served(made((1, 0), (0, 1)), made((1, 0))), ((E, "vectors"),)),
    Case("EMB520", "the same vectors", served(made((1, 0)), made((1, 0)))),
    Case("EMB521", "another commit", served(made((1, 0)), made((1, 0)), ANOTHER_SHA), ((E, "model_sha"),)),
    Case("EMB521", "another type", served(made((1, 0)), made((1, 0)), ANOTHER_TYPE), ((W, "dtype"),)),
    Case("EMB521", "nothing else", served(made((1, 0)), made((1, 0)))),
    Case("EMB522", "no golden probe", served(None, made((1, 0))), ((E, "vectors"),)),
    Case("EMB522", "a golden probe", served(made((1, 0)), made((1, 0)))),
    Case(
        "EMB523",
        "another vector alone than in a batch",
        served(made((1, 0)), made((1, 0), observations=(ALONE_ONLY,))),
        ((E, "batches"),),
    ),
    Case(
        "EMB523",
        "vectors are not of length 1 any more",
        served(made((1, 0), observations=(UNIT,)), made((1, 0), observations=(LONG,))),
        ((W, "normalizes"),),
    ),
    Case("EMB523", "as it should be", served(made((1, 0)), made((1, 0), observations=(IN_BATCHES,)))),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}: {case.situation}")
def test_a_rule_answers_as_its_table_says(case: Case) -> None:
    """The rule yields exactly the findings of its row, each under its own code."""
    findings, skipped = ask_rules([RULES[case.code]], Facts(known=case.facts))

    assert tuple((finding.severity, str(finding.where)) for finding in findings) == case.findings
    assert {finding.code for finding in findings} <= {case.code}
    assert skipped == ()


@pytest.mark.parametrize("code", sorted(RULES))
def test_a_rule_without_its_facts_is_skipped_with_the_reason(code: str) -> None:
    """Each fact that is absent makes a rule that needs it say why it was not asked."""
    for kind in RULES[code].needs:
        findings, skipped = ask_rules(
            [RULES[code]], Facts(absent=(Absent(kind=kind, reason="it was not there"),))
        )

        assert findings == ()
        assert skipped == (Skipped(code=code, reason="it was not there"),)


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_has_rows_that_fire_and_rows_that_do_not(code: str) -> None:
    """The table holds both kinds of row for every rule that is declared."""
    rows = [case for case in CASES if case.code == code]

    assert any(row.findings for row in rows)
    assert any(not row.findings for row in rows)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.findings], ids=lambda case: f"{case.code}: {case.situation}"
)
def test_a_finding_says_what_where_and_what_to_do(case: Case) -> None:
    """A finding's message is a sentence, names a place, and all but plain information say what to do."""
    findings, _ = ask_rules([RULES[case.code]], Facts(known=case.facts))

    for finding in findings:
        assert finding.message.endswith(".")
        assert finding.where != Where()
        assert finding.remedy or finding.severity is Severity.INFO


def test_evidence_of_offsets_names_the_byte_that_should_be_and_the_byte_that_is_read() -> None:
    """Where 6 elements of 4 bytes, 24 bytes, are to be skipped, candle 0.4 to 0.8 skips 6 bytes."""
    tensor = make_tensor("second", storage_offset=6, start=1024)

    findings, _ = ask_rules([RULES["EMB110"]], Facts(known=(make_checkpoint((FIRST, tensor)), BIN_ONLY)))

    (evidence,) = findings[0].evidence["tensors"]
    assert (evidence["byte_to_read"], evidence["byte_read"]) == (1024, 1024 - 24 + 6)


def test_evidence_lists_stay_bounded() -> None:
    """A finding about thousands of tensors lists a few and counts the others."""
    names = tuple(f"t{number}" for number in range(5000))

    findings, _ = ask_rules([RULES["EMB102"]], Facts(known=(a_map(only_left=names),)))

    listed = findings[0].evidence["names"]
    assert len(listed) == MAX_LISTED + 1
    assert listed[-1] == "... and 4980 more"


def test_flagged_files_stay_bounded_and_weights_come_first() -> None:
    """Of thousands of files that scanners object to, the weights are told one by one and the rest counted."""
    flagged = [FlaggedFile(path=f"{number:03}.py", level="caution") for number in range(MAX_LISTED)]
    flagged.append(FlaggedFile(path="pytorch_model.bin", level="caution"))
    files = [each.path for each in flagged]

    findings, _ = ask_rules([RULES["EMB022"]], Facts(known=(answered(files, flagged=tuple(flagged)),)))

    assert len(findings) == MAX_LISTED + 1
    assert "pytorch_model.bin" in {finding.where.path for finding in findings}
    assert [finding.evidence["files"] for finding in findings if finding.where.path is None] == [("019.py",)]


@pytest.mark.parametrize("turned", [False, True], ids=["from the cache", "from the hub"])
def test_it_is_the_hub_that_lost_commits(*, turned: bool) -> None:
    """Where a download and the hub have diverged, the commits told are the downloaded ones, either way."""
    pair = (on_hub(), on_disk(revision="main")) if turned else (on_disk(revision="main"), on_hub())
    kept, lost = (CommitInfo(commit=letter * 40) for letter in "kl")
    sides = {"commits": (lost,), "lost_commits": (kept,)}
    if not turned:
        sides = {"commits": (kept,), "lost_commits": (lost,)}

    findings, _ = ask_rules([RULES["EMB025"]], Facts(known=(between(*pair, **sides),)))

    assert "history of the hub lacks 1 commit that the cache has" in findings[0].message
    assert [each["commit"] for each in findings[0].evidence["commits"]] == ["l" * 40]


def test_what_an_update_means_is_told_for_the_releases_that_both_predictions_have() -> None:
    """Releases that do the same before and after are not named; the others are, with what changes."""
    before = make_prediction(make_load(versions=">=4.30.0,<=5.23.0", files=("pytorch_model.bin",)))
    after = make_prediction(
        make_load(versions=">=4.30.0,<=4.57.6", files=("pytorch_model.bin",)),
        make_load(versions=">=5.0.0,<=5.23.0"),
    )
    loads = LoadChanges(changes=(LoadChange(before=before, after=after),))

    findings, _ = ask_rules([RULES["EMB028"]], Facts(known=an_update(*BIN_AND_SAFE, loads=loads)))

    (told,) = findings[0].evidence["loaders"]["transformers"]
    assert told == "transformers 5.0.0 to 5.23.0: `model.safetensors` instead of `pytorch_model.bin`"


def test_changed_tensors_are_named() -> None:
    """Which tensor has other values is in the message, where only checksums tell it, too."""
    changed = a_map(make_pair("encoder.weight", values=Agreement.DIFFERENT), make_pair("same"))

    findings, _ = ask_rules([RULES["EMB012"]], Facts(known=(a_diff(tensors=(changed,)),)))

    assert "1 tensor with other values" in findings[0].message
    assert "`encoder.weight`" in findings[0].message


RELATIONS = {
    "not compared": (Agreement.NOT_COMPARED, "values were not compared"),
    "in a sample": (Agreement.IDENTICAL_IN_SAMPLE, "in all samples"),
    "by checksum": (Agreement.IDENTICAL_BY_CHECKSUM, "by the checksums in their directories"),
    "in full": (Agreement.IDENTICAL, "how a loader reads one of the files"),
    "different": (Agreement.DIFFERENT, "do not hold the same tensors"),
}


def test_another_file_that_differs_by_a_buffer_is_no_other_model() -> None:
    """Where only tensors on which no embedding depends came along, EMB010 says just that."""
    files = ("pytorch_model.bin",), ("model.safetensors", "pytorch_model.bin")
    joined = a_map(make_pair("a"), only_right=("embeddings.position_ids",))

    findings, _ = ask_rules([RULES["EMB010"]], Facts(known=(a_diff(*files, tensors=(joined,)),)))

    assert "differ by 1 tensor on which no embedding depends" in findings[0].message


@pytest.mark.parametrize("relation", RELATIONS)
def test_how_far_two_files_were_compared_is_said(relation: str) -> None:
    """When loaders move to another file, the finding says no more of its values than was seen."""
    values, expected = RELATIONS[relation]
    files = ("pytorch_model.bin",), ("model.safetensors", "pytorch_model.bin")

    diff = a_diff(*files, tensors=(a_map(make_pair("a", values=values)),))

    findings, _ = ask_rules([RULES["EMB010"]], Facts(known=(diff,)))

    assert expected in findings[0].message


def test_an_observation_can_not_name_another_code() -> None:
    """The code belongs to the rule: an observation has no field for it."""
    assert "code" not in {field.name for field in attrs.fields(Observation)}
