"""The user of a scenario: speaks, cancels and leaves at its instants, whether or not the subject is listening.

The idea: each act is an event of the agenda, in one lane, so what one user does keeps its order. The constraint: a
cancellation reaches the subject as production sends it: by whatever the subject says is to be called, or, where it
says nothing, as the cancellation of its own task, which is what a web server does when its client goes. A flag that
the subject must poll was refused: no agent has one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from simkit.kernel.loop import settle
from simkit.model.duration import FOREVER, format_instant
from simkit.model.scenario import UserAct, UserCancels, UserLeaves, UserNote, UserSays

if TYPE_CHECKING:
    from simkit.kernel.world import World


# In how many steps an act is moved as far as the scenario lets it, each way.
_SHIFTS: Final = 10


class ScenarioUser:
    """The user: acts at the scenario's instants whether or not the subject is listening."""

    def __init__(self, world: World, acts: tuple[UserAct, ...], shift_ns: int = 0) -> None:
        self._world = world
        self._record = world.recorder.record
        # The conversation is not over before a user who leaves has left.
        self._to_come = sum(isinstance(act, UserSays | UserLeaves) for act in acts)
        self._gone = False
        self._spoken: deque[str] = deque()
        self._wake: Callable[[], object] | None = None
        self._handlers: list[Callable[[], object]] = []
        self._main: asyncio.Task[object] | None = None
        self._acts = 0
        world.strikes.cancels = self._struck
        at_ns = 0
        for act, later in zip_longest(acts, acts[1:]):
            label = f"the user's {_NOUNS[type(act)]}"
            # What one user does keeps its order.
            at_ns = self._instant(act.at_ns, at_ns, later.at_ns if later else FOREVER, shift_ns, label)
            world.call_at_ns(at_ns, lambda a=act: self._act(a), lane=self, label=label)  # type: ignore[misc]  # bound now

    def _instant(self, at_ns: int, first_ns: int, last_ns: int, shift_ns: int, label: str) -> int:
        """Choose when the user acts: at the instant of the script, or somewhat later or earlier, between two others."""
        moved = [at_ns + sign * shift_ns * step // _SHIFTS for step in range(1, _SHIFTS + 1) for sign in (1, -1)]
        others = [other for other in dict.fromkeys(moved) if first_ns <= other <= last_ns and other != at_ns]
        if not others:
            return at_ns
        instants = [at_ns, *others]
        choose = self._world.choices.choose
        return instants[choose("shift", len(instants), lambda i: f"{label} at {format_instant(instants[i])}")]

    def attend(self, task: asyncio.Task[object] | None) -> None:
        """Take the subject's own task, which is cancelled where the subject asked for nothing else."""
        self._main = task

    def on_cancel(self, handler: Callable[[], object]) -> None:
        """Call this when the user cancels or leaves: in the event loop that is running now, if there is one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._handlers.append(handler)
        else:
            self._handlers.append(lambda: loop.call_soon_threadsafe(handler))

    def _struck(self) -> None:
        """The plan has the user cancel at this instant, behind what happens now."""
        if not self._gone:
            self._world.call_later_ns(0, self._cancels, lane=self, label="the user's cancellation")

    def _cancels(self, line: int | None = None) -> None:
        self._record("user", "user.cancels", heard=self._cancellable, line=line)
        self._cancel()

    def _act(self, act: UserAct) -> None:
        self._acts += 1
        self._do(act)
        if self._world.strikes.asked:
            self._world.strikes.at(f"user{self._acts}")

    def _do(self, act: UserAct) -> None:
        line = act.place.line if act.place else None
        match act:
            case UserSays() | UserCancels() if self._gone:
                pass  # it stands behind the leaving, at the same instant
            case UserSays(text=text):
                self._record("user", "user.says", text=text, line=line)
                self._to_come -= 1
                self._spoken.append(text)
                self._rouse()
            case UserNote(text=text):
                self._record("user", "user.note", text=text, line=line)
            case UserCancels():
                self._cancels(line)
            case UserLeaves():
                self._record("user", "user.leaves", heard=self._cancellable, line=line)
                self._gone, self._to_come = True, 0
                self._spoken.clear()
                self._cancel()
                self._rouse()

    @property
    def _cancellable(self) -> bool:
        # A subject that waits for the next message has nothing under way.
        alive = self._main is not None and not self._main.done()
        return bool(self._handlers) or (alive and self._wake is None)

    def _cancel(self) -> None:
        for handler in self._handlers:
            handler()
        if not self._handlers and self._cancellable and self._main is not None:
            self._main.get_loop().call_soon_threadsafe(self._main.cancel)

    def _rouse(self) -> None:
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake()

    # Iterators and not generators: a subject that stops listening leaves nothing behind that has to be closed.
    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if not self._spoken and self._to_come:
            await self._message_in_loop()
        if not self._spoken:
            raise StopAsyncIteration
        return self._spoken.popleft()

    async def _message_in_loop(self) -> None:
        loop = asyncio.get_running_loop()
        spoken = loop.create_future()
        self._wake = lambda: loop.call_soon_threadsafe(settle, spoken)
        await spoken

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._spoken and self._to_come:
            self._message_in_thread()
        if not self._spoken:
            raise StopIteration
        return self._spoken.popleft()

    def _message_in_thread(self) -> None:
        threads = self._world.threads
        me = threads.here()
        assert me is not None, "sim.user is read in a thread from outside the world"
        self._wake = lambda: threads.wake(me)
        threads.block(me, None, "the user's next message")


_NOUNS = {UserSays: "message", UserCancels: "cancellation", UserLeaves: "leaving", UserNote: "note"}
