"""The provider: the hosts of a scenario, and who answers a request to one of them.

The idea: every request is looked at once, here: a dialect claims it, or it is about a job, or it is something that no
dialect knows. The constraint: what no dialect knows gets the provider's own 404 and what the API refuses its own
refusal, while a completion request that the script has no answer for ends the run, since a fake that always answers
hides the loop that asks too often. A server for each dialect was refused: the answers of a script are in one order,
whatever the wire.

At the end of a run the answers that are left are recorded, unless the provider had to end it (``exhausted``,
``unmatched``, ``unplayable``, ``limit``): then the script was not played to its end, and what is left of it says
nothing about the agent.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Final, cast
from urllib.parse import urlsplit

from simkit.contracts import CompletionRequest, Dialect, HttpRequest, Refusal
from simkit.dialects.jsontext import read_json
from simkit.errors import RunEndedError, UsageError
from simkit.extensions import find, names
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, BackgroundReply
from simkit.provider.conversation import Conversation
from simkit.provider.exchange import Exchange, Run
from simkit.provider.faults import LAST_RESORT, reply_for
from simkit.provider.hosts import serve_host
from simkit.provider.jobs import Jobs
from simkit.provider.player import Player, response_headers
from simkit.provider.script import Asked, Script, Taken
from simkit.provider.stage import Line, Stage, epoch_s

# The index of an answer that stands in no script.
STRUCK: Final = -1
_NOT_FOUND: Final = b'{"error":{"message":"Invalid URL","type":"invalid_request_error","param":null,"code":null}}'
_JSON: Final = {"content-type": "application/json"}


class Provider:
    """The scripted provider, and the other hosts that a scenario declares."""

    def __init__(self, stage: Stage, scenario: Scenario) -> None:
        self._run = Run(stage)
        self._record = stage.record
        self._requests_max = scenario.limits.requests
        self._script = Script(scenario.provider)
        self._count = 0
        self._connections = 0
        self._dialects = [cast(Dialect, find("dialects", name)) for name in names("dialects")]
        self._jobs = Jobs(self._run, self._dialects)
        stage.at_end(self._close)
        own = _own_hosts(self._dialects, scenario)
        for host in own.values():
            self._serve_at(host)
        for name, reply in scenario.hosts.items():
            if name.lower() in own:
                raise UsageError(
                    f"`hosts:` declares {name!r}, the provider's own host - write its answers under `provider:`"
                )
            serve_host(self._run, name, reply)

    def base_url(self, dialect: str) -> str:
        """Return the URL for an SDK. Raises ``UsageError`` when no dialect has this name."""
        return cast(Dialect, find("dialects", dialect)).base_url

    def unused(self) -> list[tuple[int, Answer, int | None]]:
        """Return the answers that could still be used: index, answer, how often (None: without end)."""
        return self._script.unused()

    # -- connections -------------------------------------------------------------------------------------------------
    def _serve_at(self, host: str) -> None:
        """Answer at this host. Connections are counted over all of them, from 1; a dial that fails is none."""
        dialled = deque[int]()

        def admit(port: int, stage: str) -> str | None:
            how = self._script.dial(host, self._connections + 1, stage)
            if how is None and stage == "connect":
                self._connections += 1
                dialled.append(self._connections)
            return how

        def accept(line: Line) -> Conversation:
            number = dialled.popleft()
            return Conversation(self._run.stage, line, partial(self._serve, number))

        self._run.stage.serve(host, accept, admit)

    def _close(self) -> None:
        """The run is over: say what is open, and what was never asked for."""
        for exchange in list(self._run.streams):
            exchange.leave_open()
        if self._run.broken_off:
            return
        for index, answer, left in self.unused():
            line = answer.place.line if answer.place else None
            self._record("provider", "answer.unused", answer=index, left=left, line=line)

    # -- requests ----------------------------------------------------------------------------------------------------
    def _serve(self, dialled: int, conversation: Conversation, request: HttpRequest) -> None:
        dialect = next((d for d in self._dialects if d.claims(request.method, request.path)), None)
        if dialect is not None:
            self._complete(dialled, conversation, request, dialect)
        elif not self._jobs.serve(conversation, request):
            line = conversation.line
            self._record(
                "provider",
                "other.request",
                connection=line.connection,
                method=request.method,
                host=line.host,
                path=request.path,
                status=404,
            )
            conversation.send_whole(404, _JSON, _NOT_FOUND)

    def _complete(self, dialled: int, conversation: Conversation, request: HttpRequest, dialect: Dialect) -> None:
        self._count += 1
        number, read = self._count, dialect.read(request)
        self._record_request(conversation.line, request, dialect, read)
        if number > self._requests_max:
            raise self._run.end("limit", f"more than {self._requests_max} completion requests (`limits: requests`)")
        if isinstance(read, Refusal):
            self._record("provider", "request.invalid", request=number, status=read.status, text=read.text)
            headers = response_headers(self._run.stage, dialect.headers(number), _JSON)
            conversation.send_whole(read.status, headers, read.body)
            return
        asked = Asked(
            number=number,
            host=conversation.line.host,
            path=request.path,
            connection=dialled,
            retry=_retry_count(request),
            dialect=dialect.name,
            request=read,
        )
        self._answer(conversation, dialect, asked)

    def _answer(self, conversation: Conversation, dialect: Dialect, asked: Asked) -> None:
        fault = reply_for(self._run.stage.fault_at(f"answer{asked.number}"))
        taken = self._taken(asked) if fault is None else Taken(STRUCK, Answer(reply=fault))
        exchange = Exchange(
            run=self._run,
            number=asked.number,
            request=asked.request,
            dialect=dialect,
            index=taken.index,
            answer=taken.answer,
            created=epoch_s(self._run.stage),
            give_back=partial(self._script.give_back, taken.index),
        )
        if isinstance(taken.answer.reply, BackgroundReply):
            self._jobs.begin(conversation, exchange)
        else:
            self._jobs.keep(exchange)
            Player(conversation, exchange).start()

    def _taken(self, asked: Asked) -> Taken:
        try:
            return self._script.take(asked)
        except RunEndedError as error:
            if self._run.stage.struck and error.reason in ("exhausted", "unmatched"):
                # Without the fault nobody would have asked: the script says nothing about this request.
                return Taken(STRUCK, LAST_RESORT)
            raise self._run.end(error.reason, error.text) from None

    def _record_request(
        self, line: Line, request: HttpRequest, dialect: Dialect, read: CompletionRequest | Refusal
    ) -> None:
        understood = read if isinstance(read, CompletionRequest) else None
        self._record(
            "provider",
            "request",
            request=self._count,
            connection=line.connection,
            method=request.method,
            host=line.host,
            path=request.path,
            dialect=dialect.name,
            model=understood.model if understood else None,
            stream=understood.stream if understood else None,
            retry=_retry_count(request),
            body=understood.body if understood else _json_or_text(request.body),
            background=understood.background if understood else False,
        )


def hosts_of(scenario: Scenario) -> set[str]:
    """Return every host of a scenario, in small letters: the provider's own, and those that it declares."""
    dialects = [cast(Dialect, find("dialects", name)) for name in names("dialects")]
    return {*_own_hosts(dialects, scenario), *(name.lower() for name in scenario.hosts)}


def _own_hosts(dialects: list[Dialect], scenario: Scenario) -> dict[str, str]:
    """Return the provider's hosts by their names in small letters: the dialects', and those that answers are for."""
    hosts = [str(urlsplit(dialect.base_url).hostname) for dialect in dialects]
    hosts += [answer.when.host for answer in scenario.provider if answer.when.host and "*" not in answer.when.host]
    return {host.lower(): host for host in reversed(hosts)}


def _retry_count(request: HttpRequest) -> int:
    """Return which retry of the SDK's own this is: the SDKs count in a header."""
    text = request.header("x-stainless-retry-count") or "0"
    return int(text) if text.isdecimal() else 0


def _json_or_text(body: bytes) -> object:
    try:
        return read_json(body.decode())
    except ValueError:
        return body.decode("utf-8", "replace")
