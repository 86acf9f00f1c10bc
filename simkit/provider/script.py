"""The script: which answer the next completion request gets.

The idea: answers are used in the order in which they are written, each as many times as it says. The
constraint: an exhausted script is an error with the difference between what was expected and what came, and
never a last answer that repeats. Matching by substring over the whole script was refused: fixtures that fire
for the wrong request loop until the iteration cap (CopilotKit/CopilotKit pull 4155).
"""

from __future__ import annotations

from collections.abc import Sequence

from simkit.contracts import CompletionRequest
from simkit.model.timeline import Answer, StatusReply, StreamReply, UnreachableReply

# As much of a message as a person reads in one line.
_EXCERPT: int = 80


class Script:
    """The answers of a scenario and how far they are used."""

    __slots__ = ("_answers", "_place", "_used")

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = tuple(answers)
        self._place = 0
        self._used = 0

    def peek(self) -> Answer | None:
        """Return the answer that comes next, or None when the script is used up."""
        return self._answers[self._place] if self._place < len(self._answers) else None

    def take(self) -> tuple[int, Answer] | None:
        """Use the next answer: its index and itself, or None when the script is used up."""
        answer = self.peek()
        if answer is None:
            return None
        index = self._place
        self._used += 1
        if self._used >= answer.times:
            self._place, self._used = self._place + 1, 0
        return index, answer

    def exhausted_text(self, number: int, request: CompletionRequest) -> str:
        """Say what came when nothing was expected any more, and what the script had until then."""
        total = sum(a.times for a in self._answers)
        last = f"; the last one, {_describe(self._answers[-1])}, is used up" if self._answers else ""
        return (
            f"request {number} came, but the script has {total} answer{'' if total == 1 else 's'}{last}. "
            f"Its last message: {_last_message(request)}. "
            "Write a further answer under `provider:`, or look for what makes the agent ask once more"
        )


def _describe(answer: Answer) -> str:
    where = f" in line {answer.place.line}" if answer.place else ""
    match answer.reply:
        case StreamReply():
            return f"a stream{where}"
        case StatusReply(status=status):
            return f"status {status}{where}"
        case UnreachableReply(how=how):
            return f"a connection that is {how}{where}"


def _last_message(request: CompletionRequest) -> str:
    messages = request.body.get("messages")
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        return "none"
    text = _text(messages[-1].get("content"))
    excerpt = text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."
    return f"{messages[-1].get('role')}: {excerpt!r}"


def _text(content: object) -> str:
    """Return the text of a message, which some agents send in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
