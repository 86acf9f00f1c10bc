"""The trace: what happened, in order, in words and values.

The idea: the trace is the only thing that laws and reports read, so two runs with equal traces are the same
run. The constraint: values are plain data with identity (host, request number, tool, call, task name), never
``id()`` or ``repr()`` of an object, and nothing of the real clock. Live objects were refused: a law that holds
one can change what it judges.

Who speaks (``actor``) and what is said (``kind``), with the values that every event of that kind carries:

===================  =========  =============================================================================
kind                 actor      values
===================  =========  =============================================================================
run.start            world      scenario, seed
user.says            user       text, line
user.cancels         user       heard (bool: something was under way that could be cancelled), line
user.leaves          user       heard, line
user.note            user       text, line
request              provider   request (1, 2, ... completion requests only), connection, method, host, path,
                                dialect, model, stream (bool), retry (the SDK's own retry count), body (decoded),
                                background (bool)
job.request          provider   poll (1, 2, ... of this job), op (retrieve, stream, cancel, delete, other), job,
                                request (that made the job, or None), connection, method, host, path, after
                                (the cursor or None), status, state (at that instant, or None)
job.state            provider   job, request, state (queued, in_progress, completed, failed, incomplete,
                                cancelled, expired), line
other.request        provider   connection, method, host, path, status (paths that no dialect knows)
request.invalid      provider   request, status, text (the API's own refusal of a malformed request)
response             provider   request, status, answer (index into Scenario.provider), retry_after (text or None),
                                line (of the answer, in the file)
frame                provider   request, step (index), is (say, think, refuse, call, name, args, usage, finish,
                                done, error, empty, raw, garbled, mark, keepalive; a mark is structure of the
                                wire without content), text, tool, call, index, progress (bool: it carries
                                content), times (how often it was sent), line
answer.unused        provider   answer (index), left (how many times it could still have been used), line
silence              provider   request, step, ns (how long the script stays silent from here), line
stream.end           provider   request, how (complete, eof, cut, reset, client_closed, open), finish (a reason or
                                None), done (bool: closing marker sent), calls (the tool calls whose arguments
                                were whole when it ended: {id, tool, args}); text (all that was said), error (the
                                text of a mid-stream error, or None)
connection.open      network    connection, host, port
connection.refused   network    host, port, how (refused, reset, timeout, unknown_host)
connection.close     network    connection, by (client, server, link), how (eof, reset)
link.fault           network    host, fault (reset, hold, connection: from here on), ns (for how long, or None),
                                how (new connections fail, or None), connections (how many are reset, or are open and
                                held), line
link.unused          network    host, fault, came (bool: its instant was reached), line: the fault struck nothing
tool.start           tool       run (1, 2, ...), tool, args
tool.end             tool       run, tool, outcome (ok, error, cancelled), result
tool.effect          tool       run, tool, text (what the tool has done to the world)
thread.start/.end    thread     name
turn.start           subject    turn, text
turn.end             subject    turn, outcome (a word of the subject: finished, incomplete, failed, cancelled), text
said                 subject    text
note                 subject    name, and whatever the subject adds (the agent's: idle_deadline, partial_stub,
                                continuation, retry, dropped_calls, ...); a note called usage has input and output,
                                the tokens that the subject has counted since its last one
subject.returned     subject    (none)
subject.raised       subject    error, text, where (file:line of the innermost frame outside simkit), frames (the
                                subject's own, the outermost first, as "file:line function")
orphan               world      what (task, thread, connection, stream, timer, generator), name, created, waits
lost.error           world      error, text, where
loop.blocked         world      ns (how long a callback held its event loop up), where (the subject's line), waits
                                (for what: time.sleep, a lock, a blocking tool)
spin                 world      steps (taken so far at one instant, beyond all that is free), where, alive (who is)
fault                world      site, fault (a fault of the plan struck here: see model.plan)
run.end              world      reason (returned, raised, deadlock, livelock, horizon, unmatched, exhausted,
                                undeclared_host, limit, unplayable), text
===================  =========  =============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Event(NamedTuple):
    """One thing that happened. A named tuple and not a dataclass: a run makes thousands, and this is half the cost."""

    n: int
    at_ns: int
    actor: str
    kind: str
    values: Mapping[str, object]

    def get(self, name: str) -> object:
        """Return the value called ``name``, or None when the event does not carry it."""
        return self.values.get(name)


@dataclass(frozen=True, slots=True)
class Trace:
    """All events of one run, in the order in which they happened; ``events[i].n == i``."""

    events: tuple[Event, ...] = ()

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def of(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds, in order."""
        return [e for e in self.events if e.kind in kinds]

    @property
    def end_ns(self) -> int:
        """The virtual instant of the last event: how long the run took."""
        return self.events[-1].at_ns if self.events else 0
