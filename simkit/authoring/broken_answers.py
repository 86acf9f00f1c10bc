"""Templates about answers that do not come whole: silence, a broken stream, a provider that turns requests away.

The idea: each shows the one fault in its plainest form, with a good answer behind it for an agent that asks again. The
constraint: they hold on every wire that the agent speaks, so nothing here belongs to one provider. Several faults in
one template were refused: a failure should have one cause to look for.
"""

from __future__ import annotations

from typing import Final

from simkit.authoring.template import Template

STALL: Final = Template(
    name="stall",
    says="a stream falls silent in the middle of a tool call, and its connection stays open",
    title="Does the agent give up a stream that falls silent in the middle of a tool call?",
    about="""\
The model begins to call a tool and falls silent; the connection stays open, so nothing ends the wait by itself. The
agent has to give the stream up, run nothing of the half call, and ask again.
""",
    settings="""\
  stale_after: 60s                          # <- how long the agent waits for the next piece of an answer
""",
    world="""\
user:
  - says: Write index.html for the landing page          # <- what your user asks for
provider:
  # The first request gets half a call, and then nothing more.
  - stream:
      - say: I'll write the page now.
      - call: write_file                    # <- a tool of yours
        args: '{"path": "index.html", "content": "<!doctype html><ht'
      - stall: forever                      # <- or a time, such as 181s
  # The next one gets the whole call.
  - stream:
      - call: write_file
        args: {path: index.html, content: <h1>Hello</h1>}
      - finish: tool_calls
  # The one that brings the tool's result gets the end.
  - stream:
      - say: Done, index.html is ready.
      - finish: stop
tools:
  write_file: {takes: 20ms, returns: ok}    # <- how long yours takes, and what it returns
""",
    judged="""\
expect:
  requests: 3
  tool_calls: {write_file: 1}               # the half call never ran
  last_message: {contains: index.html is ready}
  outcome: finished
  ends_within: 2m
always:
  - no_partial_tool_call_runs
  - bounded_silence: 60s                    # <- no request stays open longer without content
""",
    catches=("stub_finish_stop",),
    own_judged="""\
expect:
  requests: {at_most: 6}                    # <- how often your agent may ask in all
  tool_calls: {write_file: {at_most: 1}}    # the half call never runs
  ends_within: 1h                           # <- how long your user may sit there
  # <- once your agent gives up and asks again:
  # last_message: {contains: index.html is ready}
always:
  - no_partial_tool_call_runs
  - bounded_silence: 10m                    # <- your patience; the openai SDK's own is ten minutes
""",
)

BROKEN_STREAM: Final = Template(
    name="broken-stream",
    says="an answer ends in the middle, and no error says so",
    title="Does the agent notice that an answer broke off?",
    about="""\
The model looks something up and begins its answer; then the body of the response ends before the model said that it
was done. No error comes with it, so half an answer is easily taken for a whole one.
""",
    world="""\
user:
  - says: What is this project about?       # <- what your user asks
provider:
  - stream:
      - call: read_file                     # <- a tool of yours
        args: {path: README.md}
      - finish: tool_calls
  # No finish: the model was not done. eof ends the body properly.
  - stream:
      - say: It is about
      - disconnect: eof                     # <- or cut, or reset: those two come as errors
  # What the next request gets.
  - stream:
      - say: It is about tests in virtual time.
      - finish: stop
tools:
  read_file: {takes: 100ms, returns: "# A kit for tests in virtual time"}   # <- what yours returns
""",
    judged="""\
expect:
  requests: 3
  tool_calls: {read_file: 1}                # asking again does not run the tool again
  last_message: {contains: tests in virtual time}
  outcome: finished
  ends_within: 1m
always:
  - partial_is_not_success
  - bounded_requests: 3
""",
    catches=("stub_finish_stop",),
    own_judged="""\
expect:
  requests: {at_most: 6}                    # <- how often your agent may ask in all
  tool_calls: {read_file: {at_most: 1}}     # asking again does not run the tool again
  # <- once your agent asks again:
  # last_message: {contains: tests in virtual time}
  # outcome: finished
always:
  - partial_is_not_success                  # half an answer does not end a turn as "finished"
""",
)

RATE_LIMIT: Final = Template(
    name="rate-limit",
    says="the provider turns requests away and says how long to wait",
    title="Does the agent wait as long as the provider says?",
    about="""\
The provider is busy: it answers twice with 429 and says in retry-after when to come back. An SDK retries by itself,
and so may the agent around it; together they must wait, and must not multiply.
""",
    world="""\
user:
  - says: Hello                             # <- what your user says
provider:
  - status: 429                             # <- or 503, or 529
    error: Rate limit reached
    retry_after: 7s                         # <- how long the provider wants to be left alone
  - status: 429
    error: Rate limit reached
    retry_after: 20s
  - stream:
      - say: Hello, how can I help?
      - finish: stop
""",
    judged="""\
expect:
  requests: 3                               # every attempt that reached the provider
  waits: [7s, 20s]
  last_message: Hello, how can I help?
  outcome: finished
  ends_within: 30s
always:
  - backoff_respects_retry_after
  - bounded_requests: 3
""",
    catches=("ignore_retry_after",),
    own_judged="""\
expect:
  requests: {at_most: 3}                    # after two refusals the third request is answered
  ends_within: 5m                           # <- how long your user may sit there
  # <- where your agent, or its SDK, retries:
  # waits: [7s, 20s]
  # last_message: {contains: how can I help}
always:
  - backoff_respects_retry_after
""",
)
