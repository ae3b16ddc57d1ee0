"""The report as a bill of materials of the model."""

import json
import re
from typing import Any

import attrs
import pytest

from embaudit.model.declaration import Declaration
from embaudit.model.findings import Where
from embaudit.model.policy import WaivedFinding, Waiver
from embaudit.report import AuditReport
from embaudit.report.cyclonedx import render_cyclonedx
from embaudit.testing.facts import COMMIT_A, make_entry
from embaudit.testing.reports import make_finding, make_report, report_of


def _bill(report: AuditReport) -> dict[str, Any]:
    return dict(json.loads(render_cyclonedx(report)))


def _values(component: dict[str, Any]) -> dict[str, str]:
    return {each["name"].removeprefix("embaudit:"): each["value"] for each in component["properties"]}


def test_the_model_is_what_the_bill_describes(demo_report: AuditReport) -> None:
    """Name, commit, architecture and what the settings make of a text stand in the model card."""
    model = _bill(demo_report)["metadata"]["component"]
    card = model["modelCard"]

    assert (model["type"], model["group"], model["name"]) == ("machine-learning-model", "demo", "tiny-bert")
    assert model["version"] == demo_report.commit
    assert model["purl"] == f"pkg:huggingface/demo/tiny-bert@{demo_report.commit}"
    assert card["modelParameters"]["architectureFamily"] == "bert"
    assert card["modelParameters"]["modelArchitecture"] == "BertModel"
    assert card["modelParameters"]["outputs"] == [{"format": "vector of 32 numbers"}]
    assert _values(card)["pooling"] == "mean"
    assert _values(card)["normalize"] == "false"


def test_every_file_has_its_digest(demo_report: AuditReport) -> None:
    """A SHA-256 is a hash, a git blob an identifier of its own: git's SHA-1 is not that of the content."""
    files = {each["name"]: each for each in _bill(demo_report)["components"]}

    assert files.keys() == demo_report.files.keys()
    for path, entry in demo_report.files.items():
        hashes = [each["content"] for each in files[path].get("hashes", ())]
        assert hashes == ([entry.sha256] if entry.sha256 else [])
        assert files[path].get("swhid", []) == (
            [f"swh:1:cnt:{entry.git_sha1}"] if entry.git_sha1 and not entry.sha256 else []
        )


@pytest.mark.parametrize("digest", ["", "abc", "Z" * 64, "0" * 63, "0" * 64 + "\n"], ids=repr)
def test_what_is_no_digest_is_left_out(digest: str) -> None:
    """A source may claim anything; the bill repeats only what can be a digest."""
    entry = make_entry("a", sha256=digest, git_sha1=digest)
    (component,) = _bill(make_report(files={"a": entry}))["components"]

    assert component.keys().isdisjoint({"hashes", "swhid"})


def test_code_of_other_repositories_is_a_dependency() -> None:
    """A repository whose code the settings have run is a component that the model depends on."""
    config = {"auto_map": {"AutoModel": "org/code--modeling.Model", "AutoConfig": "org/code--config.Config"}}
    report = make_report(declaration=Declaration(documents={"config.json": config}))
    bill = _bill(report)
    (component,) = bill["components"]
    depends = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}

    assert (component["type"], component["group"], component["name"]) == ("library", "org", "code")
    assert component["purl"] == "pkg:huggingface/org/code"
    assert _values(component) == {"named_by": "config.json"}
    assert depends["model"] == [component["bom-ref"]]


def test_findings_are_annotations_of_their_files() -> None:
    """A finding stands at its file, or at the model; a waived one says so; equal ones stand once."""
    files = {"a.bin": make_entry("a.bin")}
    here, there = make_finding(where=Where(path="a.bin")), make_finding(where=Where(path="gone.bin"))
    waiver = Waiver(code="EMB107", reason="Looked at.")
    waived = WaivedFinding(finding=make_finding("EMB107"), waiver=waiver)
    notes = _bill(make_report(here, here, there, files=files, waived=(waived,)))["annotations"]

    assert [note["subjects"] for note in notes] == [["file:a.bin"], ["model"], ["model"]]
    assert ["Waived: Looked at." in note["text"] for note in notes] == [False, False, True]


def test_every_reference_leads_somewhere() -> None:
    """Whatever the names, references are unique, and those that are used are there."""
    bill = _bill(report_of("a\n\u202e../\ud800"))
    own = [
        bill["metadata"]["component"]["bom-ref"],
        *(each["bom-ref"] for each in bill["metadata"]["tools"]["components"]),
        *(each["bom-ref"] for each in bill["components"]),
    ]
    used = [
        *(each["ref"] for each in bill["dependencies"]),
        *(each for dependency in bill["dependencies"] for each in dependency.get("dependsOn", ())),
        *(each for note in bill["annotations"] for each in note["subjects"]),
    ]

    assert len(set(own)) == len(own)
    assert set(used) <= set(own)


def test_the_serial_number_is_that_of_the_content(demo_report: AuditReport) -> None:
    """Equal reports make equal bills; another date makes another serial number."""
    number = _bill(demo_report)["serialNumber"]

    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", number)
    assert _bill(AuditReport.from_json(demo_report.to_json()))["serialNumber"] == number
    assert _bill(attrs.evolve(demo_report, created="2026-01-02"))["serialNumber"] != number


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"target": "./a/b"}, (None, "./a/b", None)),
        ({"repo_id": "name", "source": "hub"}, (None, "name", "pkg:huggingface/name")),
        (
            {"repo_id": "org/name", "source": "git", "commit": COMMIT_A},
            ("org", "name", None),
        ),
        (
            {"repo_id": "org/na me", "source": "cache", "commit": COMMIT_A},
            ("org", "na me", f"pkg:huggingface/org/na%20me@{COMMIT_A}"),
        ),
    ],
    ids=["folder", "hub without owner", "clone", "cache"],
)
def test_a_model_is_named_by_what_is_known(fields: dict[str, str], name: tuple[str | None, ...]) -> None:
    """Only what is on the hub has an address there."""
    model = _bill(make_report(**fields))["metadata"]["component"]

    assert (model.get("group"), model["name"], model.get("purl")) == name
    assert ("externalReferences" in model) == ("purl" in model)


def test_the_report_is_held(small_report: AuditReport, held_golden: Any) -> None:
    """The bill of a small report is the one that is committed."""
    held_golden.check("small.cyclonedx.json", small_report.render("cyclonedx"))
