"""A conversation: one client connection, seen from a server of the simulated network.

The idea: bytes come in, complete requests come out of h11, and whoever owns the server decides what happens
then. The constraint: a connection answers one request after the other and stays usable after a whole answer, as
a real server's does, because pools and their reuse are under test. A handler coroutine for each connection was
refused: the server would need a loop, and then a blocking client could not be served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from simkit.dialects.http import HttpConnection, Request
from simkit.model.duration import FOREVER

if TYPE_CHECKING:
    from simkit.kernel.agenda import Entry
    from simkit.kernel.network import Endpoint
    from simkit.kernel.world import World

# A play of an answer: yields the nanoseconds that pass before it goes on.
Play = Iterator[int]


class Conversation:
    """One connection of a server: reads requests, plays answers, and notices when the client goes."""

    def __init__(self, world: World, endpoint: Endpoint, answer: Callable[[Conversation, Request], None]) -> None:
        self.endpoint = endpoint
        self.http = HttpConnection()
        self._world = world
        self._answer = answer
        self._next: Entry | None = None
        # Called once when the client leaves in the middle of an answer.
        self.on_client_gone: Callable[[], None] | None = None

    # -- from the network ------------------------------------------------------------------------------------------
    def received(self, data: bytes) -> None:
        """Read what came, and answer every request that is complete."""
        self.endpoint.consumed(len(data))
        self._serve(self.http.feed(data))

    def ended(self) -> None:
        """The client will send no more: for HTTP clients that means that it is gone."""
        self._client_gone()
        self.endpoint.close()

    def lost(self, error: OSError) -> None:
        """The client broke the connection."""
        self._client_gone()

    def drained(self) -> None:
        """The client has read; what is still to send goes by itself."""

    def _serve(self, requests: list[Request]) -> None:
        self.endpoint.send(self.http.take_output())
        for request in requests:
            self._answer(self, request)
        if self.http.must_close and self._next is None:
            self.endpoint.close()

    def _client_gone(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self.on_client_gone is not None:
            gone, self.on_client_gone = self.on_client_gone, None
            gone()

    # -- answering ---------------------------------------------------------------------------------------------------
    def play(self, play: Play) -> None:
        """Start an answer that takes virtual time."""
        self._go_on(play)

    def _go_on(self, play: Play) -> None:
        self._next = None
        for delay_ns in play:
            if delay_ns == FOREVER:
                return
            label = f"the answer on connection {self.endpoint.connection}"
            self._next = self._world.call_later_ns(delay_ns, lambda: self._go_on(play), label=label)
            return

    def send_whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole answer at once and be ready for the next request."""
        self.endpoint.send(self.http.whole(status, headers, body))
        self.finished()

    def finished(self) -> None:
        """The answer is out: go on with what was pipelined behind it, or close if the exchange asked for it."""
        self.on_client_gone = None
        if self.http.must_close:
            self.endpoint.close()
        else:
            self._serve(self.http.next_requests())
