"""A blocking client as the session's coroutines know clients: a thread reads each answer, and they wait for its pieces.

The idea: the thread hands over what it reads, piece by piece, and whoever waits for it - with the turn's deadline, the
idle deadline and the user's cancellation in view - is woken by whatever comes first. That is the watchdog: no thread
watches another, for the one that waits has the deadline in hand. The constraint it protects: when a request is given
up it is over at the provider too, and its thread ends; one that cannot be ended sends nothing more, and is named.
Reading in the turn's own thread with the deadline as the socket's timeout was refused: any keep-alive resets it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable

from simkit.agent.blocking.clients import BlockingClient
from simkit.agent.blocking.line import Line
from simkit.agent.blocking.threads import Threads
from simkit.agent.clients import Request, Watch
from simkit.agent.decisions import Limits
from simkit.agent.facts import Observe
from simkit.agent.stream import Piece, Token


class Reader:
    """One exchange with the provider, in a thread of its own, and what has come of it that nobody took yet."""

    def __init__(self, threads: Threads, name: str, pieces: Callable[[Reader], Iterable[Piece]]) -> None:
        self.line = Line()
        self.pieces: deque[Piece] = deque()
        self.over = False
        self.error: BaseException | None = None
        self._threads = threads
        threading.Thread(target=self._read, args=(pieces,), name=name, daemon=True).start()

    @property
    def has_news(self) -> bool:
        """Whether there is something to take, or nothing will come any more."""
        return bool(self.pieces) or self.over

    def _read(self, pieces: Callable[[Reader], Iterable[Piece]]) -> None:
        error: BaseException | None = None
        try:
            with self.line.talking():
                for piece in pieces(self):
                    self._tell(piece)
        except BaseException as raised:  # noqa: BLE001  # whoever waits for the answer raises it
            error = raised
        with self._threads.lock:
            self.over, self.error = True, error
            self._threads.notify()

    def _tell(self, piece: Piece) -> None:
        with self._threads.lock:
            self.line.check()
            self.pieces.append(piece)
            self._threads.notify()


class ReaderWatch:
    """The session's watch, told from the reader's thread; an attempt that nobody waits for does not go out."""

    def __init__(self, threads: Threads, line: Line, watch: Watch) -> None:
        self._threads = threads
        self._line = line
        self._watch = watch

    def sent(self, *, whole: bool = False) -> None:
        """Tell that an attempt goes out. Raises ``HungUpError`` where somebody has hung up."""
        with self._threads.lock:
            self._line.check()
            self._watch.sent(whole=whole)

    def answered(self, status: int) -> None:
        """Tell that headers came."""
        with self._threads.lock:
            self._line.check()
            self._watch.answered(status)


class ReadByThreads:
    """A client for the session's coroutines; see ``clients.Client``."""

    def __init__(self, client: BlockingClient, threads: Threads, limits: Limits, observe: Observe) -> None:
        self._client = client
        self._threads = threads
        self._limits = limits
        self._observe = observe
        self._left: list[Reader] = []

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Have a thread send the request, and yield what it reads."""

        def pieces(reader: Reader) -> Iterable[Piece]:
            return self._client.stream(request, ReaderWatch(self._threads, reader.line, watch))

        reader = Reader(self._threads, "answer", pieces)
        try:
            while await self._threads.until(lambda: reader.has_news) and reader.pieces:
                yield reader.pieces.popleft()
        finally:
            await self._part_from(reader)
        if reader.error is not None:
            raise reader.error

    async def cancel(self, token: Token) -> None:
        """Have a thread stop the answer that runs under this token."""

        def nothing(reader: Reader) -> Iterable[Piece]:
            self._client.cancel(token)
            return ()

        reader = Reader(self._threads, "cancel", nothing)
        try:
            await self._threads.until(lambda: reader.over)
        finally:
            await self._part_from(reader)
        if reader.error is not None:
            raise reader.error

    async def aclose(self) -> None:
        """Wait a while for readers that were left behind, and close every connection."""
        await self._outlast(self._left, self._limits.teardown_grace_s)
        await self._threads.outside(self._client.close)

    async def _part_from(self, reader: Reader) -> None:
        """Give up on what a reader still reads, and wait for it a while."""
        if not reader.over:
            reader.line.hang_up()
            if not await self._outlast([reader], self._limits.cancel_grace_s):
                self._left.append(reader)
                self._observe("reader_left", after_s=self._limits.cancel_grace_s)

    async def _outlast(self, readers: list[Reader], grace_s: float) -> bool:
        """Wait until these have ended, at most so long, and say whether they have; also in a turn that is cancelled."""
        at_s = self._threads.now_s() + grace_s
        return await self._threads.until(lambda: all(reader.over for reader in readers), at_s, heedless=True)
