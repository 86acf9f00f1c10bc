"""Results made by hand for the reports: a failing case with its YAML, a passing one, and one that nobody can tell."""

from __future__ import annotations

from dataclasses import replace

from simkit.checks.judge import judge
from simkit.model.plan import Plan
from simkit.model.scenario import Expectation, LawUse, Matcher, Scenario
from simkit.model.timeline import Place
from simkit.model.trace import Trace
from simkit.model.verdict import Judgement, Result
from tests.checks.traces import FILE, STALLS, USER, Story

SOURCE = """\
simkit: 1
scenario: The stream stalls in the middle of a tool call
user:
  - at: 0s
    says: Write index.html
provider:
  - stream:
      - say: I'll write it.
      - call: write_file
      - stall: 20m
always:
  - partial_is_not_success
expect:
  requests: 2
"""
SCENARIO = Scenario(
    title="The stream stalls in the middle of a tool call",
    provider=(STALLS,),
    file=FILE,
    source=SOURCE,
    row="quiet=20m",
    always=(LawUse(law="partial_is_not_success", place=Place(FILE, 12)),),
    expect=(Expectation(fact="requests", matchers=(Matcher(op="exactly", value=2),), place=Place(FILE, 14)),),
)


def judged(story: Story, scenario: Scenario = SCENARIO, wall_s: float = 0.25) -> Result:
    """Judge a story as a run of the scenario would be."""
    judgement = judge(scenario, story.trace)
    return Result(scenario=scenario, plan=Plan(), trace=story.trace, judgement=judgement, wall_s=wall_s)


def failing() -> Result:
    """A stub of a stalled stream that ends the turn as if it were an answer."""
    story = Story().event("user", "user.says", text="Write index.html").turn().request(1, USER).stalled(1)
    story.event("subject", "note", name="partial_stub", finish="stop", dropped=["write_file"])
    return judged(story.event("subject", "said", text="I'll write it.").turn_ends().returns())


def passing() -> Result:
    """The same with a whole answer."""
    story = Story().event("user", "user.says", text="Write index.html").turn().request(1, USER).answer(1)
    return judged(story.turn_ends().returns(), replace(SCENARIO, row="", expect=()))


def unknown() -> Result:
    """A law that was given a parameter it cannot use."""
    use = LawUse(law="bounded_requests", value="many", place=Place(FILE, 12))
    return judged(Story().request(1, USER).answer(1).returns(), replace(SCENARIO, always=(use,), expect=()))


def skipped() -> Result:
    """A case that its author leaves out."""
    scenario = replace(SCENARIO, row="", skip="waits for the store")
    return Result(scenario=scenario, plan=Plan(), trace=Trace(), judgement=Judgement())


def expected_failure() -> Result:
    """The stub of a stalled stream, which its author knows of."""
    one = failing()
    return replace(one, scenario=replace(one.scenario, xfail="the stub is\nnot mended yet"))


def long_run(turns: int = 200) -> Result:
    """A failure somewhere in a run of many turns, with keep-alives in between."""
    story = Story()
    for number in range(1, turns + 1):
        story.at(f"{number * 60}s").event("user", "user.says", text=f"message {number}").turn(number)
        story.request(number, USER, number)
        if number == turns // 2:
            story.response(number).frame(number, "keepalive").at(f"{number * 60 + 30}s").stream_ends(number, "reset")
        else:
            story.answer(number)
        story.turn_ends(number=number)
    return judged(story.returns(), replace(SCENARIO, expect=()))
