"""Laws about requests: how many, how soon after a refusal, and whether they ask anything new.

The idea: an agent that has lost its way shows it first in what it sends. The constraint: one user message is
the unit of work wherever the subject reports turns, because a long conversation of short turns is no runaway;
only without turns is the whole run counted as one. A limit on requests per second was refused: it depends on
how long the answers take, which is the scenario's affair and not the agent's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from simkit.checks.reading import ROUNDING_NS, at, limit, number, times, turns
from simkit.contracts import Law
from simkit.model.duration import format_duration, format_instant, parse_duration
from simkit.model.scenario import Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, NotApplicable

# Seconds as RFC 9110 writes them, and with the decimals that some providers add. Anything else is a date.
_SECONDS: Final = re.compile(r"\d{1,15}(\.\d{1,9})?")

# Twice what a busy turn of a coding agent needs in the corpus; far below the iteration caps (40) seen to run away.
_MOST: Final = 20

_NO_REQUEST: Final = "the run made no completion request"


# -- bounded_requests ------------------------------------------------------------------------------
def _bounded_requests(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    most = limit(parameter)
    if faults := trace.of("fault"):
        # An author's number is for the script as it stands; each fault of a plan costs a further attempt.
        most = max(most, _MOST) + len(faults)
    groups = _groups(trace)
    if not any(requests for _, requests in groups):
        yield NotApplicable(law="bounded_requests", because=_NO_REQUEST)
    for who, requests in groups:
        if len(requests) > most:
            over = requests[most]
            text = (
                f"{who} made {len(requests)} completion requests, and at most {most} are allowed: "
                f"request {number(over, 'request')} at {at(over)} was the first too many"
            )
            counted = tuple(request.n for request in requests)
            yield Finding(law="bounded_requests", text=text, events=(over.n,), counted=counted, limit=most)


def _groups(trace: Trace) -> list[tuple[str, list[Event]]]:
    reported, loose = turns(trace)
    if not reported:
        return [("the run", loose)]
    return [
        *((f"turn {turn.name}", turn.requests) for turn in reported),
        ("the time outside of all turns", loose),
    ]


BOUNDED_REQUESTS: Final = Law(
    name="bounded_requests",
    says="One message of the user causes a bounded number of completion requests.",
    judge=_bounded_requests,
    parameter="count",
    default=_MOST,
)


_TOO_MANY: Final = 429


# -- backoff_respects_retry_after ------------------------------------------------------------------
def _backoff(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    asked: dict[int, tuple[object, object]] = {}
    refused: dict[tuple[object, object], tuple[int, Event]] = {}
    looked = False
    for event in trace.of("request", "response", "turn.start", "turn.end"):
        if event.kind == "request":
            host, model = asked[number(event, "request")] = (event.get("host"), event.get("model"))
            for who in ((host, model), (host, None)):
                if who in refused:
                    yield from _too_early(*refused.pop(who), event)
        elif event.kind == "response":
            wait_ns = _retry_after_ns(event)
            if wait_ns is not None:
                looked = True
                host, model = asked[number(event, "request")]
                # Rates are counted by model, and an agent may fall back to another; a 503 is the whole host's.
                refused[host, model if event.get("status") == _TOO_MANY else None] = (event.at_ns + wait_ns, event)
        else:
            # The agent told its user; a request in the next turn is the user's wish and not an impatient
            # retry.
            refused.clear()
    if not looked:
        because = "no 429 or 503 carried a retry-after in seconds"
        yield NotApplicable(law="backoff_respects_retry_after", because=because)


def _retry_after_ns(response: Event) -> int | None:
    text = str(response.get("retry_after") or "").strip()
    if response.get("status") not in (429, 503) or not _SECONDS.fullmatch(text):
        return None
    return parse_duration(f"{text}s")


def _too_early(allowed_ns: int, response: Event, request: Event) -> Iterator[Finding]:
    if request.at_ns + ROUNDING_NS >= allowed_ns:
        return
    text = (
        f"request {number(request, 'request')} came at {at(request)}, but the {response.get('status')} "
        f"answer to "
        f"request {number(response, 'request')} at {at(response)} asked to wait until "
        f"{format_instant(allowed_ns)} "
        f"(retry-after {response.get('retry_after')}): it came "
        f"{format_duration(allowed_ns - request.at_ns)} too early"
    )
    yield Finding(law="backoff_respects_retry_after", text=text, events=(response.n, request.n))


BACKOFF_RESPECTS_RETRY_AFTER: Final = Law(
    name="backoff_respects_retry_after",
    says="After a 429 (its model) or 503 with retry-after in seconds, the turn leaves the host alone for so long.",
    judge=_backoff,
)


# -- no_repeated_request ---------------------------------------------------------------------------
def _no_repeated_request(scenario: Scenario, trace: Trace, parameter: object) -> Iterator[Finding | NotApplicable]:
    # What a fault of a plan kept an answer from is asked for once more.
    most = limit(parameter) + len(trace.of("fault"))
    seen: dict[tuple[object, ...], list[Event]] = {}
    requests = trace.of("request")
    if not requests:
        yield NotApplicable(law="no_repeated_request", because=_NO_REQUEST)
    for event in requests:
        # The SDK's own retries are its business: they are bounded there, and waits are judged by another law.
        if not event.get("retry"):
            seen.setdefault(_asked(event), []).append(event)
    for same in seen.values():
        if len(same) > most:
            yield _repeated(same, most)


def _asked(request: Event) -> tuple[object, ...]:
    # The text of the body and not a frozen form of it: bodies are long, and this is the C encoder.
    body = json.dumps(request.get("body"), sort_keys=True, default=str)
    return (request.get("method"), request.get("host"), request.get("path"), body)


def _repeated(same: list[Event], most: int) -> Finding:
    over = same[most]
    text = (
        f"the same {over.get('method')} {over.get('path')} was sent {times(len(same))} with the same body, "
        f"and at most "
        f"{most} times is allowed: request {number(over, 'request')} at {at(over)} asked nothing new"
    )
    counted = tuple(request.n for request in same)
    return Finding(law="no_repeated_request", text=text, events=(same[0].n, over.n), counted=counted, limit=most)


NO_REPEATED_REQUEST: Final = Law(
    name="no_repeated_request",
    says="The same request is not sent over and over; an SDK's own retries do not count.",
    judge=_no_repeated_request,
    parameter="count",
    default=3,
)
