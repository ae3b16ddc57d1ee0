"""The audited model as a CycloneDX 1.6 bill of materials: what it consists of, and what code it has run.

Knows the format (https://cyclonedx.org/docs/1.6/json/). Refuses to guess: what the repository does not
declare is left out, and digests are those that its source claims.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from embaudit.loaders import declared_pipeline
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.files import FileEntry, Snapshot
from embaudit.model.findings import Finding
from embaudit.model.record import AuditRecord
from embaudit.model.repository import Repository
from embaudit.report.references import PROJECT_URL, fingerprint, relative_uri, rule_page
from embaudit.report.wording import plain, seen
from embaudit.rules.declared import remote_classes

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
"""The schema that the document names as its own."""

_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, PROJECT_URL)
"""The namespace of the serial numbers (RFC 9562, 5.5): a bill of equal content has an equal number."""

_HUB_URL = "https://huggingface.co"
_ON_HUB = {"hub", "cache"}
"""Sources whose `repo_id` is a name on the Hugging Face hub."""

_SHA256 = re.compile("[0-9a-f]{64}")
_SHA1 = re.compile("[0-9a-f]{40}")
"""Digests as the format takes them: a source may claim anything."""

_MODEL, _TOOL = "model", "embaudit"
"""The references inside the document that are not made of a name."""

Json = dict[str, Any]


def render_cyclonedx(record: AuditRecord) -> str:
    """The report as a bill of materials, ASCII only.

    The model is the component that the bill describes; its files, with their digests, and repositories whose
    code it has run are components that it depends on. Findings are annotations of the file that they are
    about. Nothing but the record goes into it: equal records make equal bills, serial number included.
    """
    files = [_file(path, entry) for path, entry in record.files.items()]
    code = [_remote_code(name, paths) for name, paths in sorted(_remote_repositories(record).items())]
    references = [component["bom-ref"] for component in (*files, *code)]
    bill: Json = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": seen(record.created),
            "tools": {"components": [_tool(record)]},
            "component": _model(record),
        },
        "components": [*files, *code],
        "dependencies": [
            {"ref": _MODEL, "dependsOn": references},
            *({"ref": reference} for reference in references),
        ],
        "annotations": [*_annotations(record, frozenset(references))],
    }
    serial = uuid.uuid5(_NAMES, json.dumps(bill, sort_keys=True))
    bill = {"serialNumber": f"urn:uuid:{serial}"} | bill
    return json.dumps(bill, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _tool(record: AuditRecord) -> Json:
    return {
        "type": "application",
        "bom-ref": _TOOL,
        "name": "embaudit",
        "version": seen(record.tool_version),
        "externalReferences": [{"type": "website", "url": PROJECT_URL}],
    }


def _model(record: AuditRecord) -> Json:
    group, _, name = (record.repo_id or record.target).rpartition("/")
    component: Json = {"type": "machine-learning-model", "bom-ref": _MODEL}
    if record.repo_id is None:
        group, name = "", record.target
    if group:
        component["group"] = seen(group)
    component["name"] = seen(name)
    if record.commit is not None:
        component["version"] = seen(record.commit)
    if record.repo_id is not None and record.source in _ON_HUB:
        component["purl"] = _package_url(record.repo_id, record.commit)
        component["externalReferences"] = [{"type": "distribution", "url": _address(record)}]
    component["modelCard"] = _card(record)
    component["properties"] = _properties(
        {
            "target": record.target,
            "source": record.source,
            "revision": record.revision,
            "against": record.against,
            "depth": str(record.depth),
            "findings": len(record.findings),
            "worst": None if record.worst is None else str(record.worst),
            "not_asked": len({skipped.code for skipped in record.skipped}),
        }
    )
    return component


def _package_url(repo_id: str, commit: str | None) -> str:
    """`pkg:huggingface/org/name@commit`.

    https://github.com/package-url/purl-spec/blob/v1.0.0/types-doc/huggingface-definition.md
    """
    version = "" if commit is None else f"@{quote(commit.lower(), safe='', errors='replace')}"
    return f"pkg:huggingface/{relative_uri(repo_id)}{version}"


def _address(record: AuditRecord) -> str:
    at = "" if record.commit is None else f"/tree/{quote(record.commit, safe='', errors='replace')}"
    return f"{_HUB_URL}/{relative_uri(record.repo_id or '')}{at}"


def _card(record: AuditRecord) -> Json:
    """What the model is, as far as the repository declares it."""
    pipeline = _pipeline(record)
    parameters: Json = {"task": "feature-extraction"}
    if record.declaration.model_type is not None:
        parameters["architectureFamily"] = seen(record.declaration.model_type)
    classes = record.declaration.config.get("architectures")
    if isinstance(classes, Sequence) and classes and isinstance(classes[0], str):
        parameters["modelArchitecture"] = seen(classes[0])
    parameters["inputs"] = [{"format": "text"}]
    parameters["outputs"] = [{"format": _output(pipeline)}]
    return {"modelParameters": parameters, "properties": _properties(_traits(pipeline))}


def _pipeline(record: AuditRecord) -> EmbeddingPipeline:
    """What sentence-transformers makes of a text with the declared settings."""
    snapshot = Snapshot(source=record.source, files=record.files)
    return declared_pipeline(Repository(snapshot=snapshot, declaration=record.declaration))


def _output(pipeline: EmbeddingPipeline) -> str:
    return "vector" if pipeline.dimension is None else f"vector of {pipeline.dimension} numbers"


def _traits(pipeline: EmbeddingPipeline) -> dict[str, object]:
    pooling = None if pipeline.pooling is None else ", ".join(map(str, pipeline.pooling)) or "none"
    return {
        "dimension": pipeline.dimension,
        "pooling": pooling,
        "normalize": pipeline.normalize,
        "max_seq_length": pipeline.max_seq_length,
        "lowercase": pipeline.lowercase,
        "default_prompt": pipeline.default_prompt,
        "similarity": pipeline.similarity,
    }


def _properties(values: Mapping[str, object]) -> list[Json]:
    """What is known of them, each under embaudit's own namespace, as the texts that the format asks for."""
    return [
        {"name": f"embaudit:{name}", "value": plain(value if isinstance(value, str) else json.dumps(value))}
        for name, value in values.items()
        if value is not None
    ]


