"""Laws about background jobs: when they are asked for, how often, and who stops them.

The idea: the provider knows each job's whole life, so it is plain when a question was one too many and when a job runs
on for nobody. The constraint: a job counts as over from the answer that said so, and not from the instant at which it
ended: until it is told, nobody can know. Limiting the number of polls was refused: how many there are depends on how
long the job takes, which is the scenario's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from simkit.checks.conversation import builds_on, read_messages, sent_messages
from simkit.checks.reading import ROUNDING_NS, at, limit, number, times, turns
from simkit.contracts import Law
from simkit.model.duration import NS_PER_MS, format_duration
from simkit.model.scenario import Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable

_OVER: Final = frozenset({"completed", "failed", "incomplete", "cancelled"})
# Nobody can stop what the provider has dropped.
_STOPPED: Final = _OVER | {"expired"}
_ASKS: Final = frozenset({"retrieve", "stream"})
_NO_JOB: Final = "no answer ran in the background"


@dataclass(slots=True)
class _Job:
    """One job: its states, what was asked about it, and the event by which its client heard that it was over."""

    id: object
    states: list[Event] = field(default_factory=list)
    requests: list[Event] = field(default_factory=list)
    told_over: Event | None = None
    # The event by which its client heard of it at all.
    known: Event | None = None
    # The end of its answer, with the calls in it.
    end: Event | None = None

    @property
    def number(self) -> int:
        """The request that made it."""
        return number(self.states[0], "request")

    def state_at(self, n: int) -> str:
        """Return the state that it was in when event ``n`` happened."""
        return next((str(e.get("state")) for e in reversed(self.states) if e.n < n), "queued")

    def asks_after(self, n: int) -> list[Event]:
        """Return the questions about it that came later than event ``n``."""
        return [e for e in self.requests if e.n > n and e.get("op") in _ASKS]


def _jobs(trace: Trace) -> list[_Job]:
    """Return the jobs of a run, each with what befell it."""
    found: dict[object, _Job] = {}
    made: dict[object, _Job] = {}
    streamed = {event.get("request") for event in trace.of("request") if event.get("stream")}
    for event in trace.of("job.state", "job.request", "response", "frame", "stream.end"):
        if event.kind == "job.state":
            job = found.setdefault(event.get("job"), _Job(event.get("job")))
            job.states.append(event)
            made[event.get("request")] = job
        elif event.kind == "job.request":
            if event.get("job") in found:
                _ask(found[event.get("job")], event)
        elif event.kind == "response" and event.get("request") in streamed:
            continue  # the head of a streamed answer does not say which job it is; its first frame does
        elif event.get("request") in made:
            _hear(made[event.get("request")], event)
    return list(found.values())


def _ask(job: _Job, event: Event) -> None:
    job.requests.append(event)
    over = event.get("op") == "retrieve" and event.get("status") == 200 and event.get("state") in _OVER
    if over and job.told_over is None:
        job.told_over = event


def _hear(job: _Job, event: Event) -> None:
    if event.kind != "stream.end":
        job.known = job.known or event
    elif event.get("how") == "complete":
        # A stream of a job is complete only when the job is over: its last event says so.
        job.end = job.end or event
        job.told_over = job.told_over or event


def _place(scenario: Scenario, job: _Job) -> Place | None:
    line = job.states[0].get("line")
    return Place(scenario.file, line) if isinstance(line, int) else None


# -- no_fetch_after_terminal -----------------------------------------------------------------------
def _no_fetch_after_terminal(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    jobs = _jobs(trace)
    if not jobs:
        yield NotApplicable(law="no_fetch_after_terminal", because=_NO_JOB)
    for job in jobs:
        if job.told_over is None:
            continue
        extra = job.asks_after(job.told_over.n)
        if extra:
            yield _fetched_again(scenario, job, job.told_over, extra)
        yield from _result_withheld(scenario, job, job.told_over, trace)


def _fetched_again(scenario: Scenario, job: _Job, told: Event, extra: list[Event]) -> Finding:
    last = f" and last at {at(extra[-1])}" if len(extra) > 1 else ""
    text = (
        f"the answer to request {job.number} was over and delivered at {at(told)} ({job.state_at(told.n)}), but it was "
        f"asked for {'once more' if len(extra) == 1 else f'{times(len(extra))} more'}, first at {at(extra[0])}{last}"
    )
    events = (told.n, extra[0].n)
    return Finding(law="no_fetch_after_terminal", text=text, events=events, place=_place(scenario, job))


def _result_withheld(scenario: Scenario, job: _Job, told: Event, trace: Trace) -> Iterator[Finding]:
    """See whether the next request of this conversation and turn brings what the job's calls came to."""
    calls = job.end.get("calls") if job.end else None
    if not isinstance(calls, list | tuple) or not calls:
        return
    made = next(e for e in trace.of("request") if number(e, "request") == job.number)
    following = _next_request(made, told, job.id, trace)
    results = [e.get("result") for e in trace.of("tool.end") if e.n > told.n]
    if following is None or _brings(following, {call["id"] for call in calls}, results):
        return
    tools = ", ".join(dict.fromkeys(str(call["tool"]) for call in calls))
    text = (
        f"the answer to request {job.number}, delivered at {at(told)}, called {tools}, but request "
        f"{number(following, 'request')} at {at(following)} goes on without a result of that"
    )
    events = (told.n, following.n)
    yield Finding(law="no_fetch_after_terminal", text=text, events=events, place=_place(scenario, job))


