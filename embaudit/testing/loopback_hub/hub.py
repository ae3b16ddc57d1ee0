"""The loopback hub: two servers on this machine that answer as the Hugging Face hub and its CDN do."""

import itertools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from os import PathLike

import attrs

from embaudit.testing.loopback_hub.answers import answer
from embaudit.testing.loopback_hub.client import environment, in_process
from embaudit.testing.loopback_hub.faults import Fault
from embaudit.testing.loopback_hub.messages import Origin, Request, Response
from embaudit.testing.loopback_hub.server import HubServer
from embaudit.testing.loopback_hub.site import Settings, Site


@attrs.frozen(kw_only=True)
class LoggedRequest:
    """A request that came, and what was sent.

    Attributes:
        method: `GET`, `HEAD` or `POST`.
        origin: `hub` or `cdn`.
        path: The path as it came, still quoted.
        query: The query as it came.
        range: The `Range` header, or None.
        status: The status of the answer; 0 if the connection was closed instead.
        sent_bytes: Bytes of the body that were sent.
        had_credentials: Whether a token or a cookie came along.
    """

    method: str
    origin: Origin
    path: str
    query: str = attrs.field(repr=False)
    range: str | None
    status: int
    sent_bytes: int
    had_credentials: bool


class LoopbackHub(Site):
    """A Hugging Face hub on this machine, for tests: repositories, a request log, and faults.

        with LoopbackHub() as hub, hub.in_process():
            repository = hub.create("org/name")
            commit = repository.commit({"config.json": b"{}", "model.safetensors": weights})
            ...

    What it leaves out: Xet, data sets and spaces, uploads, the `safetensors` summary and the
    `safetensors-metadata` route.

    Args:
        latency: Seconds before each answer of the hub.
        cdn_latency: Seconds before each answer of the CDN.
        quota: Requests of one kind that are answered in one window; 429 after that.
        window: Seconds of a window.
        commits_page: Commits on a page of the history.
        url_seconds: How long a signed URL is good for.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        cdn_latency: float = 0.0,
        quota: int = 1_000_000,
        window: float = 300.0,
        commits_page: int = 50,
        url_seconds: float = 3600.0,
    ) -> None:
        super().__init__(
            Settings(
                latency=latency,
                cdn_latency=cdn_latency,
                quota=quota,
                window=window,
                commits_page=commits_page,
                url_seconds=url_seconds,
            )
        )
        self._log: dict[int, LoggedRequest] = {}
        self._numbers = itertools.count()
        self._faults: list[_Armed] = []
        self._guard = threading.RLock()  # a fault's predicate may look at the log
        self._servers = (HubServer(self, "hub"), HubServer(self, "cdn"))
        # Two host names: to huggingface_hub 1.33 another port of the same host is still the hub.
        self.hub_url = f"http://127.0.0.1:{self._servers[0].port}"
        self.cdn_url = f"http://localhost:{self._servers[1].port}"

    def __enter__(self) -> "LoopbackHub":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering: connections are cut, threads end, ports are free."""
        for server in self._servers:
            server.close()

    @property
    def endpoint(self) -> str:
        """What `HF_ENDPOINT` is to be."""
        return self.hub_url

    @property
    def requests(self) -> tuple[LoggedRequest, ...]:
        """Every request since the start or since `forget`, in the order in which they came."""
        with self._guard:
            return tuple(self._log[number] for number in sorted(self._log))

    def forget(self) -> None:
        """Empty the log."""
        with self._guard:
            self._log.clear()

    def inject(self, *faults: Fault) -> None:
        """Let things go wrong. The first fault that is meant for a request and not used up strikes it."""
        with self._guard:
            self._faults += [_Armed(fault) for fault in faults]

    def heal(self) -> None:
        """Remove every fault that is left."""
        with self._guard:
            self._faults.clear()

    def environment(self, folder: str | PathLike[str]) -> dict[str, str]:
        """The variables that a new process needs to use this hub and nothing of the person who runs it.

        Args:
            folder: The home of its cache.
        """
        return environment(self.endpoint, folder)

    def in_process(self, *, token: str | None = None) -> AbstractContextManager[None]:
        """Point huggingface_hub, as this process has it, at this hub for the length of a `with`.

        Args:
            token: The token that is found without being given, or None for nobody to be logged in.
        """
        return in_process(self.endpoint, token=token)

    def respond(self, request: Request) -> tuple[Response, Callable[[int], None]]:
        """The answer to a request, and what is to be told how many bytes of its body were sent."""
        fault = self._fault_for(request)
        at_hub = request.origin == "hub"
        place = f"{self.hub_url if at_hub else self.cdn_url}{request.target}"
        response = fault.answered(attrs.evolve(answer(self, fault.asked(request)), address=place))
        wait = self.settings.latency if at_hub else self.settings.cdn_latency
        how = response.delivery
        response = attrs.evolve(response, delivery=attrs.evolve(how, wait=how.wait + wait))
        number = self._note(request, response)
        return response, lambda n_bytes: self._correct(number, n_bytes)

    def _fault_for(self, request: Request) -> Fault:
        with self._guard:
            struck = (armed.fault for armed in self._faults if armed.strikes(request))
            return next(struck, Fault())

    def _note(self, request: Request, response: Response) -> int:
        """Log a request before it is answered, so that it is in the log once the client has the answer."""
        silent, has_body = response.delivery.silent, request.method != "HEAD"
        whole = response.body.size if response.delivery.stop_after is None else response.delivery.stop_after
        entry = LoggedRequest(
            method=request.method,
            origin=request.origin,
            path=request.path,
            query=request.query,
            range=request.range,
            status=0 if silent else response.status,
            sent_bytes=whole if has_body and not silent else 0,
            had_credentials=request.has_credentials,
        )
        with self._guard:
            number = next(self._numbers)
            self._log[number] = entry
        return number

    def _correct(self, number: int, n_bytes: int) -> None:
        """Log what was sent in truth, if the client went away or the log was emptied meanwhile."""
        with self._guard:
            if number in self._log:
                self._log[number] = attrs.evolve(self._log[number], sent_bytes=n_bytes)


class _Armed:
    """A fault, and how often it has struck."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._met = 0

    def strikes(self, request: Request) -> bool:
        """Whether it strikes this request; counted if it could."""
        last = None if self.fault.times is None else self.fault.after + self.fault.times
        if (last is not None and self._met >= last) or not self.fault.strikes(request):
            return False
        self._met += 1
        return self._met > self.fault.after
