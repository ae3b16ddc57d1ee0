"""Requests to the hub on the real client, against a server on this machine that misbehaves as it is told."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import attrs
import huggingface_hub
import pytest
from huggingface_hub import constants, utils
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import LimitError, SourceError, TargetError
from embaudit.model.limits import DEFAULT_LIMITS
from embaudit.sources.hub.addresses import origin_of, redirect_target, without_secrets
from embaudit.sources.hub.deadline import THREAD_NAME
from embaudit.sources.hub.exchange import MOST_IN_FLIGHT, MOST_REDIRECTS, REFUSAL_BYTES, Answer, Exchange
from embaudit.sources.hub.patience import PATIENCE, Patience, seconds_asked
from embaudit.sources.hub.transport import OfflineError, Request, opened
from embaudit.sources.metered import Meter

TOKEN = "hf_" + "t0ken" * 4
QUICK = Patience(
    attempts=3,
    first_wait=0.001,
    longest_wait=0.002,
    ceiling=20,
    margin=0.001,
    connect_seconds=10,
    read_seconds=10,
    grace_seconds=10,
)
SLOW = attrs.evolve(QUICK, attempts=2, grace_seconds=0.2, bytes_per_second=1_000_000.0)
CEILING = 30
"""Seconds after which a test that hangs is ended."""


class Handler(BaseHTTPRequestHandler):
    """Does what the next step of the script for its path says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"

    def do_GET(self) -> None:
        """One step."""
        length = int(self.headers.get("Content-Length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, self.rfile.read(length))
        self.server.step(seen)(self)

    def do_POST(self) -> None:
        """One step."""
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the parent's
        """Say nothing."""


Step = Callable[[Handler], None]


@attrs.frozen
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server(ThreadingHTTPServer):
    """A hub, and under its other name `localhost` a storage; for each path a list of steps."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        port = self.server_address[1]
        self.hub, self.storage = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
        self.script: dict[str, list[Step]] = {}
        self.seen: list[Seen] = []
        self.released = threading.Event()
        self._lock = threading.Lock()

    def step(self, seen: Seen) -> Step:
        """What is to be done; the last step of a path is repeated."""
        with self._lock:
            self.seen.append(seen)
            steps = self.script[seen.path.partition("?")[0]]
            return steps.pop(0) if len(steps) > 1 else steps[0]

    def exchange(self, **options: Any) -> Exchange:
        """An exchange with this hub, without a token and with little patience."""
        settings = {"token": False, "limits": DEFAULT_LIMITS, "meter": Meter(), "patience": QUICK, **options}
        return Exchange(endpoint=self.hub, **settings)

    def get(self, *steps: Step, exchange: Exchange | None = None, most: int = 100, **options: Any) -> Answer:
        """The answer for a path with these steps."""
        self.script["/a"] = list(steps)
        asked = exchange or self.exchange()
        return asked.get(f"{self.hub}/a", what="the listing", most=most, **options)

    def handle_error(self, *_arguments: object) -> None:
        """Clients that hang up are what is tested here."""


def forget_sessions() -> None:
    """Have huggingface_hub close what it has open, as it does itself after some failures."""
    forget = getattr(huggingface_hub, "close_session", None) or utils.reset_sessions
    forget()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, and a client that has no connections from before."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    forget_sessions()
    yield server
    server.released.set()
    forget_sessions()
    server.shutdown()
    server.server_close()


def reply(status: int = 200, body: bytes = b"ok", *, length: int | None = None, **headers: str) -> Step:
    """A plain answer; a header `retry_after=` becomes `Retry-After`."""

    def step(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        if length is not None:
            handler.close_connection = True

    return step


def redirect(location: str, status: int = 302, body: bytes = b"", **headers: str) -> Step:
    """A redirect."""
    return reply(status, body, location=location, **headers)


def drop(handler: Handler) -> None:
    """End the connection without a word."""
    handler.close_connection = True


def chunked(*chunks: bytes, whole: bool = True) -> Step:
    """A body of a length that is not told."""

    def step(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for chunk in (*chunks, b"") if whole else chunks:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        handler.close_connection = True

    return step


def trickle(beginning: bytes) -> Step:
    """An answer that begins, and goes on byte by byte until the test is over or nobody listens."""

    def step(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(beginning)
        while not handler.server.released.wait(0.01):
            handler.wfile.write(b"x")

    return step


def test_an_answer_is_given_as_it_came(server: Server) -> None:
    """Status, headers and body are those of the server; a request is introduced, plain and counted."""
    exchange = server.exchange(token=TOKEN)

    answer = server.get(
        reply(206, b"\x1f\x8b raw", x_repo_commit="c"), exchange=exchange, byte_range="bytes=0-9"
    )

    assert (answer.status, answer.body, answer.headers["x-repo-commit"]) == (206, b"\x1f\x8b raw", "c")
    assert answer.first_headers == answer.headers
    assert (answer.on_hub, answer.redirected, answer.with_token) == (True, False, True)
    assert (exchange.meter.requests, exchange.meter.bytes_read) == (1, 6)
    (seen,) = server.seen
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["range"] == "bytes=0-9"
    assert seen.headers["user-agent"].startswith("embaudit/")


def test_nothing_secret_is_in_a_repr(server: Server) -> None:
    """An answer shows neither its address nor the headers that hold one."""
    server.script["/b"] = [reply(set_cookie="hush")]
    answer = server.get(redirect("/b?Signature=hush"))

    assert "hush" in answer.url
    assert "hush" not in repr(answer)
    assert "hush" not in str(dict(answer.headers)) + str(dict(answer.first_headers))


def test_a_form_is_posted_and_kept_over_a_redirect(server: Server) -> None:
    """A form arrives in order, and 307 carries method and body to the new place."""
    fields = [("paths", "a b"), ("paths", "ü&="), ("expand", "true")]
    server.script |= {"/old": [redirect("/new", 307)], "/new": [reply(200, b"[]")]}

    answer = server.exchange().post_form(f"{server.hub}/old", what="paths", fields=fields, most=2)

    assert answer.body == b"[]"
    assert [(seen.method, seen.path) for seen in server.seen] == [("POST", "/old"), ("POST", "/new")]
    assert parse_qsl(server.seen[1].body.decode()) == fields


@pytest.mark.parametrize(
    "step",
    [redirect("/b", 302), redirect("/b", 303), redirect("//localhost/b", 307)],
    ids=["302", "303", "off"],
)
def test_a_form_does_not_leave(server: Server, step: Step) -> None:
    """A redirect that would lose the form, or carry it to another host, is an error."""
    server.script |= {"/a": [step], "/b": [reply()]}

    with pytest.raises(SourceError, match="redirect"):
        server.exchange().post_form(f"{server.hub}/a", what="paths", fields=[("a", "b")], most=2)

    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_on_the_hub_keep_the_token(server: Server, status: int) -> None:
    """A redirect on the hub is followed with credentials; the headers of the first answer are kept."""
    server.script["/b"] = [reply(x_last="2")]
    exchange = server.exchange(token=TOKEN)

    answer = server.get(redirect("b?x=1", status, b"moved", x_first="1"), exchange=exchange)

    assert (answer.url, answer.redirected) == (f"{server.hub}/b?x=1", True)
    assert answer.first_headers["x-first"] == "1"
    assert answer.headers["x-last"] == "2"
    assert [seen.headers.get("authorization") for seen in server.seen] == [f"Bearer {TOKEN}"] * 2
    assert (exchange.meter.requests, exchange.meter.bytes_read) == (2, len(b"moved") + len(b"ok"))


def test_credentials_stay_on_the_hub(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Neither token nor cookie nor what ~/.netrc holds goes to another origin, nor back from there."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login user password word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.script |= {"/cdn": [redirect(f"{server.hub}/back")], "/back": [reply()]}
    exchange = server.exchange(token=TOKEN)

    away = redirect(f"{server.storage}/cdn", set_cookie="session=1")
    answer = server.get(away, exchange=exchange, crosses=True, byte_range="bytes=0-1")

    assert (answer.on_hub, answer.with_token) == (True, True)
    assert [seen.path for seen in server.seen] == ["/a", "/cdn", "/back"]
    assert ["authorization" in seen.headers for seen in server.seen] == [True, False, False]
    assert not any("cookie" in seen.headers for seen in server.seen)
    assert {seen.headers["range"] for seen in server.seen} == {"bytes=0-1"}


def test_a_known_address_is_asked_without_credentials(server: Server) -> None:
    """A signed address is used again without a token, and its refusal is an answer: it may have expired."""
    server.script["/cdn"] = [reply(206), reply(403, b"expired")]
    exchange = server.exchange(token=TOKEN)
    signed = f"{server.storage}/cdn?Signature=hush"

    answers = [exchange.get(signed, what="'a'", most=2, known=True) for _ in range(2)]

    assert [(answer.status, answer.on_hub, answer.with_token) for answer in answers] == [
        (206, False, False),
        (403, False, False),
    ]
    assert not any("authorization" in seen.headers for seen in server.seen)


def test_an_address_elsewhere_has_to_be_known(server: Server) -> None:
    """An address off the hub, as a wrong `Link` gives it, is refused before anything is sent."""
    with pytest.raises(SourceError, match="another host"):
        server.exchange(token=TOKEN).get(f"{server.storage}/a?x=hush", what="'a'", most=2)

    assert server.seen == []


BAD_REDIRECTS = {
    "a circle": ("/a", {}, "circle"),
    "ever further": ("", {}, f"more than {MOST_REDIRECTS} redirects"),
    "to a file": ("file:///etc/passwd", {"crosses": True}, "not one of http or https"),
    "to nowhere": (None, {}, "leads nowhere"),
    "to another host": ("http://localhost:9/hush", {}, r"another host \(localhost\)"),
    "to another port": ("http://127.0.0.1:9/hush", {}, "another host"),
    "to a host with a name": ("http://hush@localhost/", {"crosses": True}, "a name in the address"),
    "to no address": ("http://[hush/", {"crosses": True}, "malformed|not HTTP"),
}


@pytest.mark.parametrize(("location", "options", "says"), BAD_REDIRECTS.values(), ids=BAD_REDIRECTS)
def test_bad_redirects_end_in_an_error(
    server: Server, location: str | None, options: dict[str, Any], says: str
) -> None:
    """A redirect that leads in a circle, on and on, nowhere, or where it must not, is one clear error."""
    further = [redirect(f"/a?{i}") for i in range(10)]
    steps = further if location == "" else [reply(302) if location is None else redirect(location)]

    with pytest.raises(SourceError, match=says) as caught:
        server.get(*steps, **options)

    assert "hush" not in str(caught.value)
    assert len(server.seen) <= MOST_REDIRECTS + 1


def test_a_redirect_of_any_size_is_not_read_whole(server: Server) -> None:
    """The body of a redirect is read as far as a sentence goes, and no further."""
    server.script["/b"] = [reply()]
    exchange = server.exchange()

    server.get(redirect("/b", body=b"x" * 3_000_000), exchange=exchange)

    assert REFUSAL_BYTES <= exchange.meter.bytes_read < 3_000_000


def test_https_is_never_left_for_http() -> None:
    """A redirect from https to http is refused, on the hub's own host too; the other way is allowed."""
    hub = origin_of("https://hub.example", what="it")
    options: dict[str, Any] = {"crosses": True, "what": "it"}

    for host in ("hub.example", "cdn.example"):
        with pytest.raises(SourceError, match="from https to http"):
            redirect_target(f"http://{host}/a", current="https://hub.example/a", hub=hub, **options)
    upgraded = redirect_target("https://hub.example/a#x", current="http://hub.example/b", hub=hub, **options)

    assert upgraded == "https://hub.example/a"


@given(st.text(max_size=50), st.booleans())
def test_any_location_is_a_target_or_an_error(location: str, crosses: bool) -> None:
    """Whatever stands in `Location`, the target is on the hub, or crossing was allowed, or it is an error."""
    current = "https://hub.example/a/b"
    hub = origin_of(current, what="it")
    try:
        target = redirect_target(location, current=current, hub=hub, crosses=crosses, what="it")
    except SourceError:
        return

    assert target.startswith("https://")
    assert crosses or origin_of(target, what="it") == hub


def test_what_is_shown_of_an_address() -> None:
    """A message holds scheme, host and path of an address, and nothing else."""
    assert without_secrets("https://user:word@host:1/a/b?c=d#e") == "https://host:1/a/b"
    assert without_secrets("https://[") == ""


RECOVERIES: dict[str, Sequence[Step]] = {
    "dropped": [drop, drop, reply()],
    "503": [reply(503), reply(500), reply()],
    "408 and 504": [reply(408), reply(504), reply()],
    "502 of any size": [reply(502, b"x" * 100_000), reply()],
    "short": [reply(length=10), reply()],
    "short without a length": [chunked(b"o", whole=False), reply()],
    "429, bucket": [reply(429, RateLimit='"api";r=0;t=0'), reply()],
    "429, retry after": [reply(429, retry_after="0"), reply()],
    "429, date": [reply(429, retry_after=formatdate(time.time() - 9, usegmt=True)), reply()],
    "429, nothing": [reply(429), reply()],
    "503, retry after": [reply(503, retry_after="0"), reply()],
}


@pytest.mark.parametrize("steps", RECOVERIES.values(), ids=RECOVERIES)
def test_what_passes_is_asked_again(server: Server, steps: Sequence[Step]) -> None:
    """A dropped connection, a short body, a failing or busy server: the next good answer counts."""
    exchange = server.exchange()

    answer = server.get(*steps, exchange=exchange)

    assert (answer.status, answer.body) == (200, b"ok")
    assert exchange.meter.requests == len(server.seen) == len(steps)


def test_a_client_that_is_closed_meanwhile_is_replaced(server: Server) -> None:
    """huggingface_hub closes the client of all threads after a failure in one; the others ask again."""

    def close_and_reply(handler: Handler) -> None:
        forget_sessions()
        reply()(handler)

    answer = server.get(close_and_reply, reply())

    assert answer.body == b"ok"


LOST: dict[str, tuple[Step, int, str]] = {
    "dropped": (drop, 3, r"the listing: .*\(attempts: 3\)"),
    "503": (reply(503), 3, r"the hub failed \(503\) \(attempts: 3\)"),
    "501": (reply(501), 1, r"the hub failed \(501\) \(asking again would not help\)"),
    "short": (reply(length=10), 3, "ended|broke off"),
    "429": (reply(429), 3, r"too many requests \(429\), and allows more with a token"),
    "429, five minutes": (
        reply(429, RateLimit='"api";r=0;t=290', retry_after="0"),
        1,
        r"asks to wait 290 seconds, and embaudit waits 20 at most",
    ),
    "503, an hour": (reply(503, retry_after="3600"), 1, "asks to wait 3600 seconds"),
    "no contents": (reply(204, b""), 1, "status 204"),
    "not modified": (reply(304, b""), 1, "status 304"),
}


@pytest.mark.parametrize(("step", "attempts", "says"), LOST.values(), ids=LOST)
def test_what_stays_is_one_clear_error(server: Server, step: Step, attempts: int, says: str) -> None:
    """After the last attempt, or at once where waiting is of no use, there is one error that says why."""
    with pytest.raises(SourceError, match=says) as caught:
        server.get(step)

    assert len(server.seen) == attempts
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_nobody_there(server: Server) -> None:
    """A hub that refuses connections is an error after the retries."""
    exchange = Exchange(
        endpoint="http://127.0.0.1:1/", token=False, limits=DEFAULT_LIMITS, meter=Meter(), patience=QUICK
    )

    with pytest.raises(SourceError, match=r"it: the connection was refused \(attempts: 3\)"):
        exchange.get("http://127.0.0.1:1/a", what="it", most=1)

    assert server.seen == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 416])