def _file_reference(path: str) -> str:
    return f"file:{relative_uri(path)}"


def _file(path: str, entry: FileEntry) -> Json:
    component: Json = {"type": "file", "bom-ref": _file_reference(path), "name": seen(path)}
    if entry.sha256 is not None and _SHA256.fullmatch(entry.sha256):
        component["hashes"] = [{"alg": "SHA-256", "content": entry.sha256}]
    if entry.git_sha1 is not None and _SHA1.fullmatch(entry.git_sha1):
        # Not the SHA-1 of the content, which git prefixes with its length.
        component["swhid"] = [f"swh:1:cnt:{entry.git_sha1}"]
    component["properties"] = _properties(
        {"kind": str(entry.kind), "size": entry.size, "state": str(entry.state)}
    )
    return component


def _remote_repositories(record: AuditRecord) -> dict[str, list[str]]:
    """Repositories whose code the declared settings have run, with the files that name them."""
    named: dict[str, list[str]] = {}
    for path, classes in remote_classes(record.declaration):
        for repository in dict.fromkeys(name.partition("--")[0] for name in classes):
            if repository:
                named.setdefault(repository, []).append(path)
    return named


def _remote_code(repository: str, paths: Sequence[str]) -> Json:
    group, _, name = repository.rpartition("/")
    component: Json = {"type": "library", "bom-ref": f"code:{relative_uri(repository)}"}
    if group:
        component["group"] = seen(group)
    return component | {
        "name": seen(name),
        "purl": _package_url(repository, None),
        "properties": [each for path in paths for each in _properties({"named_by": path})],
    }


def _annotations(record: AuditRecord, references: frozenset[str]) -> Iterator[Json]:
    """The findings, and those that were waived; of equal ones only the first, as the format asks for."""
    told: set[tuple[str, str]] = set()
    waived = {each.finding: each.waiver.reason for each in record.waived}
    for finding in (*record.findings, *waived):
        subject = _subject(finding, references)
        text = _told(finding, waived.get(finding))
        if (subject, text) not in told:
            told.add((subject, text))
            yield {
                "subjects": [subject],
                "annotator": {"component": {"type": "application", "name": "embaudit"}},
                "timestamp": seen(record.created),
                "text": text,
            }


def _subject(finding: Finding, references: frozenset[str]) -> str:
    reference = _file_reference(finding.where.path) if finding.where.path is not None else _MODEL
    return reference if reference in references else _MODEL


def _told(finding: Finding, waived: str | None) -> str:
    place = str(finding.where)
    parts = (
        f"{finding.code} {finding.severity}:",
        finding.message,
        f"Where: {place}." if place else "",
        f"For: {finding.loader}." if finding.loader else "",
        f"What to do: {finding.remedy}" if finding.remedy else "",
        f"Waived: {waived}" if waived is not None else "",
        f"Rule: {rule_page(finding.code)} Fingerprint: {fingerprint(finding)}",
    )
    return plain(" ".join(part for part in parts if part))
