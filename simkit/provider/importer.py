"""From recorded requests to a scenario: who said what, what the provider answered, and what stands around it.

The idea: the requests tell the rest of the scenario - the user's messages and the tools are in them - so a recording
becomes a file that can be run, and not a list of answers alone. The constraint: nothing is made up that a reader could
take for recorded, so what is missing or guessed is a comment in the file; and secrets are masked before anything else
looks at a request. Keeping the cassette as the script was refused: it answers only the requests that it has seen.

What becomes what: a request that a dialect claims becomes the next answer; another host becomes an entry of ``hosts``
that plays the cassette; what else the provider's own host was asked is left out, and counted in a comment. A message of
the user that a request brings for the first time is said at the instant of that request; a tool returns what it was
first recorded to have returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit

from simkit.contracts import CompletionRequest, Dialect, Message
from simkit.errors import UsageError
from simkit.language.writer import write
from simkit.model.duration import NS_PER_MS
from simkit.model.scenario import Scenario, ToolSpec, UserSays
from simkit.model.timeline import CassetteReply
from simkit.provider.hearing import Told, answer_of, dialects, masked, merged, spoken
from simkit.provider.masking import Masking
from simkit.provider.vcrfiles import Interaction, plain, read_cassette

# About the speed at which models write, where a cassette does not say how fast they did.
PACE_NS: Final = 20 * NS_PER_MS
_DEFAULT_DIALECT: Final = "openai-chat"
_TITLE_MAX: Final = 100
_TOOL_NAME_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a recording comes from and where its scenario goes: ``cassette`` is for other hosts to play.

    ``file`` is where the scenario will stand, since paths in it start there. ``pace_ns`` passes before each frame of a
    recording without a clock.
    """

    cassette: str
    file: str
    title: str = ""
    pace_ns: int = PACE_NS


def import_cassette(source: Source) -> str:
    """Return the text of a scenario that plays what a cassette holds.

    Raises ``UsageError`` and ``ScenarioError`` (with a place) for a file that cannot be read as a cassette.
    """
    read = read_cassette(source.cassette)
    for number, one in enumerate(read):
        if plain(one) is None:
            coding = one.header("content-encoding")
            remedy = "record with decode_compressed_response=True"
            raise UsageError(
                f"{source.cassette}: interactions[{number}] holds a body in {coding!r}, "
                f"expected gzip, deflate or none - {remedy}"
            )
    return scenario_text([masked(one, Masking()) for one in read], source)


def scenario_text(interactions: Sequence[Interaction], source: Source) -> str:
    """Return the text of the scenario that interactions stand for; their secrets must be masked already."""
    session = _listen(interactions, source)
    told = merged(session.told)
    scenario = Scenario(
        title=source.title or _title(session),
        provider=tuple(one.answer for one in told),
        file=source.file,
        settings=_settings(session),
        user=tuple(_user(session)),
        tools=_tools(session),
        hosts={host: CassetteReply(path=source.cassette) for host in _other_hosts(session)},
    )
    notes = {place: one.note for place, one in enumerate(told) if one.note}
    return write(scenario, head="\n".join(_head(session, source)), notes=notes)


# -- listening -----------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Session:
    """What a recording holds, sorted."""

    told: list[Told] = field(default_factory=list)
    asked: list[tuple[Interaction, CompletionRequest]] = field(default_factory=list)
    speakers: list[Dialect] = field(default_factory=list)
    others: list[Interaction] = field(default_factory=list)
    own_hosts: list[str] = field(default_factory=list)


def _listen(interactions: Sequence[Interaction], source: Source) -> _Session:
    session, known = _Session(), dialects()
    session.own_hosts += [str(urlsplit(dialect.base_url).hostname) for dialect in known]
    for one in interactions:
        said = spoken(one, known)
        if said is None:
            session.others.append(one)
            continue
        session.own_hosts.append(one.host)
        session.speakers.append(said.dialect)
        session.told.append(answer_of(one, said, source.pace_ns))
        if isinstance(said.request, CompletionRequest):
            session.asked.append((one, said.request))
    return session


def _other_hosts(session: _Session) -> list[str]:
    hosts = dict.fromkeys(one.host.lower() for one in session.others if one.status)
    return [host for host in hosts if host not in {own.lower() for own in session.own_hosts}]


def _head(session: _Session, source: Source) -> Iterator[str]:
    timed = any(one.timed for one, _ in session.asked)
    how = "with its pieces and gaps, rounded to 1 ms" if timed else "whose pieces and gaps nobody knows"
    yield f"From {PurePath(source.cassette).name}, {how}."
    hosts = _other_hosts(session)
    left = [one for one in session.others if one.host.lower() not in hosts]
    for what in dict.fromkeys(f"{one.request.method} {one.request.path}" for one in left):
        yield f"Left out, as it is no completion request: {what}"
    if not session.told:
        yield "No completion request was found, so there is nothing to answer."
    elif not any(_user(session)):
        yield "No message of the user was found: write one under `user:`."


# -- the scenario --------------------------------------------------------------------------------------------------
def _title(session: _Session) -> str:
    first = next((says.text for says in _user(session)), "")
    line = " ".join(first.split())
    if not line:
        return "What was recorded happens again"
    return line if len(line) <= _TITLE_MAX else f"{line[: _TITLE_MAX - 3]}..."


def _settings(session: _Session) -> dict[str, object]:
    names = dict.fromkeys(dialect.name for dialect in session.speakers)
    # More than one wire is for an agent of the author's own.
    return {"dialect": next(iter(names))} if len(names) == 1 and _DEFAULT_DIALECT not in names else {}


def _user(session: _Session) -> Iterator[UserSays]:
    """Yield the messages of the user, each when a request first holds it."""
    start_ns, said = None, 0
    for one, request in session.asked:
        start_ns = one.at_ns if start_ns is None else start_ns
        texts = [message.text for message in request.messages if message.role == "user" and message.text]
        # What stood in the first request already was said before anything was recorded.
        for text in texts[said:] if said else texts[-1:]:
            yield UserSays(at_ns=(one.at_ns - start_ns) // NS_PER_MS * NS_PER_MS, text=text)
        said = max(said, len(texts))


def _tools(session: _Session) -> dict[str, ToolSpec]:
    names = dict.fromkeys(name for _, request in session.asked for name in _tool_names(request.body.get("tools")))
    results = dict(_results(message for _, request in session.asked for message in request.messages))
    return {name: ToolSpec(name=name, returns=results.get(name, "ok")) for name in names}


def _tool_names(tools: object) -> Iterator[str]:
    """Yield the names of tool definitions, which differ between the wires in how deep they stand."""
    for tool in tools if isinstance(tools, list) else []:
        if not isinstance(tool, Mapping):
            continue
        function = tool.get("function")
        name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
        if isinstance(name, str) and _is_tool_name(name):
            yield name
        for key in ("functionDeclarations", "function_declarations"):
            yield from _tool_names(tool.get(key))


def _is_tool_name(name: str) -> bool:
    plain_name = name.replace("-", "").replace("_", "")
    return 0 < len(name) <= _TOOL_NAME_MAX and (plain_name.isalnum() or not plain_name)


def _results(messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
    """Yield tool and result, the first result of each tool last, so that it is the one that is kept."""
    called, found = dict[str, str](), dict[str, str]()
    for message in messages:
        called.update((call.id, call.tool) for call in message.calls)
        for result in message.results:
            if result.id in called:
                found.setdefault(called[result.id], result.text)
    yield from found.items()
