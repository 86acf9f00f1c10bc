"""The extension contracts: what a dialect, a subject, a law, a strategy and a reporter must be able to do.

The idea: built-ins and strangers' extensions are the same kind of thing, described once, here, as Protocols or
frozen values. The constraint: nothing below mentions the kernel, YAML or asyncio, so an extension can be
written and tested without a world. Base classes were refused: they invite an extension to lean on machinery
that a release may change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from simkit.model.scenario import Scenario
from simkit.model.timeline import StatusReply, StreamReply
from simkit.model.trace import Trace
from simkit.model.verdict import Finding, NotApplicable, Result


# -- dialects -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """A completion request as a dialect understood it."""

    model: str
    stream: bool
    body: Mapping[str, object]
    include_usage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The real API's own refusal of a malformed request."""

    status: int
    text: str
    body: bytes


class Frame(NamedTuple):
    """Bytes of a streamed body and what they mean. ``step`` is the index of the timeline step they come from.

    ``about`` holds the values of the trace's ``frame`` event (``is``, ``text``, ``tool``, ``call``, ``index``,
    ``progress``). A named tuple: one is made for every frame of every stream.
    """

    step: int
    data: bytes
    about: Mapping[str, object]


@runtime_checkable
class Dialect(Protocol):
    """One wire format of a provider: pure, bytes to values and back, no clock and no await.

    ``base_url`` is what an SDK of this provider is given in production: some agents treat local addresses differently.
    """

    name: str
    base_url: str

    def claims(self, method: str, path: str) -> bool:
        """Say whether a request with this method and path (without query) is a completion request of this dialect."""
        ...

    def read(self, body: bytes) -> CompletionRequest | Refusal:
        """Understand a request body, or refuse it with the body that the real API would send."""
        ...

    def stream(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> Sequence[Frame]:
        """Compile a timeline to frames, in step order; steps that only pass time give none.

        ``number`` (the request's number in the run) and ``created`` (seconds) make the ids and dates.
        """
        ...

    def whole(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> bytes:
        """Compile a timeline to one body, for a request that did not ask for a stream."""
        ...

    def error(self, reply: StatusReply) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body that the real API sends with this status."""
        ...


# -- subjects -----------------------------------------------------------------------------------------------------
class SimTool(Protocol):
    """A tool of the scenario, as a callable with a schema. Called from a coroutine it returns an awaitable."""

    name: str
    description: str
    schema: Mapping[str, object]

    async def __call__(self, **arguments: object) -> object:
        """Run the tool in virtual time. Raises ``RuntimeError`` where the scenario says that the tool raises."""
        ...


class SimUser(Protocol):
    """The user's messages as they come: iterate with ``async for`` in a coroutine, with ``for`` in blocking code."""

    def __aiter__(self) -> AsyncIterator[str]: ...

    def __iter__(self) -> Iterator[str]: ...


class Sim(Protocol):
    """What a subject is given, and what it reports back."""

    @property
    def user(self) -> SimUser:
        """The user's messages, each at its virtual time."""
        ...

    @property
    def tools(self) -> Mapping[str, SimTool]:
        """The scenario's tools by name."""
        ...

    @property
    def settings(self) -> Mapping[str, object]:
        """The scenario's settings, with the subject's own defaults filled in; durations are seconds (float)."""
        ...

    def base_url(self, dialect: str) -> str:
        """Return the URL to give to an SDK for this dialect (``openai-chat``, ...). Raises ``UsageError``."""
        ...

    def turn_started(self, text: str) -> None:
        """Say that the subject took up this message of the user."""
        ...

    def said(self, text: str) -> None:
        """Say what the subject showed to the user."""
        ...

    def turn_ended(self, outcome: str, text: str = "") -> None:
        """Say how the turn ended: ``finished``, ``incomplete``, ``failed``, ``cancelled`` or a word of the subject."""
        ...

    def note(self, name: str, **values: object) -> None:
        """Put a fact that only the subject knows into the trace."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a subject: its default, what it is, and its sentence.

    ``kind`` is ``duration``, ``count``, ``text``, ``flag`` or ``choice`` (then ``choices`` lists the words).
    """

    kind: str
    default: object
    says: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An agent under test. ``start`` is ``async def`` or a blocking function; both take a ``Sim``.

    ``settings`` is the table that a scenario's settings are checked against; None accepts everything as it is.
    ``imports`` names the modules that the subject imports while it runs: they are imported before the run, because an
    import is no part of it and takes real seconds.
    """

    name: str
    start: Callable[[Sim], object]
    settings: Mapping[str, Setting] | None = None
    imports: tuple[str, ...] = ()


# -- laws ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A pure function of scenario and trace, with its name and its sentence.

    ``parameter`` names the kind of value that the law takes (``duration``, ``count``) or is None; ``default`` is used
    where the scenario gives none. ``judge`` yields findings, or one ``NotApplicable``; it must not raise, and what it
    raises makes the verdict UNKNOWN.
    """

    name: str
    says: str
    judge: Callable[[Scenario, Trace, object], Iterable[Finding | NotApplicable]]
    parameter: str | None = None
    default: object = None
    on_by_default: bool = True


# -- strategies and reporters ---------------------------------------------------------------------------------------
class Chooser(Protocol):
    """Makes the choices of one run."""

    def choose(self, kind: str, count: int) -> int:
        """Return which of ``count`` possibilities happens, 0 being the default of production."""
        ...


class Strategy(Protocol):
    """Makes the choices that a plan leaves open."""

    name: str

    def begin(self, seed: int) -> Chooser:
        """Return the chooser of one run, whose choices depend on the seed and on nothing else."""
        ...


class Reporter(Protocol):
    """Renders judged results. Computes nothing about a run: whatever it says is in the result."""

    name: str

    def render(self, results: Sequence[Result]) -> str:
        """Return the whole report as text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """A historical fault that can be switched on from outside: its name, what it breaks, and where it was seen."""

    name: str
    says: str
    source: str
    breaks: tuple[str, ...] = field(default=())
