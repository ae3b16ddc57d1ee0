"""Every fault of a hub at every place where one is asked: a right report or one clear error, and no secret."""

import json
import logging
import re
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import embaudit
from embaudit.errors import LimitError, SourceError, TargetError
from embaudit.model.files import Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.sources.hub import open_hub
from embaudit.sources.hub.patience import Patience
from embaudit.testing.loopback_hub import (
    BodyReplaced,
    Dropped,
    Fault,
    Gzipped,
    HeaderChanged,
    JsonCut,
    JsonEdited,
    Late,
    LinkElsewhere,
    LongBody,
    LoopbackHub,
    Meanwhile,
    OtherCommit,
    RangeIgnored,
    Redirected,
    Repository,
    Request,
    ShortBody,
    Status,
    Trickle,
    UrlExpired,
    WrongRange,
)
from embaudit.testing.repositories import bert_settings, bert_shapes

REPO, LOADER = "org/name", "transformers==5.23.0"
CONFIG, SAFE, BIN = "config.json", "model.safetensors", "pytorch_model.bin"
N_LAYERS = 4
HASTY = Patience(attempts=3, first_wait=0.001, longest_wait=0.002, ceiling=10.0, margin=0.0)
"""Asks three times, and hardly waits."""
WEARY = attrs.evolve(HASTY, attempts=2, grace_seconds=0.15, bytes_per_second=1_000_000.0)
"""Gives an answer up that takes longer than 0.15 seconds."""
MOST_REQUESTS = 100
CEILING_SECONDS = 30
"""Far more than anything here takes; a test that hangs is ended."""
SECRET = "5ec2e7" * 5
"""A signature that an address holds which nobody asks for."""
ELSEWHERE = f"http://elsewhere.invalid/file?Signature={SECRET}"
NO_JSON = "is not JSON, or was cut short"


def safetensors(shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, bytes]) -> bytes:
    """A safetensors file of float32."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    stop = 0
    for name, shape in shapes.items():
        start, stop = stop, stop + len(values[name])
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, stop]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + b"".join(values[name] for name in shapes)


def torch_zip(shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, bytes]) -> bytes:
    """What `torch.save` writes of a state dict of float32, without torch."""
    entries = (_text(name) + _tensor(str(key), shape) for key, (name, shape) in enumerate(shapes.items()))
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}(" + b"".join(entries) + b"u.")
        archive.writestr("archive/byteorder", b"little")
        for key, name in enumerate(shapes):
            archive.writestr(f"archive/data/{key}", values[name])
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()


def _tensor(key: str, shape: tuple[int, ...]) -> bytes:
    """The opcodes of one tensor: `_rebuild_tensor_v2` of a storage, contiguous, without hooks."""
    names = _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu")
    storage = b"(" + names + _integer(prod(shape)) + b"tQ"
    strides = [prod(shape[place + 1 :]) for place in range(len(shape))]
    sizes = b"(" + b"".join(map(_integer, shape)) + b"t(" + b"".join(map(_integer, strides)) + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _integer(0) + sizes + b"\x89}tR"


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


@attrs.frozen
class World:
    """A hub whose repository has a history of four commits, and what it says when nothing goes wrong."""

    hub: LoopbackHub
    repository: Repository
    token: str
    old: str
    new: str

    def open(self, revision: str | None = None, **options: Any) -> Snapshot:
        """The repository, opened without losing time."""
        return open_hub(REPO, revision, **{"patience": HASTY, **options})

    def audit(self) -> embaudit.AuditReport:
        """An audit of the newest commit against the first one, at the values of the weights."""
        new = self.open()
        old = self.open(self.old, beside=new)
        return embaudit.audit(new, against=old, loaders=LOADER, depth="sampled")

    def inject(self, fault: Fault, place: "Place") -> None:
        """Let a fault strike at a place."""
        self.hub.inject(attrs.evolve(fault, where=place.strikes, method=place.method))
        if place.needs_tree:
            self.hub.inject(WITHOUT_SIBLINGS)
        self.repository.gated = "manual" if place.needs_gate else ""

    def secrets(self) -> set[str]:
        """What nobody but the one who asks may see: the token, and signatures that were given."""
        signed = (re.findall(r"Signature=(\w+)", request.query) for request in self.hub.requests)
        return {self.token, SECRET, *(signature for found in signed for signature in found)}


def _committed(hub: LoopbackHub) -> tuple[Repository, str, str]:
    shapes = dict(bert_shapes(N_LAYERS))
    values = {name: bytes(range(64, 68)) * prod(shape) for name, shape in shapes.items()}
    settings = bert_settings(N_LAYERS)
    repository = hub.create(REPO)
    old = repository.commit({**settings, BIN: torch_zip(shapes, values)}, title="the model")
    repository.commit({"README.md": b"a model"}, title="a card")
    repository.commit({SAFE: safetensors(shapes, values)}, title="add safetensors")
    changed = json.dumps({**json.loads(settings[CONFIG]), "hidden_dropout_prob": 0.2}).encode()
    return repository, old, repository.commit({CONFIG: changed}, title="other settings")


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    """The hub of all tests of this file that do not need one of their own."""
    with LoopbackHub(commits_page=2) as hub:
        repository, old, new = _committed(hub)
        yield World(hub, repository, hub.token(REPO), old, new)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The hub without faults, with someone logged in who may see everything."""
    running.hub.heal()
    running.hub.forget()
    running.repository.gated = ""
    with running.hub.in_process(token=running.token):
        yield running
    running.hub.heal()


