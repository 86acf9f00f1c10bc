"""Templates about what takes long: a background answer, a tool that outlives its budget, a user who cancels.

The idea: time is the subject of each, so each holds two instants that meet or miss, and says which of them to move.
The constraint: where only the built-in agent can do a thing (parking a call, a tool to ask for it), the world for other
agents does without. One world for all was refused there: it would ask other agents for a tool that they do not have.
"""

from __future__ import annotations

from typing import Final

from simkit.authoring.template import Template

BACKGROUND_POLLING: Final = Template(
    name="background-polling",
    says="an answer runs at the provider, is polled for, and one poll fails",
    title="Does one failed poll cost an answer that is well?",
    about="""\
The answer runs on at the provider without its client, who asks for it from time to time. One of these polls fails
at the gateway; the answer is well, and it has cost money, so it must neither be lost nor be asked for a second
time.
""",
    settings="""\
  background: true
  stream: false
  poll_every: 2s                            # <- the time between two polls
""",
    world="""\
user:
  - says: Summarise the report              # <- what your user asks for
provider:
  - background:
      queued: 2s                            # <- how long the answer waits before it starts
      in_progress: 7s                       # <- how long it runs
      polls:
        2: {status: 502}                    # <- the poll that fails; also {connection: reset}
      stream:
        - say: It went well.
        - finish: stop
""",
    judged="""\
expect:
  requests: 1                               # nothing is generated twice
  polls: 5                                  # after 2, 4, 6, 8 and 10 s
  last_message: It went well.
  outcome: finished
  ends_within: 11s
always:
  - polls_respect_interval
  - no_fetch_after_terminal
""",
    catches=("failed_poll_ends_turn", "poll_too_often"),
    own_judged="""\
expect:
  requests: {at_most: 1}                    # nothing is generated twice
  polls: {at_most: 20}                      # <- how often your agent may ask
  ends_within: 5m
  # <- once your agent gets over the failed poll:
  # last_message: {contains: It went well}
always:
  - polls_respect_interval
  - no_fetch_after_terminal
  - give_up_cancels_job                     # an answer that nobody will come for is cancelled
""",
    in_background=True,
)

_TRANSCRIBE: Final = """\
user:
  - says: Transcribe the recording          # <- what your user asks for
"""
_CALL: Final = """\
provider:
  - stream:
      - call: transcribe                    # <- a tool of yours
        args: {file: meeting.wav}
      - finish: tool_calls
"""
_SLOW: Final = """\
tools:
  transcribe: {takes: 10m, returns: 32 pages}            # <- how long yours takes, and what it returns
"""

TOOL_OVERRUNS: Final = Template(
    name="tool-overruns",
    says="a tool takes longer than anybody wants to wait",
    title="What becomes of a tool call that takes longer than its turn may wait?",
    about="""\
A tool takes ten minutes. Whoever waits that long keeps a user waiting; whoever gives up must not leave it running
unseen, and must not run it a second time.
""",
    settings="""\
  tool_budget: 30s                          # <- how long a call may hold its turn before it goes on in the background
""",
    world=_TRANSCRIBE
    + """\
  - at: 15m                                 # <- when the user comes back, after the tool has ended
    says: Is it ready?
"""
    + _CALL
    + """\
  # The call did not end within its budget: the request brings the id under which it goes on.
  - capture: {id: '"background_id": "(bg-[0-9a-f]{12})"'}
    stream:
      - say: It takes a while and goes on in the background.
      - finish: stop
  - stream:
      - call: check_background_tool         # the agent's own tool for that
        args: {background_id: "${id}"}
      - finish: tool_calls
  - capture: {output: '"output": "(.*?)"'}
    stream:
      - say: "Here it is: ${output}"
      - finish: stop
"""
    + _SLOW,
    judged="""\
expect:
  requests: 4
  tool_calls: {transcribe: 1}
  parked: 1
  messages: 2
  last_message: "Here it is: 32 pages"
  outcome: finished
  ends_within: 16m
always:
  - no_orphans
  - tools_run_once
""",
    catches=("registry_in_context", "end_calls_with_turn"),
    own_world=_TRANSCRIBE
    + _CALL
    + """\
  # What the request gets that brings the tool's result, or word that it takes too long.
  - stream:
      - say: That is all there is of it.
      - finish: stop
"""
    + _SLOW,
    own_judged="""\
expect:
  requests: {at_most: 2}
  tool_calls: {transcribe: {at_most: 1}}    # never run a second time
  ends_within: 15m                          # <- how long your user may sit there
  # <- where your agent gives a tool up:
  # tool_results_sent: 1
  # outcome: finished
always:
  - no_orphans                              # nothing runs on after the agent has ended
  - tools_run_once
""",
)

_CANCELLED: Final = """\
user:
  - says: Deploy version 7                  # <- what your user asks for
  - at: 5s                                  # <- the tool ends at 5s too: try 4999ms and 5001ms
    cancels: true
"""
_DEPLOY: Final = """\
provider:
  - stream:
      - call: deploy                        # <- a tool of yours
        args: {version: 7}
      - finish: tool_calls
"""
_EFFECT: Final = """\
tools:
  # Asked to stop, it needs two seconds to clean up.
  deploy: {takes: 5s, cancel_takes: 2s, side_effect: version 7 is live}
"""

CANCEL_RACE: Final = Template(
    name="cancel-race",
    says="the user cancels at the instant at which a tool ends",
    title="Does a cancellation that meets the end of a tool stop the turn?",
    about="""\
The user cancels at the very instant at which a tool would end. Whichever comes first, nothing new may begin after
it, and the conversation must still be one that a provider accepts.
""",
    world=_CANCELLED
    + """\
  - at: 30s
    says: Is it live?
"""
    + _DEPLOY
    + """\
  # For the message at 30s.
  - when: {contains: Is it live}
    stream:
      - say: You stopped me before I could tell.
      - finish: stop
  # For an agent whose tool ended first, or that goes on all the same.
  - stream:
      - wait: 1s
      - say: Version 7 is live.
      - finish: stop
"""
    + _EFFECT,
    judged="""\
expect:
  requests: {at_most: 3}                    # one more where the tool ends first
  tool_calls: {deploy: 1}
  tool_effects: {deploy: {at_most: 1}}      # either may come first
  last_message: {contains: You stopped me}
  outcome: finished
  ends_within: 1m
always:
  - nothing_after_cancel
  - history_well_formed
  - no_orphans
""",
    catches=("cancel_is_tool_error",),
    own_world=_CANCELLED
    + _DEPLOY
    + """\
  # For an agent whose tool ended first.
  - stream:
      - wait: 1s
      - say: Version 7 is live.
      - finish: stop
"""
    + _EFFECT,
    own_judged="""\
expect:
  requests: {at_most: 2}
  tool_calls: {deploy: {at_most: 1}}
  ends_within: 15s
always:
  - nothing_after_cancel                    # <- with a grace of your own: `nothing_after_cancel: 3s`
  - no_orphans
""",
)
