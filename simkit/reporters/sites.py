"""Where in the code of the agent it happened: the lines that the deciding events of a failure name.

The idea: an event that knows a line of code (an exception, a task that is left over, a blocked loop) gives it with what
happened there, beside the number that marks the event in the timeline. The constraint: only lines of the agent's own
code are shown; those of simkit, of the standard library and of installed packages are nobody's to mend here. The whole
stack was refused as the centre of a report: it says where code was, and not which promise broke.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.model.redact import redact_source
from simkit.model.trace import Event, Trace
from simkit.reporters.lanes import cut, printable
from simkit.reporters.layout import INDENT, ReportOptions

# A failure that names more lines than this is understood from the innermost ones.
_SITES_MAX: Final = 6
_BESIDE: Final = " " * 8
_LINE_OF_CODE: Final = re.compile(r"[^\s:]+\.py:\d+")
# The agent that comes with simkit is no code of the reader's.
_OURS: Final = "simkit/"


@dataclass(frozen=True, slots=True)
class _Site:
    """A line of code, named ``file:line``, what happened there, and the number of the event that says so."""

    place: str
    what: str
    mark: str = ""


def in_your_code(trace: Trace, marks: Mapping[int, int], options: ReportOptions) -> list[str]:
    """Return the lines of code that the marked events name, each once, with their text where it is known."""
    sites = _told(site for n, mark in marks.items() if n < len(trace) for site in _sites(trace, trace.events[n], mark))
    shown = sites[-_SITES_MAX:]
    if not shown:
        return []
    left = len(sites) - len(shown)
    more = [f"{_BESIDE}... {left} outer line{'' if left == 1 else 's'}"] if left else []
    return [f"{INDENT}In your code", *more, *(cut(row, options.columns) for row in _aligned(shown, options))]


def _aligned(sites: Sequence[_Site], options: ReportOptions) -> Iterator[str]:
    wide, what = max(len(site.place) for site in sites), max(len(site.what) for site in sites)
    before = ""
    for site in sites:
        mark = "" if site.mark == before else site.mark
        code = printable(redact_source(options.code(site.place).strip()))
        yield f"{mark:>{len(_BESIDE) - 2}}  {site.place:<{wide}}  {site.what:<{what}}  {code}".rstrip()
        before = site.mark


def _told(sites: Iterable[_Site]) -> list[_Site]:
    """Return what is the reader's own, each line once."""
    found: dict[tuple[str, str], _Site] = {}
    for site in sites:
        if _LINE_OF_CODE.fullmatch(site.place) and not site.place.startswith(_OURS):
            found.setdefault((site.place, site.what), site)
    return list(found.values())


def _sites(trace: Trace, event: Event, number: int) -> Iterator[_Site]:
    mark = f"{number}>"
    match event.kind:
        case "subject.raised":
            yield from _stack(event, mark)
        case "orphan":
            yield from _leftover(event, mark)
        case "run.end" if event.get("reason") == "deadlock":
            # Who waits for ever is what is left over then.
            for orphan in trace.of("orphan"):
                yield from _leftover(orphan, mark)
        case "lost.error" | "loop.blocked" | "spin":
            yield _Site(str(event.get("where") or ""), "", mark)


def _stack(event: Event, mark: str) -> Iterator[_Site]:
    """Give the subject's frames, the innermost last; of an old trace, only that one is known."""
    frames = event.get("frames")
    texts = [str(frame) for frame in frames] if isinstance(frames, list | tuple) else []
    for text in texts or [str(event.get("where") or "")]:
        place, _, name = text.partition(" ")
        yield _Site(place, f"{name}()" if name.isidentifier() else name, mark)


def _leftover(orphan: Event, mark: str) -> Iterator[_Site]:
    # The coroutine's name behind a task's own is seen in the line itself.
    name = str(orphan.get("name")).partition(" (")[0]
    yield _Site(str(orphan.get("created") or ""), f"{name} created", mark)
    yield _Site(str(orphan.get("waits") or ""), f"{name} waits", mark)
