"""A trace file read back: the JSON lines that ``simkit run --trace`` has written, as cases with their events.

The idea: what was written is the whole trace, so every view of a run can be drawn from it, also where the scenario and
the agent are not at hand. The constraint: a trace alone holds no expectations, so nothing read here is judged: its
verdict is UNKNOWN, with that sentence. Guessing a verdict from how a run ended was refused: the run of an agent that
answers wrongly ends well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from simkit.errors import UsageError
from simkit.model.duration import NS_PER_S
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Finding, Judgement, Result, Verdict

# The instant is read from the line itself: as a float it would not be exact.
_EVENT: Final = re.compile(r'\{"at": (\d+)(?:\.(\d{1,9}))?, ')
_HEAD: Final = ("at", "who", "what")
_NOT_JUDGED: Final = "a trace holds no expectations, so nobody has judged it: simkit show FILE::ROW runs and judges"


def read_traces(path: Path) -> list[Result]:
    """Return the cases of a trace file, none of them judged. Raises ``UsageError`` with the line that is wrong."""
    try:
        # Not splitlines: some characters end a line for it and not for JSON.
        lines = path.read_text("utf-8").removesuffix("\n").split("\n")
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(path)!r} is no trace: {error}") from error
    return [_result(case, events) for case, events in _cases(str(path), lines)]


def _cases(file: str, lines: list[str]) -> Iterator[tuple[str, list[Event]]]:
    """Yield the name and the events of each case."""
    name, events = "", list[Event]()
    for number, line in enumerate(lines, 1):
        values = _object(file, number, line)
        if values.keys() == {"case"}:
            if number > 1:
                yield name, events
            name, events = str(values["case"]), []
        elif number == 1:
            _refuse(file, number, 'a line such as {"case": ...}')
        else:
            events.append(_event(file, number, line, values, len(events)))
    yield name, events


def _object(file: str, number: int, line: str) -> dict[str, object]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        _refuse(file, number, "a JSON object")
    return values


def _event(file: str, number: int, line: str, values: dict[str, object], n: int) -> Event:
    found = _EVENT.match(line)
    actor, kind = values.get("who"), values.get("what")
    if found is None or not isinstance(actor, str) or not isinstance(kind, str):
        _refuse(file, number, 'an event such as {"at": 0.5, "who": "user", "what": "user.says", ...}')
    at_ns = int(found[1]) * NS_PER_S + int((found[2] or "").ljust(9, "0"))
    rest = {key: value for key, value in values.items() if key not in _HEAD}
    return Event(n, at_ns, actor, kind, {_own_name(kind, key): value for key, value in rest.items()})


def _own_name(kind: str, key: str) -> str:
    """Return the name of a value, without what told it from the head of its line."""
    own = key.removeprefix(f"{kind}.")
    return own if own in _HEAD else key


def _refuse(file: str, number: int, expected: str) -> NoReturn:
    raise UsageError(f"{file!r} is no trace of simkit: expected {expected} at line {number} - write one with --trace")


def _result(case: str, events: list[Event]) -> Result:
    finding = Finding(law="not judged", text=_NOT_JUDGED, verdict=Verdict.UNKNOWN)
    seed = events[0].get("seed") if events else 0
    return Result(
        scenario=Scenario(title=case, provider=()),
        plan=Plan(seed=seed if isinstance(seed, int) else 0),
        trace=Trace(tuple(events)),
        judgement=Judgement(findings=(finding,)),
    )
