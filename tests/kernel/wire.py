"""Servers of a few lines for the simulated network, and a protocol that writes down what it is called with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from simkit.contracts import HttpRequest
from simkit.dialects.http import HttpConnection
from simkit.kernel.network import Endpoint
from simkit.kernel.world import World


class Http:
    """One HTTP connection of a server; ``answer`` is called with each request and writes with ``endpoint.send``."""

    def __init__(self, endpoint: Endpoint, answer: Callable[[Http, HttpRequest], None]) -> None:
        self.endpoint = endpoint
        self.connection = HttpConnection()
        self._answer = answer

    def received(self, data: bytes) -> None:
        self.endpoint.consumed(len(data))
        for request in self.connection.feed(data):
            self._answer(self, request)

    def ended(self) -> None:
        self.endpoint.close()

    def lost(self, error: OSError) -> None:
        pass

    def drained(self) -> None:
        pass

    def say(self, text: str) -> None:
        self.endpoint.send(self.connection.whole(200, {}, text.encode()))


def greet(http: Http, request: HttpRequest) -> None:
    http.say(f"hello {request.path}")


def serve_http(world: World, name: str, answer: Callable[[Http, HttpRequest], None] = greet) -> None:
    world.network.declare(name).serve(lambda endpoint: Http(endpoint, answer))


class Peer:
    """A server's side that does nothing by itself: a test drives its endpoint, and reads what came."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.heard: list[object] = []

    def received(self, data: bytes) -> None:
        self.endpoint.consumed(len(data))
        self.heard.append(data)

    def ended(self) -> None:
        self.heard.append("end")

    def lost(self, error: OSError) -> None:
        self.heard.append(type(error).__name__)

    def drained(self) -> None:
        pass


def serve_peer(world: World, name: str = "peer.example.com", *, first: bytes = b"", latency_ns: int = 0) -> list[Peer]:
    """Declare a host, and return the list that its connections are put into."""
    peers: list[Peer] = []

    def accept(endpoint: Endpoint) -> Peer:
        peers.append(Peer(endpoint))
        endpoint.send(first)
        return peers[-1]

    host = world.network.declare(name)
    host.link.latency_ns = latency_ns
    host.serve(accept)
    return peers


class Diary(asyncio.Protocol):
    """A client's protocol that writes down every call."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.calls: list[object] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keep_open = keep_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self._keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(("lost", type(exc).__name__))
        if not self.over.done():
            self.over.set_result(None)


def steps(*calls: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that does one thing after the other and returns what the last one gave."""

    def run() -> Any:
        return [call() for call in calls][-1]

    return run