def test_refusals_are_answers(server: Server, status: int) -> None:
    """A 4xx comes back as it is, cut in length, whatever length was allowed for contents."""
    answer = server.get(reply(status, b"x" * 100_000, X_Error_Code="C"), most=1)

    assert (answer.status, answer.headers["x-error-code"]) == (status, "C")
    assert answer.body == b"x" * REFUSAL_BYTES
    assert len(server.seen) == 1


TOO_MUCH: dict[str, tuple[Step, dict[str, Any], str]] = {
    "by its length": (reply(body=b"x" * 101), {}, "more than the 100 bytes"),
    "by what comes": (chunked(b"x" * 60, b"x" * 60), {}, "more than the 100 bytes"),
    "range ignored": (reply(body=b"x" * 101), {"byte_range": "bytes=0-99"}, "ignored the range"),
    "more than the range": (reply(206, b"x" * 101), {"byte_range": "bytes=0-99"}, "more than the 100 bytes"),
}


@pytest.mark.parametrize(("step", "options", "says"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_body_is_bounded(server: Server, step: Step, options: dict[str, Any], says: str) -> None:
    """More than may come is an error, and is not read to its end; as much as may come is not."""
    with pytest.raises(SourceError, match=says):
        server.get(step, **options)

    assert server.get(chunked(b"x" * 60, b"x" * 40)).body == b"x" * 100


def test_compressed_answers_are_refused(server: Server) -> None:
    """An answer that is compressed although it must not be is an error, not other bytes."""
    with pytest.raises(SourceError, match=r"compressed \(gzip\)"):
        server.get(reply(body=gzip.compress(b"ok"), content_encoding="gzip"))

    assert server.get(reply(content_encoding="identity")).body == b"ok"


SLOW_ANSWERS = {
    "status": trickle(b"HTTP/1.1 200 "),
    "headers": trickle(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "body": trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"),
    "refusal": trickle(b"HTTP/1.1 404 Not Found\r\nContent-Length: 50000\r\n\r\n"),
    "redirect": trickle(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 50000\r\n\r\n"),
}


@pytest.mark.parametrize("step", SLOW_ANSWERS.values(), ids=SLOW_ANSWERS)
def test_a_trickle_ends_in_an_error(server: Server, step: Step) -> None:
    """A server that sends a byte now and then, which no timeout of a client notices, is given up in time."""
    began = time.monotonic()

    with pytest.raises(SourceError, match=r"takes too long: allowed are 0\.2 seconds .* \(attempts: 2\)"):
        server.get(step, exchange=server.exchange(patience=SLOW), most=100_000)

    assert time.monotonic() - began < CEILING


def test_what_was_given_up_asks_nothing_more(server: Server) -> None:
    """A redirect that comes when nobody waits for it any more is not followed."""
    given_up = threading.Event()
    server.script["/b"] = [reply()]

    def late(handler: Handler) -> None:
        given_up.wait(CEILING)
        redirect("/b")(handler)

    with pytest.raises(SourceError, match="takes too long"):
        server.get(late, exchange=server.exchange(patience=attrs.evolve(SLOW, attempts=1)))
    given_up.set()
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(CEILING)

    assert [seen.path for seen in server.seen] == ["/a"]


def test_waiting_has_a_ceiling(server: Server) -> None:
    """Failed attempts and waits together are bounded, however many attempts are allowed."""
    patience = attrs.evolve(QUICK, attempts=10_000, first_wait=0.02, longest_wait=0.02, ceiling=0.3)

    with pytest.raises(SourceError, match=r"failed \(503\) \(attempts: \d+, in \d+ seconds\)"):
        server.get(reply(503), exchange=server.exchange(patience=patience))

    assert len(server.seen) < 100


@pytest.mark.parametrize(
    ("limit", "value", "requests"), [("requests", 3, 3), ("received_bytes", 7, 4), ("received_bytes", 6, 3)]
)
def test_budgets_hold_over_all_requests(server: Server, limit: str, value: int, requests: int) -> None:
    """A budget is held over all requests of an exchange; the error names it and how to raise it."""
    exchange = server.exchange(limits=attrs.evolve(DEFAULT_LIMITS, **{limit: value}))

    with pytest.raises(LimitError, match=rf"Limits\({limit}=\.\.\.\)") as caught:
        [server.get(reply(), exchange=exchange) for _ in range(10)]

    assert caught.value.limit == limit
    assert exchange.meter.requests == len(server.seen) == requests


def test_retries_and_redirects_spend_the_budget(server: Server) -> None:
    """A server cannot make us ask more often than the budget allows, by failing or by redirecting."""
    exchange = server.exchange(limits=attrs.evolve(DEFAULT_LIMITS, requests=2))

    with pytest.raises(LimitError):
        server.get(reply(503), exchange=exchange)

    assert len(server.seen) == 2


def test_requests_at_the_same_time_are_bounded(server: Server) -> None:
    """Of many threads that ask, as many as may are served side by side, and no more."""
    lock, full = threading.Lock(), threading.Event()
    now, most = 0, 0

    def busy(handler: Handler) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now >= MOST_IN_FLIGHT:
                full.set()
        full.wait(CEILING)
        time.sleep(0.05)  # whoever is one too many comes now
        with lock:
            now -= 1
        reply()(handler)

    exchange = server.exchange(patience=attrs.evolve(QUICK, grace_seconds=CEILING, read_seconds=CEILING))
    with ThreadPoolExecutor(2 * MOST_IN_FLIGHT) as pool:
        answers = list(pool.map(lambda _: server.get(busy, exchange=exchange), range(2 * MOST_IN_FLIGHT)))

    assert {answer.body for answer in answers} == {b"ok"}
    assert most == MOST_IN_FLIGHT
    assert exchange.meter.requests == len(answers)


def test_waiting_for_a_place_spends_no_patience(server: Server) -> None:
    """A request that queued longer than the ceiling behind others is repeated like any other."""
    full = threading.Barrier(MOST_IN_FLIGHT + 1)

    def slow(handler: Handler) -> None:
        full.wait(CEILING)
        time.sleep(1.5)
        reply()(handler)

    patience = attrs.evolve(QUICK, ceiling=1.0, grace_seconds=CEILING, read_seconds=CEILING)
    exchange = server.exchange(patience=patience)
    server.script["/slow"] = [slow]
    with ThreadPoolExecutor(MOST_IN_FLIGHT) as pool:
        busy = [
            pool.submit(exchange.get, f"{server.hub}/slow", what="it", most=100)
            for _ in range(MOST_IN_FLIGHT)
        ]
        full.wait(CEILING)
        answer = server.get(reply(503), reply(), exchange=exchange)

    assert answer.body == b"ok"
    assert all(each.result().body == b"ok" for each in busy)


def test_offline_is_a_target_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub's own switch is obeyed before anything is sent, also if it is set after the start."""
    exchange = server.exchange()
    server.get(reply(), exchange=exchange)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    for asked in (exchange, server.exchange()):
        with pytest.raises(OfflineError, match="HF_HUB_OFFLINE") as caught:
            server.get(reply(), exchange=asked)
        assert isinstance(caught.value, TargetError)

    assert len(server.seen) == 1


def test_a_client_that_refuses_offline_is_understood(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own refusal to send anything means the same as the switch that we look at."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    request = Request(
        method="GET", url=f"{server.hub}/a", headers={}, anonymous=False, connect_seconds=1, read_seconds=1
    )

    with pytest.raises(OfflineError, match="HF_HUB_OFFLINE"), opened(huggingface_hub.get_session(), request):
        pass

    assert server.seen == []


def test_a_token_that_is_asked_for_has_to_be_there(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`token=True` without a stored token is an error that says how to log in."""
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere/token")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)

    with pytest.raises(TargetError, match="hf auth login"):
        server.get(reply(), exchange=server.exchange(token=True))


def test_a_token_that_is_no_header_stays_secret(server: Server) -> None:
    """A token that cannot be sent is an error at once, and not part of it."""
    with pytest.raises(SourceError, match="could not be written") as caught:
        server.get(reply(), exchange=server.exchange(token="hush\nhush"))

    assert "hush" not in str(caught.value)


ASKED = {
    "the bucket": (429, {"ratelimit": '"api";r=0;t=55', "retry-after": "7"}, 55),
    "the empty bucket": (429, {"ratelimit": '"api";r=3;t=99, "resolvers";r=0;t=55'}, 55),
    "a bucket, none empty": (429, {"ratelimit": '"api" ; r = 3 ; t = 99'}, 99),
    "seconds": (429, {"retry-after": " 7 "}, 7),
    "not understood": (429, {"ratelimit": "t=5", "retry-after": "soon"}, None),
    "absurd": (429, {"retry-after": "9" * 5000}, None),
    "a bucket that is not the cause": (503, {"ratelimit": '"api";r=0;t=55'}, None),
    "unavailable": (503, {"retry-after": "7"}, 7),
    "another failure": (500, {"retry-after": "7"}, None),
    "by the server's clock": (
        503,
        {"retry-after": "Wed, 21 Oct 2015 07:28:10 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"},
        10,
    ),
    "in the past": (503, {"retry-after": "Wed, 21 Oct 2015 07:28:10 GMT"}, 0),
}


@pytest.mark.parametrize(("status", "headers", "seconds"), ASKED.values(), ids=ASKED)
def test_how_long_the_hub_asks_to_wait(status: int, headers: dict[str, str], seconds: float | None) -> None:
    """The bucket's time counts for 429, then `Retry-After` in both forms; nothing else does."""
    assert seconds_asked(status, headers) == seconds


@given(st.integers(1, 1000))
def test_waits_grow_up_to_a_bound(attempt: int) -> None:
    """Every wait lies between half of the doubled time and all of it."""
    doubled = min(PATIENCE.longest_wait, PATIENCE.first_wait * 2.0 ** (attempt - 1))

    assert doubled / 2 <= PATIENCE.wait_after(attempt) <= doubled
