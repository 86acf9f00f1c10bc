"""The script: which answer a request gets.

The idea: the first answer that still has uses left and whose ``when`` fits is taken, so a script without conditions
is used in the order in which it is written. The constraint: a request that no answer fits is an error with the
difference between what was expected and what came, and never a last answer that repeats. Matching by substring over
the whole script was refused: fixtures that fire for the wrong request loop until the iteration cap
(CopilotKit/CopilotKit pull 4155).

Decided here: an answer without a connection (``connection: refused``) is taken when the client dials, as long as its
``when`` asks for nothing but host and connection, and no answer before it could be the one for the request that would
come. Any other is taken by the request: the server that is gone then breaks the connection that the client has. The
same goes for one with ``after``, because a dial cannot be kept waiting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from simkit.contracts import CompletionRequest, Message
from simkit.errors import RunEndedError
from simkit.model.timeline import (
    ANYTIME,
    Answer,
    BackgroundReply,
    StatusReply,
    StreamReply,
    UnreachableReply,
    When,
)
from simkit.provider.capture import filled, find

# As much of a message as a person reads in one line.
_EXCERPT: Final = 80
# More near misses than this would be a list and no help.
_NEAREST: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A completion request with what an answer may be chosen by."""

    number: int
    host: str
    path: str
    connection: int
    retry: int
    dialect: str
    request: CompletionRequest


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer of a request: its index in the scenario, and itself with its texts filled."""

    index: int
    answer: Answer


class Script:
    """The answers of a scenario, how often each was used, and what their requests brought."""

    __slots__ = ("_answers", "_captured", "_used")

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = tuple(answers)
        self._used = [0] * len(self._answers)
        self._captured: dict[str, str] = {}

    def dial(self, host: str, connection: int, stage: str) -> str | None:
        """Say how an attempt to connect fails at this stage of it, using the answer up if it does."""
        for index, answer in self._left():
            at_the_door = replace(ANYTIME, host=answer.when.host, connection=answer.when.connection)
            if any(_misses(at_the_door, {"host": host, "connection": connection})):
                continue
            reply = answer.reply
            decided = answer.when == at_the_door and not answer.after_ns
            if not isinstance(reply, UnreachableReply) or not decided:
                return None
            if (reply.how == "unknown_host") != (stage == "name"):
                return None
            self._used[index] += 1
            return reply.how
        return None

    def take(self, asked: Asked) -> Taken:
        """Use the answer for this request. Raises ``RunEndedError`` (``exhausted``, ``unmatched``) when it has none."""
        facts = _facts(asked)
        for index, answer in self._left():
            if not any(_misses(answer.when, facts)):
                self._used[index] += 1
                self._capture(answer, asked)
                return Taken(index, self._filled(answer, asked))
        if any(self._left()):
            raise RunEndedError("unmatched", self._unmatched_text(asked, facts))
        raise RunEndedError("exhausted", self._exhausted_text(asked))

    def give_back(self, index: int) -> None:
        """Let a further request have this answer, as if it had not been used; below 0 it is none of the script's."""
        if index >= 0:
            self._used[index] -= 1

    def unused(self) -> list[tuple[int, Answer, int | None]]:
        """Return the answers that could still have been used: index, answer, how often (None: without end).

        One that may be used without end is unused only where it never was.
        """
        left = [(index, answer, self._count_left(index)) for index, answer in self._left()]
        return [one for one in left if one[2] is not None or not self._used[one[0]]]

    def _left(self) -> Iterator[tuple[int, Answer]]:
        for index, answer in enumerate(self._answers):
            if self._count_left(index) != 0:
                yield index, answer

    def _count_left(self, index: int) -> int | None:
        times = self._answers[index].times
        return None if times is None else times - self._used[index]

    # -- captured names ----------------------------------------------------------------------------------------------
    def _capture(self, answer: Answer, asked: Asked) -> None:
        for name, pattern in answer.capture.items():
            value = find(pattern, asked.request)
            if value is None:
                raise RunEndedError(
                    "unmatched",
                    f"request {asked.number} gets {_describe(answer)}, which captures {name!r} with {pattern!r}, and "
                    f"nothing in the request fits that. Its last message: {_last_message(asked.request)}. "
                    "Look for why the agent does not send it, or mend the expression",
                )
            self._captured[name] = value

    def _filled(self, answer: Answer, asked: Asked) -> Answer:
        try:
            return replace(answer, reply=filled(answer.reply, self._captured))
        except KeyError as missing:
            raise RunEndedError(
                "unmatched",
                f"request {asked.number} gets {_describe(answer)}, whose text waits for {missing.args[0]!r}, and no "
                f"request has brought that yet (captured so far: {', '.join(self._captured) or 'nothing'}) - "
                "`capture:` it with an answer that is used before this one",
            ) from None

    # -- sentences ---------------------------------------------------------------------------------------------------
    def _exhausted_text(self, asked: Asked) -> str:
        total = sum(answer.times or 0 for answer in self._answers)
        last = f"; the last one, {_describe(self._answers[-1])}, is used up" if self._answers else ""
        return (
            f"request {asked.number} came, but the script has {total} answer{'' if total == 1 else 's'}{last}. "
            f"Its last message: {_last_message(asked.request)}. "
            "Write a further answer under `provider:`, or look for what makes the agent ask once more"
        )

    def _unmatched_text(self, asked: Asked, facts: Mapping[str, object]) -> str:
        missed = [(list(_misses(answer.when, facts)), answer) for _, answer in self._left()]
        nearest = sorted(missed, key=lambda one: len(one[0]))[:_NEAREST]
        near = "; ".join(f"{_describe(answer)} ({', '.join(misses)})" for misses, answer in nearest)
        return (
            f"request {asked.number} came, and no answer that is left is for it. Nearest: {near}. "
            f"Its last message: {_last_message(asked.request)}. "
            "Write an answer whose `when` fits it under `provider:`, or look for why the agent asks this"
        )


