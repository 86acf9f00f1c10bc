"""A conversation: one client connection, seen from its server.

The idea: bytes come in, complete requests come out of h11, and whoever owns the server decides what happens
then; an answer that takes time is a ``Play``, a generator that says what it waits for. The constraint: a
connection answers one request after the other and stays usable after a whole answer, as a real server's does,
because pools and their reuse are under test. A handler coroutine for each connection was refused: the server
would need a loop, and then a blocking client could not be served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from simkit.contracts import HttpRequest
from simkit.dialects.http import HttpConnection
from simkit.model.duration import FOREVER
from simkit.provider.stage import Line, Stage, Timer

# A play of an answer: yields what it waits for. Nanoseconds; ``TURN``, so that what was sent can be read by itself;
# or ``WOKEN``, until the client has read or somebody wakes it (it may be woken for nothing).
Play = Iterator[int]
TURN: Final = 0
WOKEN: Final = -1


class Conversation:
    """One connection of a server: reads requests, plays answers, and notices when the client goes."""

    def __init__(self, stage: Stage, line: Line, answer: Callable[[Conversation, HttpRequest], None]) -> None:
        self.line = line
        self.http = HttpConnection()
        self._stage = stage
        self._answer = answer
        self._play: Play | None = None
        self._timer: Timer | None = None
        self._sleeps = False
        # Called once when the client leaves in the middle of an answer.
        self.on_client_gone: Callable[[], None] | None = None

    # -- from the network ------------------------------------------------------------------------------------------
    def received(self, data: bytes) -> None:
        """Read what came, and answer every request that is complete."""
        self.line.consumed(len(data))
        self._serve(self.http.feed(data))

    def ended(self) -> None:
        """The client will send no more: for HTTP clients that means that it is gone."""
        self._client_gone()
        self.line.close()

    def lost(self, error: OSError) -> None:
        """The client broke the connection."""
        self._client_gone()

    def drained(self) -> None:
        """The client has read: an answer that waited for that goes on."""
        self.wake()

    def _serve(self, requests: list[HttpRequest]) -> None:
        self.line.send(self.http.take_output())
        for request in requests:
            self._answer(self, request)
        if self.http.must_close and self._play is None:
            self.line.close()

    def _client_gone(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._play = self._timer = None
        if self.on_client_gone is not None:
            gone, self.on_client_gone = self.on_client_gone, None
            gone()

    # -- answering ---------------------------------------------------------------------------------------------------
    def play(self, play: Play) -> None:
        """Start an answer that takes time."""
        self._play = play
        self._go_on()

    def wake(self) -> None:
        """Let an answer go on that waits to be woken."""
        if self._sleeps:
            self._go_on()

    def _go_on(self) -> None:
        play, self._timer, self._sleeps = self._play, None, False
        if play is None:
            return
        wait = next(play, None)
        if wait is None:
            # What was pipelined behind this answer may be playing already.
            self._play = None if self._play is play else self._play
        elif wait == WOKEN:
            self._sleeps = True
        elif wait == TURN:
            self._timer = self.line.turn(self._go_on)
        elif wait != FOREVER:
            label = f"the answer on connection {self.line.connection}"
            self._timer = self._stage.call_later_ns(wait, self._go_on, label)

    def send_whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole answer at once and be ready for the next request."""
        self.line.send(self.http.whole(status, headers, body))
        self.finished()

    def hang_up(self, how: str) -> None:
        """End the connection in the middle of an answer: broken (``reset``), or only closed."""
        self.on_client_gone = None
        if how == "reset":
            self.line.reset()
        else:
            self.line.close()

    def finished(self) -> None:
        """The answer is out: go on with what was pipelined behind it, or close if the exchange asked for it."""
        self.on_client_gone = self._play = None
        self.line.answered()
        if self.http.must_close:
            self.line.close()
        else:
            self._serve(self.http.next_requests())
