"""What the runs of one scenario have shown: which answers were used, what the laws could judge, what was never touched.

The idea: a thing counts as needed as soon as one run needed it - of any row, and also of an agent with a flaw that the
scenario is there to catch, since some answers wait for just that agent. The constraint: a run that was broken off says
nothing of what it did not come to. Judging from the plain run alone was refused: every trap that a scenario sets would
look like waste.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from simkit.linting.naming import is_named
from simkit.model.scenario import LawUse, Scenario
from simkit.model.timeline import BackgroundReply, UnreachableReply
from simkit.model.verdict import Result

# How a run ends that came to its own end, so that what is left over in it was not wanted.
_OWN_ENDS = ("returned", "raised")


class Evidence:
    """Collects what the runs show. ``runs`` counts them; nothing is asked about the ``dead`` answers."""

    def __init__(self, cases: Sequence[Scenario], dead: Collection[int] = ()) -> None:
        self._cases = cases
        self.runs = 0
        # What is still open, by the index of the answer, the poll, or the name. Runs only ever close it.
        answers = [index for index in range(min(len(case.provider) for case in cases)) if index not in dead]
        self._left: dict[int, int | None] = {index: cases[0].provider[index].times for index in answers}
        self._polls: dict[int, int] = {}
        self._tools = _unnamed({name for case in cases for name in case.tools}, cases)
        self._hosts = _unnamed({name for case in cases for name in case.hosts}, cases)
        self._laws: dict[str, str] = {use.law: "" for case in cases for use in case.always if not use.off}

    # -- what was never needed ---------------------------------------------------------------------------------------
    @property
    def answers(self) -> dict[int, int | None]:
        """How often each answer could still have been used, in the run that used it most; None: it never was."""
        return {index: left for index, left in self._left.items() if left != 0}

    @property
    def polls(self) -> list[tuple[int, int, int]]:
        """The answers to polls that never came: the answer, the poll, and how many polls came at most."""
        jobs = [(n, answer.reply) for n, answer in enumerate(self._cases[0].provider) if n in self._left]
        return [
            (index, number, self._polls.get(index, 0))
            for index, reply in jobs
            if isinstance(reply, BackgroundReply)
            for number in sorted(reply.polls)
            if number > self._polls.get(index, 0)
        ]

    @property
    def tools(self) -> list[str]:
        """The tools that nothing in the scenario names, and no run started."""
        return [name for name in self._cases[0].tools if name in self._tools]

    @property
    def hosts(self) -> list[str]:
        """The hosts that nothing in the scenario names, and no run dialled."""
        return [name for name in self._cases[0].hosts if name in self._hosts]

    @property
    def laws(self) -> list[tuple[LawUse, str]]:
        """The laws of the scenario that no run gave anything to judge, and why."""
        return [(use, self._laws[use.law]) for use in self._cases[0].always if use.law in self._laws]

    @property
    def is_settled(self) -> bool:
        """Whether everything was needed, so that another run could show nothing more."""
        return not (self.answers or self.polls or self.tools or self.hosts or self.laws)

    # -- adding ------------------------------------------------------------------------------------------------------
    def add(self, result: Result) -> None:
        """Take in what one more run needed."""
        self.runs += 1
        self._add_answers(result)
        self._add_polls(result)
        self._tools -= {str(event.get("tool")) for event in result.trace.of("tool.start")}
        self._hosts -= _dialled(result)
        missing = {one.law: one.because for one in result.judgement.not_applicable}
        for law in list(self._laws):
            if law in missing:
                self._laws[law] = self._laws[law] or missing[law]
            elif _was_asked(law, result):
                del self._laws[law]

    def _add_answers(self, result: Result) -> None:
        came_to_its_end = _reason(result) in _OWN_ENDS
        unused = {event.get("answer"): event.get("left") for event in result.trace.of("answer.unused")}
        taken = [event.get("answer") for event in result.trace.of("response")]
        for index, left in self._left.items():
            answer = result.scenario.provider[index]
            if came_to_its_end:
                now = cast(int | None, unused[index]) if index in unused else 0
            elif isinstance(answer.reply, UnreachableReply):
                # Nothing but the connection tells of it, so a run that was broken off may have used it.
                now = 0
            else:
                times = answer.times
                now = 0 if index in taken and times is None else _minus(times, taken.count(index))
            self._left[index] = now if left is None else min(left, left if now is None else now)

    def _add_polls(self, result: Result) -> None:
        answers = {event.get("request"): event.get("answer") for event in result.trace.of("response")}
        for event in result.trace.of("job.request"):
            poll, index = event.get("poll"), answers.get(event.get("request"))
            if isinstance(poll, int) and isinstance(index, int):
                self._polls[index] = max(poll, self._polls.get(index, 0))


def _unnamed(names: set[str], cases: Sequence[Scenario]) -> set[str]:
    return {name for name in names if not any(is_named(name, case) for case in cases)}


def _minus(times: int | None, used: int) -> int | None:
    return None if times is None else max(0, times - used)


def _reason(result: Result) -> str:
    ends = result.trace.of("run.end")
    return str(ends[-1].get("reason")) if ends else ""


def _dialled(result: Result) -> set[str]:
    events = result.trace.of("connection.open", "connection.refused")
    return {str(event.get("host")) for event in events} | {f"{e.get('host')}:{e.get('port')}" for e in events}


def _was_asked(law: str, result: Result) -> bool:
    return law in result.judgement.held or any(finding.law == law for finding in result.findings)
