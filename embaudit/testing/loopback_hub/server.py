"""Sockets: a server that gives each connection a thread and each request an answer, and closes at once.

It knows HTTP/1.1 on the wire; what is answered is somebody else's.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any, Protocol

from embaudit.testing.loopback_hub.messages import Origin, Request, Response

_BACKLOG = 128
"""Connections that wait to be accepted; with socketserver's 5, clients with many workers are reset."""
_POLL_SECONDS = 0.02


class Served(Protocol):
    """What the server asks of the hub."""

    def respond(self, request: Request) -> tuple[Response, Callable[[int], None]]:
        """The answer, and what is to be told how many bytes of the body were sent."""
        ...


class HubServer(TCPServer):
    """One origin of the hub: listens on a port of the loopback interface until it is closed.

    Its threads are daemons, so that a hub that nobody closed keeps no process alive; `close` waits for them.
    """

    request_queue_size = _BACKLOG
    allow_reuse_address = True

    def __init__(self, served: Served, origin: Origin) -> None:
        self.served = served
        self.origin = origin
        self.closing = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", 0), _Connection)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name=f"loopback-{origin}", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port."""
        return int(self.server_address[1])

    def close(self) -> None:
        """Accept nothing more, cut every connection, and wait for the threads."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        for connection in self._open:
            _cut(connection)
        for thread in self._open.values():
            thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, and remember both until the thread has ended."""
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        thread.start()
        self._open = {held: its for held, its in self._open.items() if its.is_alive()} | {request: thread}

    def _serve(self, connection: socket.socket, client_address: Any) -> None:
        """Answer a connection until it ends. What is our own fault ends the thread, and is seen."""
        try:
            self.finish_request(connection, client_address)
        finally:
            self.shutdown_request(connection)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Connection(BaseHTTPRequestHandler):
    """One connection, kept alive from request to request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    """Without this, small answers on a connection that is kept alive wait 40 ms for an acknowledgement."""
    wbufsize = 0
    server: HubServer

    def handle(self) -> None:
        """Answer requests until the client goes, or the hub closes."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Print nothing: the hub keeps a log of its own."""

    def do_GET(self) -> None:
        """Answer a `GET`."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer a `HEAD`, with the headers of a `GET` and no body."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a `POST`."""
        self._answer()

    def _answer(self) -> None:
        response, sent = self.server.served.respond(self._request())
        n_sent = 0
        try:
            for head, piece in self._pieces(response):
                self.connection.sendall(piece)
                n_sent += 0 if head else len(piece)
        finally:
            sent(n_sent)

    def _request(self) -> Request:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", "0"))
        return Request(
            method=self.command,
            origin=self.server.origin,
            path=path,
            query=query,
            headers=headers,
            body=self.rfile.read(length),
        )

    def _pieces(self, response: Response) -> Iterator[tuple[bool, bytes]]:
        """What is sent, a piece at a time, each with whether it is of the head; pauses lie between."""
        how = response.delivery
        if how.silent or self._stops(how.wait):
            self.close_connection = True
            return
        most = how.pieces + (0 if how.header_piece else 1)
        for n, (head, piece) in enumerate(self._all_pieces(response)):
            if n and how.pieces and (n == most or self._stops(how.pause)):
                self.close_connection = True
                return
            yield head, piece

    def _all_pieces(self, response: Response) -> Iterator[tuple[bool, bytes]]:
        how = response.delivery
        head = self._head(response)
        step = how.header_piece or len(head)
        for start in range(0, len(head), step):
            yield True, head[start : start + step]
        if self.command == "HEAD":
            return
        body = response.body
        if how.stop_after is not None:
            body = body.part(0, how.stop_after)
            self.close_connection = True
        for chunk in body.chunks(how.body_piece) if how.body_piece else body.chunks():
            yield False, chunk

    def _head(self, response: Response) -> bytes:
        lines = [f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('',))[0]}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if response.header("Content-Length") is None:
            lines.append(f"Content-Length: {response.body.size}")
        lines.append(f"Date: {self.date_time_string(int(time.time()))}")
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    def _stops(self, seconds: float) -> bool:
        """Wait; True if the hub closed meanwhile."""
        return self.server.closing.wait(seconds) if seconds else self.server.closing.is_set()
