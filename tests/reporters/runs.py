"""Runs made by hand that the drawn reports share: one with all that lasts, one with hostile texts, one with keys.

The idea: what a page, a diagram and a trace for Perfetto say is compared for the same few runs. The constraint: nothing
here runs an agent, so a report is tested on what the table of events promises. Runs of the corpus were refused: they
change for reasons that have nothing to do with reports.
"""

from __future__ import annotations

import re
from dataclasses import replace

import simkit.model.trace
from simkit.model.scenario import ToolSpec, UserSays
from simkit.model.timeline import Place
from simkit.model.trace import Event
from simkit.model.verdict import Result
from tests.checks.traces import CALL, FILE, USER, Story
from tests.reporters.results import SCENARIO, judged

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!--<script>\u2028&lt;b&gt;"
# Put together, so that no file holds what looks like a key.
KEY = "sk-" + "planted0key1"

# The case of ``failing`` whose user and tool have their lines too.
PLACED = replace(
    SCENARIO,
    user=(UserSays(at_ns=0, text="Write it", place=Place(FILE, 5)),),
    tools={"write_file": ToolSpec(name="write_file", place=Place(FILE, 9))},
)


def whole() -> Result:
    """A turn with a stalled answer, one with a call, and a tool that runs for 2 s."""
    story = Story().event("user", "user.says", text="Write it", line=5).turn()
    story.request(1, USER).stalled(1).request(2, USER).answer(2, CALL, finish="tool_calls")
    story.runs(takes="2s").event("subject", "said", text="Done.").turn_ends().returns()
    return judged(story, PLACED)


def stalls_longer() -> Result:
    """The same, but the user waits a second longer and nothing is said."""
    story = Story().event("user", "user.says", text="Write it", line=5).turn()
    story.request(1, USER).stalled(1, seconds=181).turn_ends("failed").returns()
    return judged(story, PLACED)


def hostile() -> Result:
    """A run in which every text tries to become markup."""
    scenario = replace(PLACED, title=HOSTILE, row=HOSTILE, tags=(HOSTILE,), source=f"{SCENARIO.source}\n# {HOSTILE}")
    story = Story().event("user", "user.says", text=HOSTILE).turn().request(1, {"role": "user", "content": HOSTILE})
    story.response(1).frame(1, "say", HOSTILE).frame(1, "call", HOSTILE, tool=HOSTILE).stream_ends(1, "cut")
    story.starts(HOSTILE, {HOSTILE: HOSTILE}).ends(1, HOSTILE, result=HOSTILE)
    story.event("subject", "note", name=HOSTILE, value=HOSTILE).event("subject", "said", text=HOSTILE)
    return judged(story.turn_ends(HOSTILE).returns(), scenario)


def leaking() -> Result:
    """A run with a key in every place where one was ever seen."""
    source = f"settings: {{api_key: {KEY[3:]}, x: 1}}\n  password: '{KEY[3:]}'\n# {KEY}"
    scenario = replace(PLACED, title=f"with {KEY}", row=KEY, source=source)
    story = Story().event("user", "user.says", text=f"my key is {KEY}").turn()
    story.request(1, USER, body={"api_key": KEY[3:], "messages": [{"content": KEY}]}).response(1)
    story.frame(1, "say", KEY).frame(1, "call", f'{{"token": "{KEY[3:]}"}}', tool="login").stream_ends(1, "cut")
    story.starts("login", {"password": KEY[3:]}).ends(1, "login", result=f"Bearer {KEY}")
    story.event("subject", "note", name="login", authorization=KEY[3:], nested={"secret": KEY[3:]})
    story.event("subject", "subject.raised", error="ValueError", text=f"ValueError: {KEY}", where="agent.py:2")
    return judged(story.turn_ends(), scenario)


def all_kinds() -> list[Event]:
    """Return an event of every kind that the table of the trace names, each without any value."""
    table = (simkit.model.trace.__doc__ or "").split("\n===")[2]
    heads = re.findall(
        r"^([a-z]+\.?[a-z.]*?)(/\.end)? +(world|user|provider|network|tool|thread|subject) ", table, re.M
    )
    kinds = [(kind, actor) for kind, _, actor in heads]
    kinds += [(kind.replace("start", "end"), actor) for kind, more, actor in heads if more]
    return [Event(n, n, actor, kind, {}) for n, (kind, actor) in enumerate(kinds)]
