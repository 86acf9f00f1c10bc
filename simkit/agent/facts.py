"""What a session tells whoever observes it.

The idea: one callable hears every fact that only the loop knows, under these names. The constraint it
protects: an observer hears and cannot answer, so nothing depends on who listens. A logger was refused: its
records are sentences, and a program that reads them must parse them again.

==================  ===========================  =============================================================
name                values                       when
==================  ===========================  =============================================================
turn_started        text                         a message of the user is taken up
said                text                         an answer, or the part of one that arrived, is shown to the
                                                 user
turn_ended          outcome, text, reason        the turn is over: finished, incomplete, failed or cancelled
usage               input, output                the turn is about to end, and this is what its answers have cost
idle_deadline       after_s, open                no content came for so long; ``open`` names the calls begun
broken_stream       error                        the stream broke off after its headers
partial_stub        finish_reason, dropped       what is kept of a cut answer, and the names of the calls that
                                                 are not
continuation        number, form                 the model is asked for the rest
resend              number, delay_s              nothing had arrived: the same request goes out again after a
                                                 pause
retry               number, delay_s, error       no answer came, and the SDK's own retries are used up: the same
                                                 request goes out again after a pause
fallback            delay_s, error               no answer came from this model: the other one is asked
nudge               number                       an answer had nothing in it, and the model is told so
pause               number                       the provider paused the answer: it goes back to be gone on with
answer_runs_on      token, how                   an answer runs on at the provider and is asked for again, from now
                                                 on in this way: resume or poll
question_failed     error                        such a question did not come through, or is refused
answer_stopped      token, error                 a running answer that nobody will come for was stopped; ``error``
                                                 says why it could not be
reader_left         after_s                      a blocking session's thread would not let go of its stream: it
                                                 ends at its own read timeout
tool_refused        tool, call, why              a call was not run: no such tool, or arguments that are not
                                                 JSON
tool_failed         tool, call, error            a tool raised, or gave what is no JSON
parked              tool, call, background_id,   a call has used its budget, and goes on in the background
                    after_s, args
pointed             tool, call, background_id    a call was not run: the same one is parked
background_ended    background_id, tool,         a parked call has ended, asked for or not; once for each
                    status, error
background_checked  background_id, status,       the agent asked: for one call, for the list (status ``listed``),
                    cancel, dry_run              or in a way that cannot be answered (status ``refused``)
evicted             background_id, tool, was     a parked call, or its result, had to make room for another
unstoppable         tool, call, background_id,   a call that was asked to stop (by turn, eviction or session)
                    by, after_s                  still runs
==================  ===========================  =============================================================

What the tools' facts carry is redacted (see ``redact``).
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
