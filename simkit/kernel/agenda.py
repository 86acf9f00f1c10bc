"""The agenda: what is to happen later, in what order, and how that order may vary.

The idea: an event from outside and the deadline of a waiting thread are both entries of one heap; where a plan
leaves room, ties among them are broken, and an event shifts around a deadline, before any of it happens. The
constraint: entries of one lane (one direction of a connection, one user) never overtake each other, a deadline
never comes early, and nothing shifts further from its meant instant than the window. Jitter on every delay was
refused: almost all of it changes nothing, and what matters is only who comes first at a deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simkit.kernel.choices import Choices
    from simkit.kernel.world import World

# How many events a deadline may be shifted against: the more, the wider every exploration.
_NEAR_MAX: Final = 4


class Entry:
    """One event of the agenda; ``cancel`` makes it nothing."""

    __slots__ = ("action", "label", "lane", "meant_ns", "outside")

    def __init__(
        self, action: Callable[[], object], lane: object, label: str, meant_ns: int, outside: bool = True
    ) -> None:
        self.action: Callable[[], object] | None = action
        # When it is due if nothing shifts it.
        self.meant_ns = meant_ns
        # An event from outside, and not the deadline of a thread that waits: only the former may come early.
        self.outside = outside
        # Events of one lane (one direction of a connection) keep their order whatever is chosen.
        self.lane = lane if lane is not None else self
        self.label = label

    def cancel(self) -> None:
        """Let this event not happen."""
        self.action = None


# Instant, number of arming, what happens: the agenda is a heap of these.
Slot = tuple[int, int, Entry]


# -- ties -------------------------------------------------------------------------------------------------------------
def order_due(choices: Choices, agenda: list[Slot], due: list[Slot]) -> list[Slot]:
    """Choose the order of what is due at one instant. A deadline may come first, alone; the rest stays due."""
    deadlines = [slot for slot in due if not slot[2].outside]
    if len(deadlines) == len(due):
        return due
    if deadlines:
        pick = choices.choose("deadline", 1 + len(deadlines), lambda i: f"{deadlines[i - 1][2].label} first")
        if pick:
            first = deadlines[pick - 1]
            for slot in due:
                if slot is not first:
                    heappush(agenda, slot)
            return [first]
    ordered = iter(_order_outside(choices, [slot for slot in due if slot[2].outside]))
    return [next(ordered) if slot[2].outside else slot for slot in due]


def _order_outside(choices: Choices, due: list[Slot]) -> list[Slot]:
    ordered: list[Slot] = []
    while len(due) > 1:
        heads = _heads(due)
        if len(heads) == 1:
            break
        pick = heads[choices.choose("tie", len(heads), lambda i: heads[i][2].label)]  # noqa: B023  # called at once
        due.remove(pick)
        ordered.append(pick)
    return ordered + due


def _heads(slots: list[Slot]) -> list[Slot]:
    """Return the first slot of each lane, in order."""
    return list({slot[2].lane: slot for slot in reversed(slots)}.values())[::-1]


# -- shifts -----------------------------------------------------------------------------------------------------------
def shift(world: World, agenda: list[Slot]) -> int:
    """Choose how the next events shift around deadlines within the window, and return the instant of the next one."""
    on_time: list[Entry] = []
    while True:
        at_ns = world.next_event_ns()
        assert at_ns is not None, "an event was shifted out of the agenda"
        heads = _heads(sorted(slot for slot in agenda if slot[0] == at_ns and slot[2].action is not None))
        asked = [slot for slot in heads if slot[2] not in on_time]
        # Each of them is asked, also after one that was moved.
        moved = [slot for slot in asked if _come_late(world, agenda, slot)]
        if not moved:
            break
        on_time += [slot[2] for slot in asked if slot not in moved]
    if any(not slot[2].outside for slot in heads):
        _come_early(world, agenda, at_ns)
    return at_ns


def _come_late(world: World, agenda: list[Slot], slot: Slot) -> bool:
    """Choose whether an event comes with, or after, the next deadline of somebody else. Say whether it was moved."""
    at_ns, _, entry = slot
    latest_ns = entry.meant_ns + world.jitter_ns
    later = [s for s in agenda if at_ns < s[0] <= latest_ns and not s[2].outside and s[2].action is not None]
    if not later:
        return False
    until_ns, _, deadline = min(later)
    pick = world.choices.choose(
        "timing", 3, lambda i: f"{entry.label} late, {'with' if i == 1 else 'after'} {deadline.label}"
    )
    if pick:
        move(agenda, entry.lane, until_ns + pick - 1)
    return bool(pick)


def move(agenda: list[Slot], lane: object, to_ns: int) -> None:
    """Let what a lane carries before an instant come at that instant, in the same order."""
    agenda[:] = [(max(s[0], to_ns), s[1], s[2]) if s[2].lane == lane else s for s in agenda]
    heapify(agenda)


def _come_early(world: World, agenda: list[Slot], at_ns: int) -> None:
    """Choose whether an outside event that is due soon comes with the deadlines of this instant."""
    near = events_near(agenda, at_ns, at_ns + world.jitter_ns)
    if near:
        pick = world.choices.choose("timing", 1 + len(near), lambda i: f"{near[i - 1][2].label} early")
        if pick:
            _, number, early = near[pick - 1]
            agenda[:] = [(at_ns, number, early) if s[2] is early else s for s in agenda]
            heapify(agenda)


def events_near(agenda: list[Slot], after_ns: int, until_ns: int) -> list[Slot]:
    """Return the first events from outside after one instant and up to another, one of each lane."""
    slots = sorted(s for s in agenda if s[2].outside and s[2].action is not None)
    return [s for s in _heads(slots) if after_ns < s[0] <= until_ns][:_NEAR_MAX]
