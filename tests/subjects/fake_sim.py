"""A ``sim`` without a world: what a subject is given, from plain values, and what it reports, in a list.

The idea: the contract of ``contracts.Sim`` and nothing behind it. The constraint: a subject must be testable
without the kernel, or a fault of one room would show as a fault of the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from simkit.contracts import Setting, SimTool
from simkit.model.duration import NS_PER_S, parse_duration
from simkit.subjects.agent import SETTINGS


@dataclass
class FakeUser:
    texts: tuple[str, ...]

    async def __aiter__(self) -> AsyncIterator[str]:
        for text in self.texts:
            yield text

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)


@dataclass
class FakeTool:
    name: str
    runs: list[Mapping[str, object]] = field(default_factory=list)
    description: str = "does something"
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "object"})

    async def __call__(self, **arguments: object) -> object:
        self.runs.append(arguments)
        return "ok"


@dataclass
class FakeSim:
    url: str
    user: FakeUser
    tools: Mapping[str, SimTool]
    settings: Mapping[str, object]
    reports: list[tuple[object, ...]] = field(default_factory=list)

    def base_url(self, dialect: str) -> str:
        self.reports.append(("base_url", dialect))
        return self.url

    def on_cancel(self, handler: Callable[[], object]) -> None:
        """Nobody cancels here."""

    def turn_started(self, text: str) -> None:
        self.reports.append(("turn_started", text))

    def said(self, text: str) -> None:
        self.reports.append(("said", text))

    def turn_ended(self, outcome: str, text: str = "") -> None:
        self.reports.append(("turn_ended", outcome, text))

    def note(self, name: str, **values: object) -> None:
        self.reports.append(("note", name, values))


def fake_sim(
    *texts: str, url: str = "http://127.0.0.1:9/v1", tool: FakeTool | None = None, **changed: object
) -> FakeSim:
    """A sim with the agent's own defaults, durations in seconds, and these changes."""
    defaults = {name: _default(setting) for name, setting in SETTINGS.items()}
    tools: dict[str, SimTool] = {tool.name: tool} if tool else {}
    return FakeSim(url, FakeUser(texts), tools, defaults | changed)


def _default(setting: Setting) -> object:
    return parse_duration(str(setting.default)) / NS_PER_S if setting.kind == "duration" else setting.default
