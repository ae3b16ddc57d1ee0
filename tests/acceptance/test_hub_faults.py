"""Every fault of a hub at every place where one is asked: a right report or a clear error, and no secret."""

import json
import logging
import re
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import attrs
import pytest
from huggingface_hub import constants
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
    LoggedRequest,
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

pytestmark = pytest.mark.exhaustive

REPO, LOADER = "org/name", "transformers==5.23.0"
CONFIG, SAFE, BIN = "config.json", "model.safetensors", "pytorch_model.bin"
N_LAYERS = 3
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
        archive.writestr(_member("data.pkl"), b"\x80\x02}(" + b"".join(entries) + b"u.")
        archive.writestr(_member("byteorder"), b"little")
        for key, name in enumerate(shapes):
            archive.writestr(_member(f"data/{key}"), values[name])
        archive.writestr(_member("version"), b"3\n")
    return file.getvalue()


def _member(name: str) -> zipfile.ZipInfo:
    """A member of the archive, dated like every other one: equal contents are equal files."""
    return zipfile.ZipInfo(f"archive/{name}")


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
    """A hub whose repository has a history of four commits, and someone who may see it."""

    hub: LoopbackHub
    repository: Repository
    token: str
    old: str
    new: str

    def open(self, revision: str | None = None, **options: Any) -> Snapshot:
        """The repository, opened without losing time."""
        return open_hub(REPO, revision, **{"patience": HASTY, **options})

    def audit(self, depth: str = "headers") -> embaudit.AuditReport:
        """An audit of the newest commit against the first one."""
        new = self.open()
        old = self.open(self.old, beside=new)
        return embaudit.audit(new, against=old, loaders=LOADER, depth=depth)

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
        token = hub.token(REPO)
        # Once for all tests: what huggingface_hub does to open a session takes longer than an audit.
        with hub.in_process(token=token):
            yield World(hub, repository, token, old, new)