@pytest.fixture(scope="module")
def right(running: World) -> embaudit.AuditReport:
    """The report of a hub where nothing goes wrong."""
    running.hub.heal()
    with running.hub.in_process(token=running.token):
        return told(running.audit())


def told(report: embaudit.AuditReport) -> embaudit.AuditReport:
    """What a report says, without when it was made and what it cost."""
    return attrs.evolve(
        report, created="", cost=attrs.evolve(report.cost, requests=0, bytes_read=0, seconds=0.0)
    )


def differences(report: embaudit.AuditReport, right: embaudit.AuditReport) -> list[str]:
    """The parts of a report that another one has otherwise."""
    names = [field.name for field in attrs.fields(embaudit.AuditReport)]
    return [name for name in names if getattr(report, name) != getattr(right, name)]


def watched(world: World, caplog: pytest.LogCaptureFixture, action: Callable[[], object]) -> Any:
    """What comes of an action: its value or its error, after a look at what it cost and what it gave away."""
    caplog.set_level(logging.DEBUG)
    began = time.monotonic()
    try:
        outcome = action()
    except embaudit.EmbauditError as error:
        outcome = error
    assert time.monotonic() - began < CEILING_SECONDS
    assert len(world.hub.requests) <= MOST_REQUESTS
    assert not any(request.had_credentials for request in world.hub.requests if request.origin == "cdn")
    shown = "\n".join((*_shown(outcome), caplog.text))
    assert not [secret for secret in world.secrets() if secret in shown]
    return outcome


def _shown(outcome: object) -> Iterator[str]:
    """Every text in which an outcome may be seen."""
    yield repr(outcome)
    if isinstance(outcome, embaudit.AuditReport):
        yield outcome.to_json()
        yield from (outcome.render(name) for name in ("text", "html"))
    error: object = outcome
    while isinstance(error, BaseException):
        yield f"{error!r} {error} {error.args}"
        error = error.__cause__ or error.__context__


WITHOUT_SIBLINGS = JsonEdited(
    where="/revision/", times=None, edit=lambda info: {k: v for k, v in info.items() if k != "siblings"}
)
"""Has the hub leave out the short list of files, so that its tree is asked for."""


@attrs.frozen(kw_only=True)
class Place:
    """Where a fault strikes.

    Attributes:
        kind: What is answered there: `document`, `page`, `status`, `redirect`, or `body`.
        path: A pattern of the path.
        method: How it is asked.
        told: The codes of findings or skipped rules that tell of a failure; without them it is an error.
        silenced: The codes of findings that cannot be had then.
        needs_tree: Whether the tree is only asked for if the information lists no files.
        needs_gate: Whether the repository has to be gated to be asked.
    """

    kind: str
    path: str
    method: str = "GET"
    told: frozenset[str] = frozenset()
    silenced: frozenset[str] = frozenset()
    needs_tree: bool = False
    needs_gate: bool = False

    def strikes(self, request: Request) -> bool:
        """Whether a request is one of these."""
        return re.search(self.path, request.path) is not None


