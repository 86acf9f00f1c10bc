"""The idle deadline: how long a request may go without content.

The idea: one timeout stands around the whole request and is moved on at every piece of progress, so it fires
exactly ``after_s`` after the last one, and ``first_s`` after the request while the first is awaited. An answer that
comes in one piece shows no progress before it is there, so it has ``whole_s``. The constraint it protects: bytes are
not progress - keep-alives and empty chunks never reach ``progress()`` - while the SDK's own pauses between
retries are not silence of the provider. The HTTP client's read timeout was refused for this: any byte resets
it.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType


class IdleDeadline:
    """An async context manager that raises ``TimeoutError`` because nothing came for so long.

    ``first_s`` is ``after_s`` where it is not given.
    """

    def __init__(self, after_s: float, first_s: float | None = None, whole_s: float = math.inf) -> None:
        self._after_s = after_s
        self._first_s = after_s if first_s is None else first_s
        self._whole_s = whole_s
        self._until_s = math.inf
        # How long it waits at the moment.
        self.after_s = after_s
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> IdleDeadline:
        await self._timeout.__aenter__()
        self.sent()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    def progress(self) -> None:
        """Content came: the deadline is ``after_s`` from now."""
        self._move(self._after_s)

    def sent(self, *, whole: bool = False) -> None:
        """An attempt goes out: its provider has as long as any other."""
        self._move(self._whole_s if whole else self._first_s)

    def answered(self, status: int) -> None:
        """Stop the clock after an error status: the SDK may wait as long as the provider asked it to."""
        if status >= 400:
            self._move(math.inf)

    def end_by(self, at_s: float) -> None:
        """Fire at this instant of the loop's clock, whatever comes until then."""
        self._until_s = at_s
        when_s = self._timeout.when()
        if not self._timeout.expired() and (when_s is None or when_s > at_s):
            self._timeout.reschedule(at_s)

    @property
    def fired(self) -> bool:
        """Whether a ``TimeoutError`` is its own."""
        return self._timeout.expired()

    @property
    def overdue(self) -> bool:
        """Whether the instant of ``end_by`` has come."""
        return asyncio.get_running_loop().time() >= self._until_s

    def _move(self, after_s: float) -> None:
        # Once it has fired there is nothing to move, though a last piece may still be on its way out.
        if not self._timeout.expired():
            self.after_s = after_s
            when_s = min(asyncio.get_running_loop().time() + after_s, self._until_s)
            self._timeout.reschedule(None if math.isinf(when_s) else when_s)