@pytest.fixture
def world(running: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The hub without faults, with someone logged in who may see everything."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    running.hub.heal()
    running.hub.forget()
    running.repository.gated = ""
    return running


@pytest.fixture(scope="module")
def rights(running: World) -> Mapping[str, embaudit.AuditReport]:
    """The reports of a hub where nothing goes wrong, by depth."""
    running.hub.heal()
    running.repository.gated = ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        return {depth: told(running.audit(depth)) for depth in ("headers", "sampled")}


@pytest.fixture
def right(rights: Mapping[str, embaudit.AuditReport]) -> embaudit.AuditReport:
    """The report of the headers."""
    return rights["headers"]


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

    def strikes(self, request: Request | LoggedRequest) -> bool:
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
        says: A pattern of the message.
        is_answer: Whether it says something of the repository: then a file's is told of the file.
    """

    fault: Fault
    kinds: frozenset[str]
    says: str
    is_answer: bool = False


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
    "401": Case(Status(status=401), ALL - {"body"}, r"status 401", is_answer=True),
    "404": Case(Status(status=404), JSON | {"redirect"}, "does not have it"),
    "no such repository": Case(
        Status(status=404, code="RepoNotFound"),
        JSON | {"redirect"},
        "there is no such repository",
        is_answer=True,
    ),
    "gated": Case(
        Status(status=403, code="GatedRepo"), ALL - {"body"}, "the repository is gated", is_answer=True
    ),
    "disabled": Case(
        Status(status=403, message="Access to this resource is disabled."),
        ALL - {"body"},
        "has disabled",
        is_answer=True,
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
    world: World, rights: Mapping[str, embaudit.AuditReport], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A fault that strikes once at every place of one audit is borne: the report is the same."""
    case = PASSING[name]
    struck = [place for place in PLACES.values() if place.kind in case.kinds and not place.needs_gate]
    for place in struck:
        world.inject(case.fault, place)

    report = watched(world, caplog, lambda: world.audit("sampled"))

    assert differences(told(report), rights["sampled"]) == []
    for place in struck:
        assert sum(place.strikes(request) for request in world.hub.requests) > 1
    # The look for secrets has something to look at: what the libraries log, and signatures.
    assert f"/{REPO}/resolve/" in caplog.text
    assert len(world.secrets()) > 2


@pytest.mark.parametrize(("case", "place"), FOR_EVER)
def test_what_stays_is_told(
    world: World, right: embaudit.AuditReport, caplog: pytest.LogCaptureFixture, case: Case, place: Place
) -> None:
    """A fault that strikes every time is one plain error, or told in a report that is right but for it."""
    world.inject(attrs.evolve(case.fault, times=None), place)

    outcome = watched(world, caplog, world.audit)

    if case.is_answer and place.kind == "redirect" and isinstance(outcome, embaudit.AuditReport):
        check_told_of_a_file(outcome, case.says)
    elif not place.told:
        assert isinstance(outcome, (SourceError, TargetError))
        assert re.search(case.says, str(outcome))
        assert REPO in str(outcome)
    else:
        messages = [each.message for each in outcome.findings if each.code in place.told]
        reasons = [each.reason for each in outcome.skipped if each.code in place.told]
        assert re.search(case.says, "\n".join(messages + reasons))
        assert differences(but_for(place, told(outcome)), but_for(place, right)) == []


def check_told_of_a_file(report: embaudit.AuditReport, says: str) -> None:
    """A report of a repository of which one file is refused says so, and lets nothing pass."""
    messages = [each.message for each in report.findings if each.where.path in {CONFIG, SAFE}]
    assert re.search(says, "\n".join(messages))
    assert not report.passed()
    assert report.load(LOADER).outcome != "faithful"


def but_for(place: Place, report: embaudit.AuditReport) -> embaudit.AuditReport:
    """A report without what a failure at a place tells and takes away."""
    codes = place.told | place.silenced
    assert report.diff is not None
    return attrs.evolve(
        report,
        findings=tuple(each for each in report.findings if each.code not in codes),
        skipped=tuple(each for each in report.skipped if each.code not in codes),
        asked=tuple(code for code in report.asked if code not in codes),
        diff=attrs.evolve(report.diff, commits=(), notes=()),
    )


@pytest.mark.parametrize("origin", ["hub", "cdn"])
@pytest.mark.parametrize("after", [0, 2, 9, 17])
@pytest.mark.parametrize("name", ["honestly short", "a web page", "gzip", "501", "expired", "redirect loop"])
def test_what_strikes_once_anywhere_is_right_or_an_error(
    world: World,
    right: embaudit.AuditReport,
    caplog: pytest.LogCaptureFixture,
    name: str,
    after: int,
    origin: Any,
) -> None:
    """Whichever request meets a fault, the report is right but for commits that it says it lacks."""
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
    said = {each.code for each in report.findings if each not in right.findings}
    return said | {each.code for each in report.skipped if each not in right.skipped}


@pytest.mark.parametrize(("where", "says"), [("cdn", "ignored the range"), ("cache-json", None)])
def test_ranges_that_are_ignored(
    world: World, right: embaudit.AuditReport, caplog: pytest.LogCaptureFixture, where: str, says: str | None
) -> None:
    """All of a large file instead of a part is not taken; all of a small one is what was asked for."""
    world.inject(RangeIgnored(times=None), PLACES[where])

    outcome = watched(world, caplog, world.audit)

    if says is None:
        assert differences(told(outcome), right) == []
    else:
        assert isinstance(outcome, SourceError)
        assert says in str(outcome)


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_no_form_of_a_report_gives_a_secret_away(world: World, form: str) -> None:
    """What a hub says in its refusal is repeated without tokens, signatures and passwords."""
    echo = f"Bearer {world.token} http://me:{SECRET}@cdn/x?Signature={SECRET}"
    world.inject(Status(status=418, message=echo, times=None), PLACES["paths-info"])

    report = world.audit()

    assert any("status 418" in each.reason for each in report.skipped)
    assert not [secret for secret in world.secrets() if secret in report.render(form)]


def test_credentials_are_not_lured_away(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a redirect nor a next page takes the token to another origin, nor back from there."""
    lure = f"{world.hub.cdn_url}/lure"
    back = f"{world.hub.endpoint}/api/models/{REPO}/auth-check"
    for fault in (
        Redirected(location=lure, where="/revision/"),
        LinkElsewhere(location=lure, where="/commits/"),
        Redirected(location=lure, where="/resolve-cache/"),
        Redirected(location=back, where="/loopback/", times=None),
    ):
        world.hub.heal()
        world.hub.forget()
        world.hub.inject(fault)

        watched(world, caplog, world.audit)

        led_back = [request for request in world.hub.requests if "/auth-check" in request.path]
        assert bool(led_back) is (fault.times is None)
        assert not any(request.had_credentials for request in led_back)


@pytest.mark.parametrize(
    "name", [name for name, case in {**PASSING, **LASTING}.items() if "page" in case.kinds]
)
def test_a_revision_that_is_not_there_is_told_with_or_without_a_hint(
    world: World, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The branches and tags are asked for a hint only: whatever they answer, the error is the same."""
    case = {**PASSING, **LASTING}[name]
    world.hub.inject(attrs.evolve(case.fault, where="/refs", times=None))

    error = watched(world, caplog, lambda: world.open("mian"))

    assert isinstance(error, TargetError)
    assert f"{REPO} has no revision 'mian'" in str(error)


def test_a_revision_that_is_not_there_comes_with_those_that_are(world: World) -> None:
    """Without a fault the hint is there, so that the test above takes something away."""
    with pytest.raises(TargetError, match=r"has no revision 'mian' on the hub.*main"):
        world.open("mian")


@attrs.frozen(kw_only=True)
class Refusal:
    """A row of what the hub says to whom.

    Attributes:
        prepare: What is done to a hub with a repository.
        token: Whose token goes along: `mine` (with access), `other` (without), `wrong`, or none.
        revision: What is asked for.
        error: What is raised.
        says: A pattern of its message.
    """

    prepare: Callable[["World"], object] = lambda _world: None
    token: str = ""
    revision: str | None = None
    error: type[embaudit.EmbauditError] = TargetError
    says: str


def _set(**state: Any) -> Callable[["World"], object]:
    def prepare(world: World) -> None:
        for name, value in state.items():
            setattr(world.repository, name, value)

    return prepare


def _delete(world: World) -> None:
    world.hub.delete(REPO)


def _refuse_info(world: World) -> None:
    words = "Access to this resource is disabled."
    world.hub.inject(Status(status=403, message=words, where="/revision/", times=None))


LOG_IN = "hf auth login"
GATED, PRIVATE = _set(gated="manual"), _set(private=True)
REFUSALS = {
    "missing, anonymous": Refusal(prepare=_delete, says=f"missing, private or gated.*{LOG_IN}"),
    "missing, with a token": Refusal(prepare=_delete, token="other", says="there is no such repository"),
    "private, anonymous": Refusal(prepare=PRIVATE, says=f"missing, private or gated.*{LOG_IN}"),
    "private, with a token": Refusal(
        prepare=PRIVATE, token="other", says="no such repository, or the token's account may not see it"
    ),
    "a bad token": Refusal(token="wrong", says=f"does not accept the token.*{LOG_IN}"),
    "gated, anonymous": Refusal(prepare=GATED, says=f"is gated: request access at .*{LOG_IN}"),
    "gated, with a token": Refusal(prepare=GATED, token="other", says="the token's account has no access"),
    "disabled altogether": Refusal(prepare=_refuse_info, token="mine", says="has disabled the repository"),
    "no such revision, anonymous": Refusal(revision="v2", says="has no revision 'v2'"),
    "no such revision, with a token": Refusal(token="mine", revision="v2", says="has no revision 'v2'"),
}
"""Who is refused what: the table of the hub's refusals, anonymous and with tokens."""


@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_is_one_clear_error(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """An audit of what cannot be had ends with what is wrong and what to do, after three requests at most."""
    refusal = REFUSALS[name]
    with LoopbackHub() as hub:
        repository = hub.create(REPO)
        commit = repository.commit({CONFIG: b"{}"})
        hub.create("org/other")
        tokens = {
            "mine": hub.token(REPO),
            "other": hub.token("org/other"),
            "wrong": "hf_" + "x" * 30,
            "": None,
        }
        token = tokens[refusal.token]
        world = World(hub, repository, token or SECRET, commit, commit)
        refusal.prepare(world)
        with hub.in_process(token=token):
            error = watched(world, caplog, lambda: embaudit.audit(REPO, revision=refusal.revision))

        assert isinstance(error, refusal.error)
        assert re.search(refusal.says, str(error))
        assert len(hub.requests) <= 3


@pytest.mark.parametrize(
    "state", [{"gated": "manual"}, {"private": True}, {}], ids=["gated", "private", "open"]
)
def test_who_may_see_it_is_not_refused(state: Mapping[str, Any]) -> None:
    """With the right token every kind of repository is audited."""
    with LoopbackHub() as hub:
        hub.create(REPO, **state).commit({CONFIG: b"{}"})
        with hub.in_process(token=hub.token(REPO)):
            assert embaudit.audit(REPO).files[CONFIG].size == 2


def test_a_disabled_repository_is_a_report_of_nothing() -> None:
    """What is listed and given to nobody is told, by one request, and passes no gate."""
    with LoopbackHub() as hub:
        hub.create(REPO, disabled=True).commit({CONFIG: b"{}", SAFE: b"x"})
        with hub.in_process():
            report = embaudit.audit(REPO)

        assert [each.code for each in report.findings if each.severity == embaudit.Severity.ERROR] == [
            "EMB021"
        ]
        assert not report.checkpoints
        assert len(hub.requests) == 1


def _push(world: World) -> None:
    world.repository.commit({CONFIG: b"[]", SAFE: None}, title="pushed meanwhile")


def _rename(world: World) -> None:
    world.hub.rename(REPO, "other/name")


def _squash(world: World) -> None:
    world.repository.commit({"README.md": b"squashed"})
    world.repository.rewrite()


def _take_over(world: World) -> None:
    world.hub.delete(REPO)
    world.hub.create(REPO).commit({CONFIG: b"[]"})


MEANWHILE = {
    "pushed": (_push, None),
    "renamed": (_rename, None),
    "squashed": (_squash, "no such branch, tag or commit"),
    "taken over": (_take_over, "no such branch, tag or commit"),
    "deleted": (_delete, "there is no such repository"),
    "gated": (GATED, None),
    "private": (PRIVATE, None),
}
"""What happens between listing and read, and what is said if a token with access does not help."""


@pytest.mark.parametrize("name", MEANWHILE)
def test_what_moves_between_listing_and_read_is_never_mixed(
    running: World, rights: Mapping[str, embaudit.AuditReport], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Reads stay at the commit that was listed: the report is the same, or says that files are refused."""
    happens, says = MEANWHILE[name]
    with LoopbackHub(commits_page=2) as hub:
        repository, old, new = _committed(hub)
        world = World(hub, repository, hub.token(REPO), old, new)
        assert (old, new) == (running.old, running.new)
        with hub.in_process(token=world.token):
            hub.inject(Meanwhile(action=lambda: happens(world), where=f"/revision/{old}"))
            outcome = watched(world, caplog, world.audit)

    if says is None:
        assert differences(told(outcome), rights["headers"]) == []
    elif isinstance(outcome, embaudit.AuditReport):
        check_told_of_a_file(outcome, says)
        assert outcome.checkpoints == {}
        assert outcome.commit == new
    else:
        assert isinstance(outcome, SourceError)
        assert re.search(says, str(outcome))


@pytest.mark.parametrize("of", ["headers", "body"])
@pytest.mark.parametrize("place", ["info", "cdn"])
def test_a_trickle_is_given_up(caplog: pytest.LogCaptureFixture, place: str, of: Any) -> None:
    """An answer that comes drop by drop, each in time for any timeout of a client, ends in an error."""
    with LoopbackHub() as hub:
        repository, old, new = _committed(hub)
        world = World(hub, repository, hub.token(REPO), old, new)
        world.inject(Trickle(of=of, times=None), PLACES[place])
        with hub.in_process(token=world.token):
            error = watched(world, caplog, lambda: embaudit.audit(world.open(patience=WEARY)))

    assert isinstance(error, SourceError)
    assert "takes too long" in str(error)


def test_what_is_late_once_is_asked_for_again(world: World, right: embaudit.AuditReport) -> None:
    """An answer that does not come in time costs its time, and the next one counts."""
    for place in ("info", "cache-json", "cdn"):
        world.inject(Late(seconds=2.0), PLACES[place])
    impatient = attrs.evolve(HASTY, read_seconds=0.2)

    new = world.open(patience=impatient)
    old = world.open(world.old, beside=new, patience=impatient)

    assert differences(told(embaudit.audit(new, against=old, loaders=LOADER)), right) == []


AUDIT = """
import sys, time
import embaudit
from embaudit.sources.hub import open_hub
from embaudit.sources.hub.patience import Patience
patience = Patience(attempts=2, first_wait=0.001, grace_seconds=0.2, bytes_per_second=1e6)
try:
    embaudit.audit(open_hub("org/name", patience=patience))
except embaudit.SourceError as error:
    print(error, end="", flush=True)
"""


def test_a_trickle_does_not_keep_the_interpreter(tmp_path: Path) -> None:
    """After its error a process ends, though the hub still sends: no thread of ours is waited for."""
    with LoopbackHub() as hub:
        _committed(hub)
        hub.inject(Trickle(of="headers", origin="cdn", times=None, pause=0.2, drops=10_000))
        run = subprocess.run(
            [sys.executable, "-c", AUDIT],
            env=hub.environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=CEILING_SECONDS,
            check=True,
        )

    assert "takes too long" in run.stdout
    assert run.stderr == ""


BODIES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"org/name"',
    "deep": b"[" * 100_000,
    "deep and closed": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a key twice": b'{"sha": "%s", "sha": "%s"}' % (b"1" * 40, b"2" * 40),
    "not UTF-8": b'{"sha": "\xff\xfe"}',
    "UTF-16": '{"sha": ""}'.encode("utf-16"),
    "a number of 5,000 digits": b'{"sha": %s}' % (b"9" * 5000),
    "NaN": b'{"sha": NaN}',
    "a web page": b"<!doctype html><title>log in</title>",
}


@pytest.mark.parametrize("path", ["/revision/", "/tree/"])
@pytest.mark.parametrize("name", BODIES)
def test_what_is_no_document_is_an_error(
    world: World, caplog: pytest.LogCaptureFixture, name: str, path: str
) -> None:
    """A body that is not the JSON it should be ends an audit with one error that does not repeat it."""
    world.hub.inject(BodyReplaced(body=BODIES[name], where=path, times=None))
    if path == "/tree/":
        world.hub.inject(WITHOUT_SIBLINGS)

    outcome = watched(world, caplog, world.open)

    if (name, path) == ("a list", "/tree/"):
        assert outcome.files == {}
        return
    assert isinstance(outcome, SourceError)
    assert f"the listing of {REPO}" in str(outcome)
    assert len(str(outcome)) < 500


def test_limits_of_listings(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Too many files and too long an answer exceed a limit or what was allowed, and are named."""
    many = [{"rfilename": str(number), "size": 1} for number in range(40_001)]
    most = attrs.evolve(DEFAULT_LIMITS, files=40_000)
    lists = JsonEdited(edit=lambda info: {**info, "siblings": many}, where="/revision/")
    length = HeaderChanged(headers={"Content-Length": str(DEFAULT_LIMITS.json_bytes + 1)}, where="/revision/")
    for fault, limits, kind, says in (
        (lists, most, LimitError, "more than 40000 files"),
        (length, DEFAULT_LIMITS, LimitError, "more than 67,108,864 bytes; Limits(json_bytes=...)"),
        (Fault(), Limits(json_bytes=100), LimitError, "more than 100 bytes; Limits(json_bytes=...)"),
    ):
        world.hub.heal()
        world.hub.inject(fault)

        error = watched(world, caplog, partial(world.open, limits=limits))

        assert isinstance(error, kind)
        assert says in str(error)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        [-1, 2**63, 10**400, "0" * 40, "f" * 64, "../up", "/root", "a\0b", "a\\b", "a//b", "", "\ud800"]
    )
    | st.sampled_from(["a/../../b", "\x1b[31mred", "con", "x" * 5000, "a/" * 100 + "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PICKS = st.lists(st.integers(0, 50), min_size=1, max_size=5)


def edited(document: Any, picks: list[int], value: Any) -> Any:
    """The document with another value at a place that the picks lead to."""
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    if not keys:
        return value
    key = keys[picks[0] % len(keys)]
    inside = document[key]
    deeper = len(picks) > 1 and isinstance(inside, (dict, list))
    changed = edited(inside, picks[1:], value) if deeper else value
    if isinstance(document, dict):
        return {**document, key: changed}
    return [changed if place == key else item for place, item in enumerate(document)]


@pytest.fixture(scope="module")
def hostile() -> Iterator[World]:
    """A hub of its own, with one repository, for whole runs of examples."""
    with LoopbackHub() as hub:
        repository = hub.create(REPO)
        old = repository.commit({CONFIG: b"{}", "onnx/model.onnx": b"o"})
        new = repository.commit({SAFE: b"weights"})
        yield World(hub, repository, SECRET, old, new)


@pytest.mark.parametrize("path", ["/revision/", "/tree/", "/commits/", "/paths-info/"])
def test_no_document_of_the_hub_leads_astray(hostile: World, path: str) -> None:
    """Whatever stands in any field, the outcome is one of our errors or a snapshot of sane entries."""

    @given(picks=PICKS, value=JSON_VALUES)
    def holds(picks: list[int], value: Any) -> None:
        hostile.hub.heal()
        hostile.hub.inject(
            JsonEdited(edit=lambda document: edited(document, picks, value), where=path, times=None)
        )
        if path == "/tree/":
            hostile.hub.inject(WITHOUT_SIBLINGS)
        try:
            snapshot = hostile.open()
            history: Any = snapshot.reader
            history.lineage(hostile.old, hostile.new)
            dated = history.last_commits([SAFE, "onnx/model.onnx"])
        except (SourceError, LimitError, TargetError) as error:
            str(error).encode()
            return
        assert re.fullmatch("[0-9a-f]{40}", str(snapshot.commit))
        assert set(dated) <= {SAFE, "onnx/model.onnx"}
        for name, entry in snapshot.files.items():
            assert name == entry.path
            assert not {"", ".", ".."} & set(name.split("/"))
            assert not {"\0", "\\"} & set(name)
            assert entry.size is None or 0 <= entry.size < 2**63
            assert {len(digest) for digest in (entry.sha256, entry.git_sha1) if digest} <= {40, 64}

    with hostile.hub.in_process():
        holds()