PLACES = {
    "info": Place(kind="document", path="/revision/"),
    "tree": Place(kind="page", path="/tree/", needs_tree=True),
    "commits": Place(
        kind="page", path="/commits/", told=frozenset({"EMB016"}), silenced=frozenset({"EMB028"})
    ),
    "paths-info": Place(
        kind="document",
        path="/paths-info/",
        method="POST",
        told=frozenset({"EMB026"}),
        silenced=frozenset({"EMB026"}),
    ),
    "auth-check": Place(kind="status", path="/auth-check", needs_gate=True),
    "resolve-json": Place(kind="redirect", path=r"^/org/name/resolve/\w+/config\.json"),
    "cache-json": Place(kind="body", path=r"/resolve-cache/.*/config\.json"),
    "resolve-weights": Place(kind="redirect", path=r"/resolve/\w+/model\.safetensors"),
    "cdn": Place(kind="body", path="^/loopback/"),
}
ALL = frozenset({"document", "page", "status", "redirect", "body"})
READ = ALL - {"redirect"}
JSON = frozenset({"document", "page"})


@attrs.frozen
class Case:
    """A fault, the kinds of place where it matters, and what is said if it stays.

    Attributes:
        fault: The fault.
        kinds: Where it is tried.
        says: A pattern of the message, or one for each kind of place.
    """

    fault: Fault
    kinds: frozenset[str]
    says: str


