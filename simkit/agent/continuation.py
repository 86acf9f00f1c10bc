"""What becomes of an answer that was cut off: the stub that is kept, and the words that ask for the rest.

The idea: whatever cut it (the output limit, a stalled stream, a broken connection), a cut answer is treated
like one that ran into the output limit: its text is kept, its calls are dropped by name, and the model is
asked to go on. The constraint it protects: nothing runs from a cut answer, and the next request differs from
the one that stalled. Ending the stub with ``stop`` was refused: it ends the turn as if it were a success, and
the user's "continue" stalls again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from simkit.agent.stream import Answer

Form = Literal["truncated", "broken_text", "dropped_calls"]

# More names than three make the prompt longer without telling the model more.
_NAMES_MAX: Final = 3

# Small enough to stream within any idle deadline in use, large enough for a page of code.
_CALL_TOKENS: Final = 8_000

_PROMPTS: Final[dict[Form, str]] = {
    "truncated": (
        "Your answer reached the output limit and was cut off. Continue exactly where it stops, "
        "without repeating what you have already written."
    ),
    "broken_text": (
        "The connection broke while your answer was arriving. The text above is all that came. "
        "Continue exactly where it stops, without repeating it."
    ),
    "dropped_calls": (
        "Your answer was cut off while you were writing the arguments of {names}. That call was dropped, "
        "nothing was run. Do not write the same large call again, it would be cut off again. Split the work "
        "into several smaller calls of about {tokens:,} tokens each, and make the first of them now."
    ),
}


# Without a reproach, and with both ways out: models that were told only to answer make calls up, and the reverse.
NUDGE: Final = "Your last answer was empty. Give your answer now, or make the tool call that you need for it."


def is_cut(answer: Answer) -> bool:
    """Say whether the answer broke off: no finish at all, or the output limit in the middle of a call."""
    return answer.finish is None or (answer.finish == "length" and any(c.fault for c in answer.calls))


def stub(answer: Answer) -> Answer:
    """Return what may be kept of a cut answer: its text, and the names of its calls but none of the calls."""
    names = tuple(c.name or "an unnamed tool" for c in answer.calls)
    # What goes with a call of the model or of the provider is no good without it.
    return replace(answer, finish="length", calls=(), dropped=names, partial=answer.finish is None, opaque=())


def form_of(answer: Answer) -> Form:
    """Return which of the three prompts an answer that ended with ``length`` calls for."""
    if answer.dropped:
        return "dropped_calls"
    return "broken_text" if answer.partial else "truncated"


def prompt(answer: Answer) -> str:
    """Return the words that ask the model to go on from this stub."""
    return _PROMPTS[form_of(answer)].format(names=_names(answer.dropped), tokens=_CALL_TOKENS)


def _names(dropped: tuple[str, ...]) -> str:
    names = list(dict.fromkeys(dropped))
    shown, more = ", ".join(names[:_NAMES_MAX]), len(names) - _NAMES_MAX
    return f"{shown} and {more} more" if more > 0 else shown
