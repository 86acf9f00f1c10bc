"""The one table of the language: every key, its shape, its sentence, and whether it must be there.

The idea: a key exists when it stands in this table and in no other way; the walker obeys the table, and the
editor schema and the reference page are drawn from it, so the three cannot disagree. The constraint: the
table is data and runs nothing, and every key says in one sentence what it means. A class for each key with
its own parsing code was refused: nobody could draw a page from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, get_args

from simkit.language.events import EVENT, figure
from simkit.language.shapes import (
    Choice,
    Count,
    Data,
    Either,
    Fact,
    File,
    Flag,
    Instant,
    Json,
    Key,
    LawItem,
    ListOf,
    Names,
    Nothing,
    Pattern,
    Plain,
    PlanText,
    Record,
    RetryAfter,
    Shape,
    Span,
    Text,
    Verb,
)
from simkit.model.plan import FAULT_KINDS, ORDERS
from simkit.model.scenario import RaisedType, StrikePlace, Sweep
from simkit.model.timeline import (
    Chunking,
    ChunkKind,
    Damage,
    ErrorForm,
    FinishReason,
    HangUp,
    JobEnd,
    Unreachable,
)

# The version of the format that this table describes.
FORMAT: Final = 1


_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE: Final = Text(called="the name of a variable (letters, digits and _)", pattern=_NAME)
_CAPTURED: Final = Text(called="a name for what is captured (letters, digits and _)", pattern=_NAME)

# What a law's parameter looks like, by the kind that the law publishes.
PARAMETERS: Final[dict[str, Shape]] = {"duration": Span(), "count": Count()}


# -- steps -----------------------------------------------------------------------------------------
# What the model or its provider says: a value that only the run knows may stand in it.
_SAID: Final = Text(captured=True)

_INDEX: Final = Key(
    name="index",
    shape=Count(most=127, word="none"),
    says="Which of several parallel calls is meant, counted from 0; none leaves the index out on the wire.",
)
_PIECES: Final = Key(
    name="pieces",
    shape=Count(least=1),
    says="In how many frames of about equal length the text is sent.",
    default="1",
)

_KEEPALIVE: Final = Record(
    called="a keepalive",
    keys=(
        Key(name="every", shape=Span(zero=False), says="The time from one comment to the next.", required=True),
        Key(name="for", shape=Span(forever=True), says="How long the comments go on.", required=True),
    ),
)

_USAGE: Final = Record(
    called="a usage",
    keys=(
        Key(name="input", shape=Count(), says="Tokens of the request.", required=True),
        Key(name="output", shape=Count(), says="Tokens of the answer.", required=True),
        Key(name="cached", shape=Count(), says="Tokens of the request that came from a cache.", default="0"),
        Key(name="thinking", shape=Count(), says="Tokens that the model spent on thinking.", default="0"),
    ),
)

_SPACE: Final = r"[ \t\n]*"
_LETTER: Final = rf"[A-Za-z0-9+/]{_SPACE}"

_BYTES: Final = Record(
    called="bytes in hex or base64",
    verbs=(
        Verb(
            key=Key(
                name="hex",
                shape=Text(
                    called="bytes in hex, such as ff fe",
                    pattern=rf"{_SPACE}(?:[0-9A-Fa-f]{{2}}{_SPACE})*",
                    numbers=True,
                ),
                says="The bytes, two hexadecimal digits for each, with spaces where they help.",
            )
        ),
        Verb(
            key=Key(
                name="base64",
                # Groups of four letters, the last one perhaps filled up.
                shape=Text(
                    called="bytes in base64",
                    pattern=rf"{_SPACE}(?:(?:{_LETTER}){{4}})*"
                    rf"(?:(?:{_LETTER}){{2}}(?:={_SPACE}){{2}}|(?:{_LETTER}){{3}}={_SPACE})?",
                    numbers=True,
                ),
                says="The bytes in base64.",
            )
        ),
    ),
)

STEP: Final = Record(
    called="a step",
    verbs=(
        Verb(
            key=Key(name="say", shape=_SAID, says="The model says a piece of visible text."),
            extras=(_PIECES,),
        ),
        Verb(
            key=Key(name="think", shape=_SAID, says="The model thinks: text that is no part of its answer."),
            extras=(
                _PIECES,
                Key(
                    name="signature",
                    shape=_SAID,
                    says="What the provider signs the thought with, and wants back unchanged.",
                ),
            ),
        ),
        Verb(key=Key(name="refuse", shape=_SAID, says="The model declines, in these words.")),
        Verb(
            key=Key(
                name="call", shape=Text(pattern=r"(?s).+", captured=True), says="The model begins a call of this tool."
            ),
            extras=(
                Key(
                    name="args",
                    shape=Json(),
                    says="The arguments: a mapping, or JSON text that may be cut short on purpose.",
                ),
                Key(name="id", shape=_SAID, says="The id of the call.", default="made by the dialect"),
                _INDEX,
            ),
        ),
        Verb(
            key=Key(name="args", shape=Json(), says="The next piece of the arguments of an open call."),
            extras=(_INDEX, _PIECES),
        ),
        Verb(
            key=Key(name="name", shape=_SAID, says="The next piece of the name of an open call."),
            extras=(_INDEX,),
        ),
        Verb(
            key=Key(
                name="chunk",
                shape=Choice(words=get_args(ChunkKind)),
                says="A frame that carries nothing: empty has no choices and null has null in their place, blank is a "
                "field without a value, comment a comment, meta an event type without data.",
            )
        ),
        Verb(key=Key(name="wait", shape=Span(), says="An ordinary pause before the next step.")),
        Verb(
            key=Key(
                name="stall",
                shape=Span(forever=True),
                says="Silence on an open connection: the fault under test.",
            )
        ),
        Verb(
            key=Key(
                name="pace",
                shape=Span(),
                says="From here on this much time passes before each further frame.",
            )
        ),
        Verb(
            key=Key(
                name="keepalive",
                shape=_KEEPALIVE,
                says="What the API sends to keep a silent stream open: bytes on the wire that are no progress.",
            )
        ),
        Verb(key=Key(name="usage", shape=_USAGE, says="The token counts that the provider reports for this answer.")),
        Verb(
            key=Key(
                name="finish",
                shape=Choice(words=get_args(FinishReason)),
                says="The model's turn is over, for this reason; the closing marker follows by itself.",
            ),
            extras=(
                Key(
                    name="wire",
                    shape=Text(),
                    says="The word that is sent for the reason.",
                    default="the dialect's own word",
                ),
            ),
        ),
        Verb(key=Key(name="done", shape=Nothing(), says="The wire's closing marker alone, without a finish reason.")),
        Verb(
            key=Key(
                name="error",
                shape=_SAID,
                says="The provider fails in the middle of a stream that began well, with this message.",
            ),
            extras=(
                Key(
                    name="type",
                    shape=Text(),
                    says="The type that the API gives the error.",
                    default="the dialect's usual one",
                ),
                Key(
                    name="code",
                    shape=Text(numbers=True),
                    says="The code that the API gives the error.",
                    default="the dialect's usual one",
                ),
                Key(
                    name="form",
                    shape=Choice(words=get_args(ErrorForm)),
                    says="How the Responses API tells it: an error event, one with the error nested inside, or a "
                    "failed response.",
                    default="event",
                ),
            ),
        ),
        Verb(
            key=Key(
                name="disconnect",
                shape=Choice(words=get_args(HangUp)),
                says="The connection ends: eof ends the body properly, cut ends inside it, reset is an RST.",
            )
        ),
        Verb(
            key=Key(
                name="garble",
                shape=Choice(words=get_args(Damage)),
                says="The next frame arrives damaged: json breaks off inside, text is no JSON, utf8 holds a bad byte, "
                "unended lacks its closing blank line.",
            )
        ),
        Verb(
            key=Key(
                name="raw",
                shape=Either(scalar=_SAID, mapping=_BYTES),
                says="Bytes of the body as they are: text is sent as UTF-8.",
            )
        ),
        Verb(
            key=Key(
                name="repeat",
                # Enough for every gateway that was ever seen to stutter, and no bomb.
                shape=Count(least=1, most=10_000),
                says="The frame before arrives this many times more.",
            )
        ),
    ),
)

# -- answers ---------------------------------------------------------------------------------------
# What h11 lets on the wire: it would refuse anything else in the middle of a run.
_HEADERS: Final = Names(
    item=Text(called="the text of a header", pattern=r"[\t\x20-\x7e\x80-\xff]*", numbers=True),
    # How the body is framed is not the scenario's to say: h11 would refuse what contradicts it.
    name=Text(
        called="the name of a header other than content-length and transfer-encoding",
        pattern=r"(?!(?i:transfer-encoding|content-length)$)[!#$%&'*+.^_`|~0-9A-Za-z-]+",
    ),
)

# What needs a request and its response, so it does not go with a failed connection.
_HEARD: Final = (
    Key(
        name="chunks",
        shape=Either(
            scalar=Choice(words=get_args(Chunking)),
            mapping=Record(
                called="a size such as {bytes: 7}",
                keys=(Key(name="bytes", shape=Count(least=1), says="The size of each chunk in bytes.", required=True),),
            ),
        ),
        says="How the body is cut: at frames, where time passes (burst), at every byte, not at all (whole), or at "
        "every so many bytes.",
        default="frame",
    ),
    Key(
        name="capture",
        shape=Names(item=Pattern(), name=_CAPTURED),
        says="A Python regular expression for each name, looked for in the request: what it finds (the first "
        "group, where it has one) is ${name} in the texts of this answer and of later ones.",
    ),
)

_STATUS: Final = Key(
    name="status",
    shape=Count(least=200, most=599),
    says="An HTTP status with the body that the real API sends for it.",
)
_STATUS_EXTRAS: Final = (
    Key(name="error", shape=_SAID, says="The message inside the API's own error body."),
    Key(name="type", shape=Text(), says="The type inside that body.", default="the API's own for the status"),
    Key(name="code", shape=Text(), says="The code inside that body.", default="the API's own for the status"),
    Key(
        name="retry_after",
        shape=RetryAfter(),
        says="The retry-after header: a duration (7s is sent as 7), or the header's text as it is.",
    ),
    Key(name="headers", shape=_HEADERS, says="Further headers of the response."),
    Key(name="body", shape=_SAID, says="The body, instead of the API's own."),
)

_CONNECTION: Final = Verb(
    key=Key(
        name="connection",
        shape=Choice(words=get_args(Unreachable)),
        says="No HTTP answer at all: the connection itself fails in this way.",
    )
)

BACKGROUND: Final = Record(
    called="a background job",
    keys=(
        Key(name="queued", shape=Span(forever=True), says="How long the job waits before it starts.", default="0s"),
        Key(
            name="in_progress",
            shape=Span(forever=True),
            says="How long the job runs at least; its steps may take it longer.",
            default="0s",
        ),
        Key(name="ends", shape=Choice(words=get_args(JobEnd)), says="How the job ends.", default="as its finish says"),
        Key(name="error", shape=_SAID, says="Why the job failed, in the words of the API."),
        Key(
            name="expires",
            shape=Span(forever=True),
            says="How long after its creation the API still knows the job.",
            default="10m",
        ),
        Key(
            name="window",
            shape=Span(forever=True),
            says="How long after its creation the job can still be streamed.",
            default="5m",
        ),
        Key(
            name="polls",
            shape=Names(
                item=Record(
                    called="the answer to a poll",
                    verbs=(Verb(key=_STATUS, extras=_STATUS_EXTRAS), _CONNECTION),
                ),
                name=Text(called="the number of a poll, from 1", pattern=r"[1-9][0-9]{0,5}", numbers=True),
            ),
            says="What single retrievals of the job get instead of its state, by their number: 1 is the first.",
        ),
        Key(
            name="stream",
            shape=ListOf(item=STEP),
            says="The steps of the answer, played from the start of in_progress whether or not somebody watches.",
        ),
    ),
)

_ANY_TEXT: Final = "* in it stands for any text"

WHEN: Final = Record(
    called="the conditions of when",
    keys=(
        Key(name="host", shape=Text(), says=f"The host that is asked; {_ANY_TEXT}."),
        Key(name="path", shape=Text(), says=f"The path of the request, without the query; {_ANY_TEXT}."),
        Key(name="model", shape=Text(), says=f"The model that is asked for; {_ANY_TEXT}."),
        Key(name="dialect", shape=Text(), says=f"The wire that the request speaks, by its name; {_ANY_TEXT}."),
        Key(name="stream", shape=Flag(), says="Whether the request asks for a stream."),
        Key(name="turn", shape=Count(), says="How many messages of the user the request holds."),
        Key(name="contains", shape=Text(), says="The last message holds this text, letter by letter."),
        Key(
            name="conversation",
            shape=Text(),
            says="The first message of the user holds this text, which tells one conversation from another.",
        ),
        Key(
            name="has_tool_result",
            shape=Flag(),
            says="Whether the request brings a tool result since the model last spoke.",
        ),
        Key(
            name="connection",
            shape=Count(least=1),
            says="Which connection to the provider the request comes on, counted from 1.",
        ),
        Key(name="retry", shape=Count(), says="Which retry it is by the SDK's own count; 0 is the first attempt."),
    ),
)

ANSWER: Final = Record(
    called="an answer",
    keys=(
        Key(
            name="times",
            shape=Count(least=1, word="any"),
            says="How many requests get this answer; any means every one that fits.",
            default="1",
        ),
        Key(
            name="when",
            shape=WHEN,
            says="Which requests this answer is for: everything written here must fit.",
            default="every request",
        ),
        Key(
            name="after",
            shape=Span(forever=True),
            says="How long the headers of the response take to come; a connection that fails breaks so long after the "
            "request.",
            default="0s",
        ),
    ),
    verbs=(
        Verb(
            key=Key(
                name="stream",
                shape=ListOf(item=STEP),
                says="Status 200 and these steps; without finish, done, error or disconnect it stays open.",
            ),
            extras=(
                Key(name="headers", shape=_HEADERS, says="Headers of the response, instead of the API's own."),
                Key(
                    name="gzip",
                    shape=Flag(),
                    says="Whether the body is compressed, flushed at every chunk.",
                    default="false",
                ),
                *_HEARD,
            ),
        ),
        Verb(
            key=Key(
                name="background",
                shape=BACKGROUND,
                says="A job that runs on without its client, to be polled, streamed, resumed and cancelled.",
            ),
            extras=_HEARD,
        ),
        Verb(key=_STATUS, extras=(*_STATUS_EXTRAS, *_HEARD)),
        _CONNECTION,
    ),
)

HOST: Final = Record(
    called="a host",
    verbs=(
        Verb(
            key=Key(
                name="cassette",
                shape=File(called="the path of a cassette"),
                says="A vcr cassette that the host plays, by its path from the folder of the scenario.",
            )
        ),
        Verb(key=_STATUS, extras=_STATUS_EXTRAS),
        _CONNECTION,
    ),
)

# -- the rest of the world -------------------------------------------------------------------------
USER: Final = Record(
    called="something the user does",
    keys=(
        Key(
            name="at",
            shape=Span(),
            says="The virtual instant, counted from the start of the run.",
            default="0s",
        ),
    ),
    verbs=(
        Verb(key=Key(name="says", shape=Text(), says="The user sends this message.")),
        Verb(key=Key(name="cancels", shape=Nothing(), says="The user stops what is going on, and stays.")),
        Verb(key=Key(name="leaves", shape=Nothing(), says="The user stops what is going on and says nothing more.")),
        Verb(key=Key(name="note", shape=Text(), says="A mark in the report, which the subject never hears of.")),
    ),
)

# The names that provider APIs accept for a tool: any other gets a 400 from the real thing.
_TOOL_NAME: Final = Text(
    called="the name of a tool (letters, digits, _ and -, at most 64)", pattern=r"[A-Za-z0-9_-]{1,64}"
)

TOOL: Final = Record(
    called="a tool",
    keys=(
        Key(name="takes", shape=Span(forever=True), says="How long a run takes in virtual time.", default="0s"),
        Key(name="returns", shape=Data(), says="What a run gives back.", default="ok"),
        Key(name="raises", shape=Text(), says="The text of the error that a run ends with."),
        Key(
            name="raises_as",
            shape=Choice(words=get_args(RaisedType)),
            says="The type of that error; alone, an error of this type without a text.",
            default="RuntimeError",
        ),
        Key(name="fails", shape=Text(), says="The text of a result that says of itself that it is a failure."),
        Key(
            name="ignores_cancel",
            shape=Flag(),
            says="A cancellation is swallowed, and the run goes on to its end.",
            default="false",
        ),
        Key(
            name="cancel_takes",
            shape=Span(),
            says="How long a run cleans up before it obeys a cancellation.",
            default="0s",
        ),
        Key(
            name="blocks",
            shape=Flag(),
            says="The tool is a blocking function: called in an event loop, it stops the loop while it runs.",
            default="false",
        ),
        Key(
            name="side_effect",
            shape=Text(),
            says="What a run has done to the world when its work is over; it stands in the trace.",
        ),
    ),
    either=(
        ("returns", "raises", "fails"),
        ("returns", "raises_as", "fails"),
        ("ignores_cancel", "cancel_takes"),
        ("blocks", "ignores_cancel"),
        ("blocks", "cancel_takes"),
    ),
)

# What every host or network link may be called.
_HOST_NAME: Final = Text(called="the name of a host, with a port where it needs one", pattern=r"[A-Za-z0-9._:\[\]-]+")

LINK_FAULT: Final = Record(
    called="a fault of the network",
    keys=(
        Key(
            name="at",
            shape=Span(),
            says="The virtual instant at which it begins, counted from the start of the run.",
            required=True,
        ),
    ),
    verbs=(
        Verb(key=Key(name="reset", shape=Nothing(), says="Every open connection to the host is reset.")),
        Verb(
            key=Key(
                name="hold",
                shape=Span(forever=True, zero=False),
                says="For so long nothing passes either way; what was sent meanwhile arrives when it is over.",
            )
        ),
        Verb(
            key=Key(
                name="connection",
                shape=Choice(words=get_args(Unreachable)),
                says="Every new connection fails in this way, while those that are open live on.",
            ),
            extras=(
                Key(
                    name="for",
                    shape=Span(forever=True, zero=False),
                    says="How long new connections fail.",
                    default="forever",
                ),
            ),
        ),
    ),
)

LINK: Final = Record(
    called="a link",
    keys=(
        Key(name="latency", shape=Span(), says="How long a byte takes in one direction.", default="0s"),
        Key(name="faults", shape=ListOf(item=LINK_FAULT), says="What goes wrong on the way to the host."),
    ),
)

# -- what holds for many --------------------------------------------------------------------------
# What an answer does is written in the answer: a default is what stands beside it.
_OF_ANSWERS: Final = (*ANSWER.keys, *(key for verb in ANSWER.verbs for key in (verb.key, *verb.extras)))
_ANSWER_DEFAULTS: Final = ("times", "when", "after", "chunks", "capture", "headers", "gzip")


def _named(keys: Iterable[Key], names: Iterable[str]) -> tuple[Key, ...]:
    """Return the keys with these names, each the first of its name, with no default of its own."""
    found = {key.name: replace(key, default="") for key in reversed([*keys])}
    return tuple(found[name] for name in names)


DEFAULTS: Final = Record(
    called="defaults",
    keys=(
        Key(
            name="provider",
            shape=Record(
                called="the defaults of an answer",
                keys=_named(_OF_ANSWERS, _ANSWER_DEFAULTS),
                barred=tuple({key.name: None for key in _OF_ANSWERS if key.name not in _ANSWER_DEFAULTS}),
                instead="what an answer does is written in the answer itself",
            ),
            says="What holds for every answer that does not say otherwise; what does not go with an answer's verb is "
            "not given to it.",
        ),
        Key(
            name="tools",
            shape=replace(TOOL, called="the defaults of a tool"),
            says="What holds for every tool that does not say otherwise.",
        ),
    ),
)


EXPECT: Final = Record(
    called="expect",
    keys=(
        Key(
            name="requests",
            shape=Fact(
                of=Count(),
                parts=Record(
                    called="requests by their method",
                    keys=(
                        figure("post", "Completion requests."),
                        figure("get", "Requests for background answers: polls, and streams that are resumed."),
                    ),
                ),
            ),
            says="Completion requests that reached the provider, each attempt counted; or, as a mapping, the posts and "
            "the gets.",
        ),
        Key(
            name="attempts",
            shape=Fact(of=Count()),
            says="Attempts at a completion, those that never reached the provider counted too.",
        ),
        Key(
            name="polls",
            shape=Fact(of=Count()),
            says="How often a background answer was asked for as a whole, whatever came of it.",
        ),
        Key(
            name="continuations",
            shape=Fact(of=Count()),
            says="How often the agent asked the model to go on after an answer that was cut short.",
        ),
        Key(
            name="tool_calls",
            shape=Names(item=Fact(of=Count()), name=_TOOL_NAME),
            says="Runs of each tool.",
        ),
        Key(
            name="tool_effects",
            shape=Names(item=Fact(of=Count()), name=_TOOL_NAME),
            says="How often the side effect of each tool has happened.",
        ),
        Key(
            name="parked",
            shape=Fact(of=Count()),
            says="Tool calls that outlived their budget and went on in the background.",
        ),
        Key(
            name="tool_results_sent",
            shape=Fact(of=Count()),
            says="Different tool results that reached the provider.",
        ),
        Key(name="messages", shape=Fact(of=Count()), says="Messages that the agent showed to the user."),
        Key(
            name="last_message",
            shape=Fact(of=Text()),
            says="The last message that the agent showed to the user.",
        ),
        Key(
            name="outcome",
            shape=Fact(of=Text()),
            says="How the last turn ended, in the subject's word: finished, incomplete, failed, cancelled.",
        ),
        Key(
            name="ends_within",
            shape=Fact(of=Span(), op="at_most"),
            says="The run is over after this much virtual time, or sooner.",
        ),
        Key(
            name="waits",
            shape=ListOf(item=Fact(of=Span())),
            says="The gaps between the attempts, one value for each, in order.",
        ),
        Key(
            name="usage",
            shape=Record(
                called="the usage that the subject counts",
                keys=(
                    figure("input", "Tokens of the requests."),
                    figure("output", "Tokens of the answers."),
                ),
            ),
            says="The tokens that the subject has counted over the run, as its notes called usage say.",
        ),
        Key(
            name="events",
            shape=ListOf(item=EVENT, least=1),
            says="Events that must occur in this order, whatever else happens between them; a kind alone will do.",
        ),
    ),
)

LIMITS: Final = Record(
    called="limits",
    keys=(
        Key(
            name="time",
            shape=Span(zero=False),
            says="Virtual time after which the run is stopped.",
            default="1d",
        ),
        Key(
            name="requests",
            shape=Count(least=1),
            says="Completion requests after which the run is stopped.",
            default="200",
        ),
        Key(
            name="steps",
            shape=Count(least=1),
            says="Steps of the world after which the run is stopped.",
            default="2000000",
        ),
    ),
)

EXPLORE: Final = Record(
    called="explore",
    keys=(
        Key(
            name="runs",
            shape=Count(),
            says="How many plans a test of this scenario tries; 0 is the default run alone.",
            default="0",
        ),
        Key(
            name="faults",
            shape=ListOf(item=Choice(words=tuple(FAULT_KINDS))),
            says="The kinds of faults that may strike.",
            default="all of them",
        ),
        Key(
            name="where",
            shape=ListOf(item=Choice(words=get_args(StrikePlace))),
            says="Where they may strike: at frames of an answer, at runs of tools, at what the user does.",
            default="everywhere",
        ),
        Key(
            name="shift",
            shape=Span(),
            says="How far what the user does may be moved in time, either way.",
            default="0s",
        ),
        Key(
            name="jitter",
            shape=Span(),
            says="How far an event from outside may shift around a deadline.",
            default="0s",
        ),
        Key(
            name="order",
            shape=Choice(words=ORDERS),
            says="Which orders are tried: timing gives those that asyncio itself can produce, any goes beyond them.",
            default="timing",
        ),
        Key(
            name="sweep",
            shape=Choice(words=get_args(Sweep)),
            says="Whether every fault is tried at every place: one by one (single), or two at a time as well (pairs).",
            default="none",
        ),
        Key(
            name="heal",
            shape=Span(zero=False),
            says="Within which time after a fault the run must end.",
            default="no bound",
        ),
    ),
)

_REASON: Final = Text(called="a reason", pattern=r"(?s).*\S.*")

# Why a case is skipped or must fail: for every row of the matrix, or for some.
_EXCUSE: Final = Either(
    scalar=_REASON,
    mapping=Record(
        called="a reason for some rows",
        keys=(
            Key(
                name="when",
                shape=Names(item=Plain(), name=_VARIABLE),
                says="Only rows of the matrix with these values, by their columns.",
                required=True,
            ),
            Key(name="because", shape=_REASON, says="The reason.", required=True),
        ),
    ),
)

OFF: Final = Record(
    called="a law that is switched off",
    keys=(
        Key(name="off", shape=Text(), says="The law.", required=True),
        Key(name="because", shape=_REASON, says="Why it need not hold here.", required=True),
    ),
)

SCENARIO: Final = Record(
    called="a scenario",
    keys=(
        Key(
            name="simkit",
            shape=Count(least=FORMAT, most=FORMAT),
            says="The version of the format.",
            required=True,
        ),
        Key(
            name="scenario",
            shape=Text(called="a title", pattern=r"(?s).*\S.*"),
            says="The title: the question that the scenario asks.",
            required=True,
        ),
        Key(name="about", shape=Text(), says="What a reader should know, in prose."),
        Key(name="refs", shape=ListOf(item=Text()), says="Issues and catalogue rows where this was seen."),
        Key(name="tags", shape=ListOf(item=Text()), says="Words to select scenarios by."),
        Key(
            name="extends",
            shape=Text(called="the path of a base file"),
            says="A file of the same project, by its path from the folder of this one, whose keys hold here too: "
            "mappings merge, all else is replaced, and a key with nothing behind it takes the other file's key away.",
        ),
        Key(name="defaults", shape=DEFAULTS, says="What holds for every answer and every tool."),
        Key(
            name="vars",
            shape=Names(item=Data(), name=_VARIABLE),
            says="Values that are used further down as ${name}; a later one may use an earlier one.",
        ),
        Key(
            name="subject",
            shape=Text(pattern=r"\S+", called="the name of a subject"),
            says="What is under test: a built-in, an entry point, or package.module:callable.",
            default="agent",
        ),
        Key(
            name="settings",
            shape=Names(item=Data()),
            says="Settings of the subject, checked by its own table.",
        ),
        Key(name="user", shape=ListOf(item=USER), says="What happens outside, by virtual time."),
        Key(
            name="provider",
            shape=ListOf(item=ANSWER),
            says="The answers, in the order of the requests.",
            required=True,
        ),
        Key(name="tools", shape=Names(item=TOOL, name=_TOOL_NAME), says="The tools that the agent may run."),
        Key(
            name="hosts",
            shape=Names(item=HOST, name=_HOST_NAME),
            says="Other hosts that may be dialled, and what each answers.",
        ),
        Key(
            name="network",
            shape=Names(
                item=LINK,
                name=Text(called=f'{_HOST_NAME.called}, or "*" for all others', pattern=rf"\*|{_HOST_NAME.pattern}"),
            ),
            says='The way to each host and back: its latency and its faults; "*" is every host that is not named.',
        ),
        Key(name="expect", shape=EXPECT, says="Facts of the finished run."),
        Key(name="always", shape=ListOf(item=LawItem()), says="Laws that hold all the time."),
        Key(
            name="sometimes",
            shape=ListOf(item=EVENT, least=1),
            says="Events that must be reached at least once in an exploration, or it was empty.",
        ),
        Key(name="explore", shape=EXPLORE, says="What an exploration varies beyond the default run."),
        Key(
            name="plan",
            shape=PlanText(),
            says="The choices and faults of the run, as a report prints them; without it the default run.",
        ),
        Key(
            name="matrix",
            shape=Names(item=ListOf(item=Plain(), least=1), name=_VARIABLE),
            says="Lists of values, used as ${name}: one case for each combination.",
        ),
        Key(
            name="skip",
            shape=_EXCUSE,
            says="Why the case is not run: a reason for all rows, or some rows of the matrix and the reason.",
        ),
        Key(
            name="xfail",
            shape=_EXCUSE,
            says="Why the case must fail: a reason for all rows, or some rows of the matrix and the reason.",
        ),
        Key(name="limits", shape=LIMITS, says="Where a run is stopped."),
        Key(
            name="starts",
            shape=Instant(),
            says="What the wall clock shows when the run begins.",
            default="2026-01-01T00:00:00Z",
        ),
        Key(name="catches", shape=ListOf(item=Text()), says="The flaws that this scenario is there to catch."),
    ),
)