DROPPED = "connection (was dropped|broke off|ended)"
PASSING = {
    "dropped": Case(Dropped(), ALL, DROPPED),
    "dropped after the headers": Case(Dropped(after_headers=True), READ, DROPPED),
    "408": Case(Status(status=408), ALL, r"failed \(408\)"),
    "500": Case(Status(status=500), ALL, r"failed \(500\)"),
    "503": Case(Status(status=503, retry_after="0"), ALL, r"failed \(503\)"),
    "429": Case(Status(status=429), ALL, "too many requests"),
    "429 with RateLimit": Case(Status(status=429, rate_limit='"api";r=0;t=0'), ALL, "too many requests"),
    "429 with Retry-After": Case(Status(status=429, retry_after="0"), ALL, "too many requests"),
    "short": Case(ShortBody(missing=7), READ, DROPPED),
}
"""What may be gone the next time."""
LASTING = {
    "501": Case(Status(status=501), ALL, r"failed \(501\)"),
    "429 for hours": Case(
        Status(status=429, rate_limit='"api";r=0;t=9999'),
        ALL,
        "asks to wait 9999 seconds, and embaudit waits 10",
    ),
    "honestly short": Case(
        ShortBody(missing=7, honest=True), JSON | {"body"}, f"{NO_JSON}|the hub gave [0-9]+ of the"
    ),
    "long": Case(LongBody(extra=5), JSON | {"body"}, f"{NO_JSON}|more than the [0-9,]+ bytes it may have"),
    "gzip": Case(Gzipped(), READ, "compressed"),
    "gzip of the range": Case(Gzipped(whole=False), READ, "compressed"),
    "other bytes": Case(WrongRange(start_by=1), frozenset({"body"}), "asked for bytes .*, the answer is for"),
    "another size": Case(WrongRange(total_by=1), frozenset({"body"}), "has changed since it was listed"),
    "no Content-Range": Case(
        HeaderChanged(headers={"Content-Range": None}), frozenset({"body"}), "does not say which bytes"
    ),
    "another commit": Case(OtherCommit(), frozenset({"redirect"}), "the hub answers for c0ffee"),
    "another digest": Case(
        HeaderChanged(headers={"X-Linked-ETag": f'"{"0" * 64}"'}), frozenset({"redirect"}), "another digest"
    ),
    "redirect loop": Case(Redirected(status=307), ALL, "in a circle"),
    "redirect to a file": Case(Redirected(location="file:///etc/passwd", status=307), ALL, "but of 'file'"),
    "redirect elsewhere": Case(
        Redirected(location=ELSEWHERE, status=307), JSON | {"status"}, r"another host \(elsewhere\.invalid\)"
    ),
    "Link elsewhere": Case(
        LinkElsewhere(location=ELSEWHERE), frozenset({"page"}), "next page .* at another place"
    ),
    "Link to itself": Case(LinkElsewhere(location=""), frozenset({"page"}), "leads back"),
    "truncated JSON": Case(JsonCut(), JSON, NO_JSON),
    "a web page": Case(BodyReplaced(body=b"<html>log in</html>"), JSON | {"body"}, f"{NO_JSON}|gave 19 of"),
    "expired": Case(
        UrlExpired(origin=None), ALL, "the hub forbids it|refuses the address that the hub gave; it may have"
    ),
    "400": Case(Status(status=400), JSON | {"redirect", "body"}, "not understand|refuses"),
    "401": Case(Status(status=401), ALL, r"status 401"),
    "404": Case(Status(status=404), JSON | {"redirect"}, "does not have it"),
    "no such repository": Case(
        Status(status=404, code="RepoNotFound"), JSON | {"redirect"}, "there is no such repository"
    ),
    "gated": Case(Status(status=403, code="GatedRepo"), ALL - {"body"}, "the repository is gated"),
    "disabled": Case(
        Status(status=403, message="Access to this resource is disabled."), ALL - {"body"}, "has disabled"
    ),
    "a secret in the refusal": Case(
        Status(status=418, message=f"Bearer {SECRET} http://me:{SECRET}@cdn/?Signature={SECRET}"),
        JSON | {"redirect", "body"},
        "status 418",
    ),
}
"""What is the same every time."""
FOR_EVER = [
    pytest.param(case, place, id=f"{name} - {where}")
    for name, case in {**PASSING, **LASTING}.items()
    for where, place in PLACES.items()
    if place.kind in case.kinds
]


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_costs_requests_and_nothing_else(
    world: World, right: embaudit.AuditReport, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A fault that strikes once at every place of one audit is borne: the report is the same."""
    case = PASSING[name]
    struck = [place for place in PLACES.values() if place.kind in case.kinds and not place.needs_gate]
    for place in struck:
        world.inject(case.fault, place)

    report = watched(world, caplog, world.audit)

    assert differences(told(report), right) == []
    assert report.cost.requests == len(world.hub.requests)


@pytest.mark.parametrize(("case", "place"), FOR_EVER)
def test_what_stays_is_told(
    world: World, right: embaudit.AuditReport, caplog: pytest.LogCaptureFixture, case: Case, place: Place
) -> None:
    """A fault that strikes every time is one error in plain words, or told in a report that is right but for it."""
    world.inject(attrs.evolve(case.fault, times=None), place)

    outcome = watched(world, caplog, world.audit)

    if not place.told:
        assert isinstance(outcome, (SourceError, TargetError))
        assert re.search(case.says, str(outcome))
        assert REPO in str(outcome)
        return
    messages = [each.message for each in outcome.findings if each.code in place.told]
    reasons = [each.reason for each in outcome.skipped if each.code in place.told]
    assert re.search(case.says, "\n".join(messages + reasons))
    assert differences(but_for(place, told(outcome)), but_for(place, right)) == []


def but_for(place: Place, report: embaudit.AuditReport) -> embaudit.AuditReport:
    """A report without what a failure at a place tells and takes away."""
    codes = place.told | place.silenced
    return attrs.evolve(
        report,
        findings=tuple(each for each in report.findings if each.code not in codes),
        skipped=tuple(each for each in report.skipped if each.code not in codes),
        diff=attrs.evolve(report.diff, commits=(), notes=()),
    )


@pytest.mark.parametrize("origin", ["hub", "cdn"])
@pytest.mark.parametrize("after", range(0, 20, 3))
@pytest.mark.parametrize("name", ["honestly short", "a web page", "gzip", "501", "expired", "redirect loop"])
def test_what_strikes_once_anywhere_is_right_or_an_error(
    world: World,
    right: embaudit.AuditReport,
    caplog: pytest.LogCaptureFixture,
    name: str,
    after: int,
    origin: Any,
) -> None:
    """Whichever request meets a fault, the report is right but for commits that it says it lacks, or none is made."""
    world.hub.inject(attrs.evolve(LASTING[name].fault, origin=origin, after=after))

    outcome = watched(world, caplog, world.audit)

    if isinstance(outcome, (SourceError, TargetError)):
        return
    report = told(outcome)
    codes = _codes(report, right)
    left_out = [place for place in PLACES.values() if place.told & codes]
    for place in left_out:
        report, right = but_for(place, report), but_for(place, right)
    assert differences(report, right) == []


def _codes(report: embaudit.AuditReport, right: embaudit.AuditReport) -> set[str]:
    """The codes of what one report says and the other doesn't."""
    said, otherwise = ({*each.findings, *each.skipped} for each in (report, right))
    return {each.code for each in said - otherwise}
