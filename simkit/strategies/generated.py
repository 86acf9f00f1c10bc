"""What property tests draw from, for hypothesis: answers of a provider, faults, plans, and whole scenarios.

The idea: what is drawn are the nouns of ``simkit.model``, so a drawn scenario is run, told and pinned like one from a
file, and hypothesis shrinks it by its own means: shorter texts, fewer answers, no faults. The constraint: what is drawn
can be played. A call names a tool that there is, a turn that calls is answered once more, and a request that nobody
foresaw still gets an answer, so whatever fails is the agent's. Drawing YAML text was refused: most of it would be no
scenario, and what is would be shrunk letter by letter.

Simkit's own shrinker does without this: a failure that an exploration found becomes small where hypothesis is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from simkit.model.duration import NS_PER_MS, NS_PER_S
from simkit.model.plan import Deviation, Plan, Strike, strikes_at
from simkit.model.scenario import Scenario, ToolSpec, UserSays
from simkit.model.timeline import (
    Answer,
    Call,
    Disconnect,
    Finish,
    Reply,
    Say,
    StatusReply,
    Step,
    StreamReply,
    Think,
    UnreachableReply,
    Wait,
)

# Letters of one byte and of several, so that a character can be cut in two; nothing that a wire has to escape away.
_TEXT = st.text(alphabet="abcxyz äß€😀", min_size=1, max_size=12)
_PIECES = st.integers(min_value=1, max_value=3)
# An answer that is always there: reached by every run that asks the provider at all.
_SURE = ("answer1",)
_BROKEN_REPLIES = (
    *(StatusReply(status=status) for status in (429, 500, 529)),
    *(UnreachableReply(how=how) for how in ("refused", "reset", "timeout")),
)
# Between two messages of the user there is time for every answer that can be drawn, and its retries.
_TURN_NS = 3600 * NS_PER_S


# -- answers -----------------------------------------------------------------------------------------------------------
def answers(*, tools: Sequence[str] = (), broken: bool = False, wait_max: float = 5.0) -> SearchStrategy[Answer]:
    """Draw an answer of the provider: text, thoughts and pauses, then calls of some of these tools, and its end.

    With ``broken`` it may also break off anywhere, or be an error. Pauses take ``wait_max`` seconds at most.
    """
    streams = _streams(tuple(tools), 0, round(wait_max * NS_PER_S))
    replies: SearchStrategy[Reply] = streams
    if broken:
        replies = st.one_of(streams, _cut(streams), st.sampled_from(_BROKEN_REPLIES))
    return st.builds(Answer, reply=replies, chunks=st.sampled_from(("frame", "whole", "byte")))


@st.composite
def _streams(draw: DrawFn, tools: tuple[str, ...], calls_min: int, wait_max_ns: int) -> StreamReply:
    said = draw(st.lists(_steps(wait_max_ns), max_size=3))
    names = draw(st.lists(st.sampled_from(tools), min_size=calls_min, max_size=2)) if tools else []
    # Each call says something else, so none of them is the same work a second time.
    calls = [Call(name=name, args=f'{{"number": {number}}}') for number, name in enumerate(names)]
    if not said and not calls:
        said = [Say(text=draw(_TEXT))]
    return StreamReply(steps=(*said, *calls, Finish(reason="tool_calls" if calls else "stop")))


def _steps(wait_max_ns: int) -> SearchStrategy[Step]:
    waits = st.integers(min_value=1, max_value=max(1, wait_max_ns // NS_PER_MS)).map(lambda ms: Wait(ns=ms * NS_PER_MS))
    texts = st.builds(Say, text=_TEXT, pieces=_PIECES)
    return st.one_of(texts, waits, st.builds(Think, text=_TEXT, pieces=_PIECES))


@st.composite
def _cut(draw: DrawFn, streams: SearchStrategy[StreamReply]) -> StreamReply:
    """Draw a stream that ends somewhere before its finish."""
    steps = draw(streams).steps
    kept = steps[: draw(st.integers(min_value=0, max_value=len(steps) - 1))]
    return StreamReply(steps=(*kept, Disconnect(how=draw(st.sampled_from(("eof", "cut", "reset"))))))


# -- plans -------------------------------------------------------------------------------------------------------------
def faults(sites: Iterable[str] = _SURE) -> SearchStrategy[Strike]:
    """Draw a fault at one of these sites, of a kind that can strike there.

    A fault whose site a run does not reach is no plan of that run: give those that it reaches.
    """
    can = [Strike(site=site, kind=kind) for site in sites for kind in strikes_at(site)]
    return st.sampled_from(can)


@st.composite
def plans(
    draw: DrawFn,
    *,
    sites: Sequence[str] = _SURE,
    choices: Sequence[tuple[str, int, int]] = (),
    faults_max: int = 1,
    deviations_max: int = 1,
    seed_max: int = 2**16,
    jitter_ns: int = 0,
    order: str = "timing",
) -> Plan:
    """Draw a plan: a seed, some faults at these sites, and some of these choices made otherwise.

    ``choices`` are those that a run makes by default: the kind of each, among how many, and which was made. One fault,
    or one choice, that the default run has met always fits; of several the later ones may not, which a run says.
    """
    some = draw(st.lists(faults(sites), max_size=faults_max, unique_by=lambda strike: strike.site)) if sites else []
    ways = [
        Deviation(number=number, kind=kind, pick=pick)
        for number, (kind, among, _) in enumerate(choices)
        for pick in range(1, among)
    ]
    others = draw(st.lists(st.sampled_from(ways), max_size=deviations_max, unique_by=_number)) if ways else []
    return Plan(
        seed=draw(st.integers(min_value=0, max_value=seed_max)),
        deviations=tuple(sorted(others)),
        order=order,
        jitter_ns=jitter_ns,
        strikes=tuple(some),
    )


def _number(deviation: Deviation) -> int:
    return deviation.number


# -- scenarios ---------------------------------------------------------------------------------------------------------
@st.composite
def scenarios(
    draw: DrawFn,
    *,
    subject: str = "agent",
    settings: Mapping[str, object] | None = None,
    tools: Sequence[str] = ("look_up",),
    turns_max: int = 2,
    rounds_max: int = 2,
    broken: bool = False,
) -> Scenario:
    """Draw a conversation: messages of the user, an hour apart, and for each some rounds of calls and a last answer.

    With ``broken`` an answer of each turn may break off or fail. An agent that asks more often than the script foresaw
    gets the answers of the next turn, and then the last one again.
    """
    turns = draw(st.integers(min_value=1, max_value=turns_max))
    numbers = count()
    replies = [reply for _ in range(turns) for reply in _turn(draw, tuple(tools), rounds_max, broken, numbers)]
    # Whatever an agent asks for beyond the script, it is told the last answer once more.
    provider = [*(Answer(reply=reply) for reply in replies[:-1]), Answer(reply=replies[-1], times=None)]
    return Scenario(
        title="Does the agent get through a conversation that was drawn?",
        provider=tuple(provider),
        subject=subject,
        settings=dict(settings or {}),
        user=tuple(UserSays(at_ns=n * _TURN_NS, text=draw(_TEXT)) for n in range(turns)),
        tools={name: ToolSpec(name=name, takes_ns=draw(_takes()), returns=draw(_TEXT)) for name in tools},
    )


def _turn(draw: DrawFn, tools: tuple[str, ...], rounds_max: int, broken: bool, numbers: count[int]) -> list[Reply]:
    """Draw the answers of one turn: some that call, perhaps one that breaks off, and one that only speaks."""
    rounds = draw(st.integers(min_value=0, max_value=rounds_max)) if tools else 0
    replies: list[Reply] = [_numbered(draw(_streams(tools, 1, NS_PER_S)), numbers) for _ in range(rounds)]
    if broken and draw(st.booleans()):
        replies.insert(draw(st.integers(min_value=0, max_value=rounds)), draw(_breaking()))
    last = draw(_streams((), 0, NS_PER_S))
    return [*replies, StreamReply(steps=(Say(text=draw(_TEXT)), *last.steps))]


def _numbered(reply: StreamReply, numbers: count[int]) -> StreamReply:
    """Give every call of a conversation other arguments."""
    steps = (
        Call(name=step.name, args=f'{{"number": {next(numbers)}}}') if isinstance(step, Call) else step
        for step in reply.steps
    )
    return StreamReply(steps=tuple(steps))


def _breaking() -> SearchStrategy[Reply]:
    return st.one_of(_cut(_streams((), 0, NS_PER_S)), st.sampled_from(_BROKEN_REPLIES))


def _takes() -> SearchStrategy[int]:
    return st.integers(min_value=0, max_value=5_000).map(lambda ms: ms * NS_PER_MS)