# -- conditions ------------------------------------------------------------------------------------------------------
def _facts(asked: Asked) -> dict[str, object]:
    """Return what came, by the names of the conditions."""
    messages, request = asked.request.messages, asked.request
    users = [message for message in messages if message.role == "user"]
    return {
        "host": asked.host,
        "path": asked.path,
        "model": request.model,
        "dialect": asked.dialect,
        "stream": request.stream,
        "turn": len(users),
        "contains": _all_text(messages[-1]) if messages else "",
        "conversation": users[0].text if users else "",
        "has_tool_result": _has_new_result(messages),
        "connection": asked.connection,
        "retry": asked.retry,
    }


def _has_new_result(messages: Sequence[Message]) -> bool:
    """Say whether a tool result stands behind the last message of the model."""
    last = max((n for n, m in enumerate(messages) if m.role == "assistant"), default=-1)
    return any(message.results for message in messages[last + 1 :])


def _misses(when: When, facts: Mapping[str, object]) -> Iterator[str]:
    """Yield each condition that does not fit: its name, what was wanted, and what came."""
    # Most answers have none, and every request asks every answer.
    if when is ANYTIME:
        return
    for name, met in facts.items():
        wanted = getattr(when, name)
        if wanted is None:
            continue
        if name in ("contains", "conversation"):
            if wanted not in str(met):
                yield f"{name} {wanted!r} is not in {_excerpt(str(met))!r}"
        elif not (_like(wanted, str(met), name) if isinstance(wanted, str) else wanted == met):
            yield f"{name} {wanted!r}, came {met!r}"


def _like(pattern: str, text: str, name: str) -> bool:
    # Names of hosts are the same in capitals.
    fold = str.lower if name == "host" else str
    return _expression(fold(pattern)).fullmatch(fold(text)) is not None


@lru_cache(maxsize=256)  # the few patterns of a script, asked for at every request of every run
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


# -- words -----------------------------------------------------------------------------------------------------------
def _describe(answer: Answer) -> str:
    where = f" in line {answer.place.line}" if answer.place else ""
    match answer.reply:
        case StreamReply():
            return f"a stream{where}"
        case BackgroundReply():
            return f"a background job{where}"
        case StatusReply(status=status):
            return f"status {status}{where}"
        case UnreachableReply(how=how):
            return f"a connection that is {how}{where}"


def _last_message(request: CompletionRequest) -> str:
    if not request.messages:
        return "none"
    last = request.messages[-1]
    return f"{last.role}: {_excerpt(_all_text(last))!r}"


def _all_text(message: Message) -> str:
    return "\n".join(filter(None, [message.text, *(result.text for result in message.results)]))


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."
