"""The idle deadline: how long a request may go without content.

The idea: one timeout stands around the whole request and is moved on at every piece of progress, so it fires
exactly ``after_s`` after the last one, also while the first is awaited. The constraint it protects: bytes are
not progress - keep-alives and empty chunks never reach ``progress()`` - while the SDK's own pauses between
retries are not silence of the provider. The HTTP client's read timeout was refused for this: any byte resets
it.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType


class IdleDeadline:
    """An async context manager that raises ``TimeoutError`` because nothing came for ``after_s``."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> IdleDeadline:
        await self._timeout.__aenter__()
        self.progress()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    def progress(self) -> None:
        """Content came: the deadline is ``after_s`` from now."""
        self._move(self._after_s)

    def sent(self) -> None:
        """An attempt goes out: its provider has as long as any other."""
        self._move(self._after_s)

    def answered(self, status: int) -> None:
        """Stop the clock after an error status: the SDK may wait as long as the provider asked it to."""
        if status >= 400:
            self._move(math.inf)

    def _move(self, after_s: float) -> None:
        # Once it has fired there is nothing to move, though a last piece may still be on its way out.
        if not self._timeout.expired():
            now = asyncio.get_running_loop().time()
            self._timeout.reschedule(None if math.isinf(after_s) else now + after_s)
