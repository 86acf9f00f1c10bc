"""A run as a Mermaid sequence diagram: what a pull request, an issue or a job's summary shows without any tool.

The idea: a failure that is told in a comment should be seen there too, and Markdown knows one kind of drawing. The
constraint: the diagram is bounded and always holds the deciding events, numbered as the other reports number them; and
no text of an agent or a provider can end a line, open a block or become HTML. Drawing every frame was refused: pieces
of one text are one arrow, else the diagram of a long answer is wider than it is useful.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from simkit.model.duration import NS_PER_MS, NS_PER_S, format_instant
from simkit.model.trace import Event, Trace
from simkit.model.verdict import Result
from simkit.reporters.lanes import about, cut, numbered, printable
from simkit.reporters.sentences import AGENT, REQUESTS, STREAM, TOOLS, USER, tell

# A diagram of more lines than this is not read, and some viewers refuse it.
LINES_MAX: Final = 120
_HEAD: Final = ("sequenceDiagram", "participant U as user", "participant A as agent", "participant P as provider")
_TOOLS_HEAD: Final = "participant T as tools"
# The title, the participants and at least one event.
_LINES_MIN: Final = 8
_TEXT_MAX: Final = 90
_SILENCE_NS_MIN: Final = 10 * NS_PER_S
_BOXES: Final = {USER: "U", AGENT: "A", REQUESTS: "A", STREAM: "P", TOOLS: "T"}
# Who speaks to whom, for what goes from one to another; all else is a note over its own line.
_ARROWS: Final = {
    "user.says": "U->>A",
    "user.cancels": "U-xA",
    "user.leaves": "U-xA",
    "said": "A-->>U",
    "request": "A->>P",
    "job.request": "A->>P",
    "other.request": "A->>P",
    "request.invalid": "P--xA",
    "response": "P-->>A",
    "frame": "P-->>A",
    "stream.end": "P-->>A",
    "connection.refused": "P--xA",
    "tool.start": "A->>T",
    "tool.end": "T-->>A",
}
# Shown only when they decide: they say nothing about who does what with whom.
_QUIET: Final = frozenset(
    {"run.start", "connection.open", "connection.close", "thread.start", "thread.end", "turn.start", "choice"}
    | {"subject.returned", "answer.unused", "link.unused", "silence"}
)
_QUIET_FRAMES: Final = ("mark", "keepalive", "usage", "done")
# What Mermaid takes for the end of a statement, an entity, markup or a line break, as it wants them written.
_ENTITIES: Final = {ord(c): f"#{ord(c)};" for c in ';#<>&"`%{}'}


@dataclass(frozen=True, slots=True)
class MermaidReporter:
    """Renders the diagram of the first case that has to be told of, or of the first case."""

    name: str = "mermaid"

    def render(self, results: Sequence[Result]) -> str:
        """Return one diagram, its last line ended; nothing where there is no case."""
        shown = next((result for result in results if result.is_bad), results[0] if results else None)
        return mermaid(shown) if shown else ""


@dataclass(slots=True)
class _Row:
    """One line to be: an event, or the pieces of one answer that follow each other."""

    first: Event
    last: Event
    mark: int = 0
    pieces: list[str] = field(default_factory=list)


def mermaid(result: Result, *, lines_max: int = LINES_MAX) -> str:
    """Return the diagram of one run in at most ``lines_max`` lines (never fewer than eight), the last one ended."""
    rows = _rows(result.trace, numbered(n for finding in result.findings for n in finding.events))
    head = [*_HEAD, *([_TOOLS_HEAD] if any(row.first.actor == "tool" for row in rows) else [])]
    room = max(lines_max, _LINES_MIN) - len(head)
    near = _most_telling(rows)
    for size in range(min(room, len(rows)), 0, -1):
        lines = list(_drawn(rows, sorted(near[:size])))
        # Silences and gaps take lines of their own, so the fit is tried and not computed.
        if len(lines) <= room:
            return "\n".join([*head, *lines]) + "\n"
    return "\n".join([*head, "Note over A: nothing happened"]) + "\n"


def _most_telling(rows: Sequence[_Row]) -> list[int]:
    """Return the rows by their distance from the nearest mark; without marks, the last ones first."""
    distance = [len(rows)] * len(rows)
    if not any(row.mark for row in rows):
        return list(range(len(rows) - 1, -1, -1))
    # Once from each side: a long run may have as many marks as events.
    for order in (range(len(rows)), range(len(rows) - 1, -1, -1)):
        steps = len(rows)
        for i in order:
            steps = 0 if rows[i].mark else steps + 1
            distance[i] = min(distance[i], steps)
    return sorted(range(len(rows)), key=lambda i: (distance[i], i))


# -- from events to rows -----------------------------------------------------------------------------------------------
def _rows(trace: Trace, marks: dict[int, int]) -> list[_Row]:
    rows: list[_Row] = []
    for event in trace:
        mark = marks.get(event.n, 0)
        if not mark and (_is_quiet(event) or (rows and _joined(rows[-1], event))):
            continue
        rows.append(_Row(event, event, mark))
    return rows


def _is_quiet(event: Event) -> bool:
    is_count = event.kind == "note" and event.get("name") == "usage"
    return event.kind in _QUIET or event.get("is") in _QUIET_FRAMES or is_count


def _joined(row: _Row, event: Event) -> bool:
    """Add a piece to the row of the same text, or of the same call; say whether that was so."""
    last = row.last
    same = last.kind == event.kind == "frame" and last.get("request") == event.get("request")
    continues = {"say": ("say",), "think": ("think",), "args": ("call", "args", "name"), "name": ("call", "name")}
    if row.mark or not same or last.get("is") not in continues.get(str(event.get("is")), ()):
        return False
    # The first piece of arguments stands apart from the tool's name.
    apart = " " if last.get("is") == "call" and not last.get("text") else ""
    row.pieces.append(apart + str(event.get("text") or ""))
    row.last = event
    return True


# -- from rows to lines ------------------------------------------------------------------------------------------------
def _drawn(rows: Sequence[_Row], kept: Sequence[int]) -> Iterator[str]:
    before = -1
    for i in kept:
        if i > before + 1:
            yield f"Note over A: ... {i - before - 1} more events ..."
        elif i and rows[i].first.at_ns - rows[before].last.at_ns >= _SILENCE_NS_MIN:
            yield f"Note over U,P: {about(rows[i].first.at_ns - rows[before].last.at_ns)} of silence"
        yield _line(rows[i])
        before = i
    if before < len(rows) - 1:
        yield f"Note over A: ... {len(rows) - 1 - before} later events ..."


def _line(row: _Row) -> str:
    event = row.first
    mark = f"({row.mark}) " if row.mark else ""
    at = format_instant(event.at_ns - event.at_ns % NS_PER_MS)
    where = _ARROWS.get(event.kind, f"Note over {_box(event)}")
    return f"{where}: {mark}{at} {_safe(_words(row))}"


def _words(row: _Row) -> str:
    """Return the sentence of a row, with the pieces that were added to it."""
    text = tell(row.first).text
    return text.removesuffix('"') + "".join(row.pieces) + ('"' if text.endswith('"') else "")


def _box(event: Event) -> str:
    return _BOXES[tell(event).lane]


def _safe(text: str) -> str:
    return cut(printable(text), _TEXT_MAX).translate(_ENTITIES)


MERMAID: Final = MermaidReporter()
