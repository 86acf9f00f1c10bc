"""What a session tells whoever observes it.

The idea: one callable hears every fact that only the loop knows, under these names. The constraint it
protects: an observer hears and cannot answer, so nothing depends on who listens. A logger was refused: its
records are sentences, and a program that reads them must parse them again.

==============  ======================  ======================================================================
name            values                  when
==============  ======================  ======================================================================
turn_started    text                    a message of the user is taken up
said            text                    an answer, or the part of one that arrived, is shown to the user
turn_ended      outcome, text, reason   the turn is over: finished, incomplete, failed or cancelled
idle_deadline   after_s, open           no content came for so long; ``open`` names the calls begun
broken_stream   error                   the stream broke off after its headers
partial_stub    finish_reason, dropped  what is kept of a cut answer, and the names of the calls that are not
continuation    number, form            the model is asked for the rest
resend          number, delay_s         nothing had arrived: the same request goes out again after a pause
tool_refused    tool, call, why         a call was not run: no such tool, or arguments that are not JSON
tool_failed     tool, call, error       a tool raised
==============  ======================  ======================================================================
"""

from __future__ import annotations

from typing import Protocol


class Observe(Protocol):
    """Hears one fact. Must not raise, and must not wait."""

    def __call__(self, name: str, /, **values: object) -> None:
        """Take the fact called ``name``."""
        ...


def unobserved(name: str, /, **values: object) -> None:
    """Hear nothing."""