def _next_request(made: Event, told: Event, job: object, trace: Trace) -> Event | None:
    """Return the next request that goes on from this job, unless something else than its answer came before."""
    for event in trace.events[told.n + 1 :]:
        if event.kind in ("turn.start", "turn.end", "user.says", "user.cancels", "user.leaves"):
            return None
        if event.kind == "request" and (builds_on(event) == job or _continues(made, event)):
            return event
    return None


def _continues(made: Event, request: Event) -> bool:
    before, now = sent_messages(made), sent_messages(request)
    return bool(before) and now is not None and list(now[: len(before or ())]) == list(before or ())


def _brings(request: Event, calls: set[object], results: list[object]) -> bool:
    messages = read_messages(request, sent_messages(request) or ())
    if any(message.answers in calls for message in messages):
        return True
    # Agents without tool messages tell the result as ordinary text, which is as good.
    texts = [message.text for message in messages]
    return any(isinstance(result, str) and result and any(result in text for text in texts) for result in results)


NO_FETCH_AFTER_TERMINAL: Final = Law(
    name="no_fetch_after_terminal",
    says="A background answer that was delivered is not asked for again; what follows brings its tools' results.",
    judge=_no_fetch_after_terminal,
)


# -- give_up_cancels_job ---------------------------------------------------------------------------
def _give_up_cancels_job(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    jobs = [job for job in _jobs(trace) if job.known is not None]
    if not jobs:
        yield NotApplicable(law="give_up_cancels_job", because=_NO_JOB)
    ends = {number(request, "request"): turn.end for turn in turns(trace)[0] for request in turn.requests}
    over = next((e for e in trace.of("run.end") if e.get("reason") in ("returned", "raised")), None)
    for job in jobs:
        # Whoever asks again in a later turn has not given it up at the end of this one.
        given_up = ends.get(job.number)
        if given_up is None or job.asks_after(given_up.n):
            given_up = over
        stopped = any(e.get("op") in ("cancel", "delete") for e in job.requests)
        if given_up is None or stopped or job.state_at(given_up.n) in _STOPPED:
            continue
        if _had_heard(scenario, job, given_up):
            yield _left_running(scenario, job, given_up)


def _had_heard(scenario: Scenario, job: _Job, given_up: Event) -> bool:
    """Say whether the id of a job was there before its client gave up: nobody can stop what has no name yet.

    What arrives at the very instant of a cancellation may lie unread on the connection when the client closes it.
    """
    on_its_way_ns = max((link.latency_ns for link in scenario.network.values()), default=0)
    return job.known is not None and given_up.at_ns - job.known.at_ns > on_its_way_ns + ROUNDING_NS


def _left_running(scenario: Scenario, job: _Job, given_up: Event) -> Finding:
    whose = f"turn {given_up.get('turn')} ended" if given_up.kind == "turn.end" else "the run ended"
    text = (
        f"the background answer to request {job.number} was still {job.state_at(given_up.n).replace('_', ' ')} when "
        f"{whose} at {at(given_up)}, and nobody cancelled it or came back for it"
    )
    events = (job.states[0].n, given_up.n)
    return Finding(law="give_up_cancels_job", text=text, events=events, place=_place(scenario, job))


GIVE_UP_CANCELS_JOB: Final = Law(
    name="give_up_cancels_job",
    says="A background answer that nobody will come for is cancelled at the provider.",
    judge=_give_up_cancels_job,
)


# -- polls_respect_interval ------------------------------------------------------------------------
def _polls_respect_interval(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    least_ns = limit(parameter)
    jobs = _jobs(trace)
    if not any(job.asks_after(0) for job in jobs):
        yield NotApplicable(law="polls_respect_interval", because="no background answer was asked for")
    for job in jobs:
        hasty = [pair for pair in _polls(job) if pair[1].at_ns - pair[0].at_ns + ROUNDING_NS < least_ns]
        # A last look at a deadline may come sooner than the interval.
        if len(hasty) > 1:
            yield _too_hasty(scenario, job, hasty, least_ns)


def _polls(job: _Job) -> Iterator[tuple[Event, Event]]:
    """Give each poll that said that the job still runs, and the next one."""
    polls = [e for e in job.requests if e.get("op") == "retrieve"]
    for before, after in pairwise(polls):
        if before.get("status") == 200 and before.get("state") not in _OVER:
            yield before, after


def _too_hasty(scenario: Scenario, job: _Job, hasty: list[tuple[Event, Event]], least_ns: int) -> Finding:
    before, after = min(hasty, key=lambda pair: pair[1].at_ns - pair[0].at_ns)
    text = (
        f"the background answer to request {job.number} was polled again sooner than {format_duration(least_ns)} after "
        f"a poll that said it still runs, {times(len(hasty))}: such as at {at(before)} and at {at(after)}"
    )
    events = (before.n, after.n)
    return Finding(law="polls_respect_interval", text=text, events=events, place=_place(scenario, job))


POLLS_RESPECT_INTERVAL: Final = Law(
    name="polls_respect_interval",
    says="After a poll that says a background answer still runs, the next one waits for the interval.",
    judge=_polls_respect_interval,
    parameter="duration",
    # Far below every interval that a provider recommends: who asks more often than this does not wait at all.
    default=100 * NS_PER_MS,
)
