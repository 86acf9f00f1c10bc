"""The extension contracts: what a dialect, a subject, a law, a strategy and a reporter must be able to do.

The idea: built-ins and strangers' extensions are the same kind of thing, described once, here, as Protocols or
frozen values. The constraint: nothing below mentions the kernel, YAML or asyncio, so an extension can be
written and tested without a world. Base classes were refused: they invite an extension to lean on machinery
that a release may change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from simkit.model.scenario import Scenario
from simkit.model.timeline import BackgroundReply, StatusReply, Step, StreamReply
from simkit.model.trace import Trace
from simkit.model.verdict import Finding, NotApplicable, Result


# -- dialects -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A complete request: header names in lower case; ``headers`` and ``query`` in order, repetitions too."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path without the query, as it was sent; of a target with scheme and host, what follows them."""
        path = self.target.partition("?")[0]
        if path.startswith("/"):
            return path
        return "/" + path.partition("://")[2].partition("/")[2]

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The decoded query."""
        return tuple(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def header(self, name: str) -> str | None:
        """Return the first header of this name, which is in lower case; None when there is none."""
        return next((value for key, value in self.headers if key == name), None)


class CallSent(NamedTuple):
    """A tool call that stands in a request's history; ``args`` is JSON text."""

    id: str
    tool: str
    args: str


class ResultSent(NamedTuple):
    """A tool result that stands in a request's history: the id of its call, and its text."""

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a request, in words that belong to no wire: ``role`` is system, user, assistant or tool.

    A message that holds tool results is of the role ``tool``, whatever the wire calls it.
    """

    role: str
    text: str = ""
    calls: tuple[CallSent, ...] = ()
    results: tuple[ResultSent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """A completion request as a dialect understood it. ``stream`` and ``model`` may come from its path."""

    model: str
    stream: bool
    body: Mapping[str, object]
    include_usage: bool = False
    background: bool = False
    messages: tuple[Message, ...] = ()
    # What a dialect must remember from the target, such as the form of the stream.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The real API's own refusal of a request."""

    status: int
    text: str
    body: bytes


class Frame(NamedTuple):
    """Bytes of a streamed body and what they mean. ``step`` is the index of the timeline step they come from.

    ``about`` holds the values of the trace's ``frame`` event (``is``, ``text``, ``tool``, ``call``, ``index``,
    ``progress``). ``times`` is how often the same bytes are sent. A named tuple: one is made for every frame of
    every stream.
    """

    step: int
    data: bytes
    about: Mapping[str, object]
    times: int = 1


@runtime_checkable
class Dialect(Protocol):
    """One wire format of a provider: pure, bytes to values and back, no clock and no await.

    ``base_url`` is what an SDK of this provider is given in production: some agents treat local addresses differently.
    Whatever takes ``number`` (the request's number in the run) and ``created`` (seconds) makes ids and dates of them.
    """

    name: str
    base_url: str

    def claims(self, method: str, path: str) -> bool:
        """Say whether a request with this method and path (without query) is a completion request of this dialect."""
        ...

    def read(self, request: HttpRequest) -> CompletionRequest | Refusal:
        """Understand a request, or refuse it with the body that the real API would send."""
        ...

    def stream(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> Iterable[Frame]:
        """Compile a timeline to frames, in step order; steps that only pass time give none.

        Raises ``UnplayableError`` for a step that this wire cannot carry.
        """
        ...

    def whole(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> bytes:
        """Compile a timeline to one body, for a request that did not ask for a stream. Raises ``UnplayableError``."""
        ...

    def hear(self, body: bytes, *, streamed: bool) -> tuple[Step, ...]:
        """Return the steps that such a body was made of, as far as it can be understood: the way back.

        Never raises: what is cut, damaged or unknown is left out. Consecutive pieces stay apart, as they were sent.
        """
        ...

    def error(self, reply: StatusReply, *, number: int) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body that the real API sends with this status."""
        ...

    def headers(self, number: int) -> Mapping[str, str]:
        """Return what the real API adds to every response: request ids, rate limits."""
        ...

    def media_type(self, request: CompletionRequest) -> str:
        """Return the content type of a streamed answer."""
        ...

    def keepalive(self, request: CompletionRequest) -> bytes:
        """Return the bytes by which this API keeps a silent stream open."""
        ...


# -- background jobs ------------------------------------------------------------------------------------------------
# Of which step the frames are that belong to none: those of the creation, and those of the start.
QUEUED_FRAMES: Final = -2
STARTED_FRAMES: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request about a job: ``op`` is retrieve, stream, cancel, delete or other; ``after`` is the cursor."""

    op: str
    id: str
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job at one instant: ``state`` is queued, in_progress, completed, failed, incomplete or cancelled."""

    number: int
    created: int
    state: str
    request: CompletionRequest
    reply: BackgroundReply | StreamReply
    now: int = 0


@runtime_checkable
class JobDialect(Dialect, Protocol):
    """A dialect whose answers can run on without their client, to be polled, resumed and cancelled by id."""

    def job_id(self, number: int) -> str:
        """Return the id of the answer to this request, which is a job whether or not it runs in the background."""
        ...

    def job_request(self, request: HttpRequest) -> JobRequest | Refusal | None:
        """Understand a request about a job; None when it is none."""
        ...

    def job_frames(
        self, reply: BackgroundReply, request: CompletionRequest, *, number: int, created: int
    ) -> Iterable[Frame]:
        """Compile a whole job to frames, one event each: creation, start, steps, and its end (step ``len(steps)``)."""
        ...

    def job_body(self, view: JobView) -> bytes:
        """Return the job as the API shows it."""
        ...

    def job_refusal(self, why: str, job_id: str) -> Refusal:
        """Return how the API refuses: ``unknown``, ``expired``, ``window``, ``not_background``, ``cancel``, ``op``."""
        ...


# -- subjects -----------------------------------------------------------------------------------------------------
class SimTool(Protocol):
    """A tool of the scenario, as a callable with a schema.

    Called from a coroutine it returns an awaitable, called from blocking code the result itself.
    """

    name: str
    description: str
    schema: Mapping[str, object]

    def __call__(self, **arguments: object) -> Any:
        """Run the tool in virtual time. Raises what the scenario says that the tool raises."""
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

    def on_cancel(self, handler: Callable[[], object]) -> None:
        """Say what to call when the user cancels or leaves: in the event loop that is running now, if there is one.

        Without a handler the task of the subject itself is cancelled, unless it waits for the user's next message.
        """
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
    ``imports`` names the modules that the subject imports while it runs, or is a function of its settings that does:
    they are imported before the run, because an import is no part of it and takes real seconds.
    """

    name: str
    start: Callable[[Sim], object]
    settings: Mapping[str, Setting] | None = None
    imports: tuple[str, ...] | Callable[[Mapping[str, object]], tuple[str, ...]] = ()


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

    def choose(self, kind: str, count: int, label: Callable[[int], str]) -> int:
        """Return which of ``count`` possibilities happens, 0 being the default of production.

        ``label`` says in words what one of them is, such as the name of the thread or task that would go on: the same
        words for the same actor throughout a run.
        """
        ...


class Strategy(Protocol):
    """Makes the choices that a plan leaves open."""

    @property
    def name(self) -> str:
        """The name by which it is asked for."""
        ...

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
