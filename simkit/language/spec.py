"""The one table of the language: every key, its shape, its sentence, and whether it must be there.

The idea: a key exists when it stands in this table and in no other way; the walker obeys the table, and the
editor schema and the reference page are drawn from it, so the three cannot disagree. The constraint: the
table is data and runs nothing, and every key says in one sentence what it means. A class for each key with
its own parsing code was refused: nobody could draw a page from it.

A shape says what a value looks like:

    Text Count Span Choice     a scalar: words, a number, a duration, one of a list of words
    RetryAfter Nothing         a scalar with a meaning of its own
    Data Json                  anything that YAML can write; JSON text, or a mapping that becomes JSON text
    ListOf Names               a list of one shape; a mapping from free names to one shape
    Record                     a mapping with a closed set of keys, maybe with exactly one verb among them
    Fact LawItem               what a finished run is compared with; a law, with its parameter or switched off
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from simkit.model.timeline import FinishReason, HangUp, Unreachable

# The version of the format that this table describes.
FORMAT: Final = 1


# -- shapes ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text. ``pattern`` must match the whole of it; ``numbers`` lets a bare number stand for its digits."""

    called: str = "text"
    pattern: str = ""
    numbers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A whole number within bounds; ``most`` None means without one."""

    least: int = 0
    most: int | None = None

    @property
    def called(self) -> str:
        """The bounds in words."""
        if self.least == self.most:
            return f"the number {self.least}"
        return f"a whole number from {self.least}" + ("" if self.most is None else f" to {self.most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A duration: text with a unit, read as nanoseconds; ``forever`` and ``zero`` say what else may stand."""

    forever: bool = False
    zero: bool = True
    called: str = "a duration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One word of a closed list."""

    words: tuple[str, ...]

    @property
    def called(self) -> str:
        """The words."""
        return f"one of {', '.join(self.words)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAfter:
    """The text of a ``retry-after`` header; a duration is written as its seconds."""

    called: str = "a duration or the text of the header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The key says it all: no value, or ``true``."""

    called: str = "no value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """One scalar of any type, kept as it is: a value that can name a matrix row."""

    called: str = "text, a number, true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Anything that YAML can write, kept as it is."""

    called: str = "a value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Json:
    """JSON text as a model writes it, taken as it is (it may be cut short); a mapping becomes JSON text."""

    called: str = "JSON text or a mapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list of one shape."""

    item: Shape
    least: int = 0
    called: str = "a list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """A mapping from names that the author chooses to one shape."""

    item: Shape
    name: Text = Text(called="a name", pattern=r".+")
    called: str = "a mapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a record: its shape, its sentence, whether it is required, and what holds without it."""

    name: str
    shape: Shape
    says: str
    required: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A key of which a record has exactly one, and the keys that may stand beside it."""

    key: Key
    extras: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A mapping with a closed set of keys: ``keys`` always, and one of ``verbs`` where there are any.

    Of the keys in one group of ``either``, at most one may be there.
    """

    called: str
    keys: tuple[Key, ...] = ()
    verbs: tuple[Verb, ...] = ()
    either: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value of a finished run: exact, or one operator. With ``op`` it is a plain value, compared so."""

    of: Text | Count | Span
    op: str = ""

    @property
    def called(self) -> str:
        """What the fact itself is."""
        return self.of.called


@dataclass(frozen=True, slots=True, kw_only=True)
class LawItem:
    """A law by name, ``{law: value}``, or ``{off: law, because: text}``. The caller says which laws exist."""

    called: str = "a law"


Shape = (
    Text | Count | Span | Choice | RetryAfter | Nothing | Plain | Data | Json | ListOf | Names | Record | Fact | LawItem
)


# -- operators -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A word that compares a fact. ``operand`` is how many values of the fact's own shape it takes.

    ``operand`` is ``one``, ``two``, ``some`` or ``pattern``; ``numbers`` and ``texts`` say where it fits.
    """

    name: str
    says: str
    operand: str = "one"
    numbers: bool = True
    texts: bool = True


OPERATORS: Final = (
    Operator(name="at_most", says="The value is this or less.", texts=False),
    Operator(name="at_least", says="The value is this or more.", texts=False),
    Operator(name="between", says="The value lies between these two, ends included.", operand="two", texts=False),
    Operator(name="contains", says="The text holds this text, letter by letter.", numbers=False),
    Operator(
        name="matches",
        says="This Python regular expression is found in the text.",
        operand="pattern",
        numbers=False,
    ),
    Operator(name="one_of", says="The value is one of these.", operand="some"),
    Operator(name="not", says="The value is anything but this."),
)

# What a law's parameter looks like, by the kind that the law publishes.
PARAMETERS: Final[dict[str, Shape]] = {"duration": Span(), "count": Count()}


# -- steps -----------------------------------------------------------------------------------------
_INDEX: Final = Key(
    name="index",
    shape=Count(most=127),
    says="Which of several parallel calls is meant, counted from 0.",
)

STEP: Final = Record(
    called="a step",
    verbs=(
        Verb(key=Key(name="say", shape=Text(), says="The model says a piece of visible text.")),
        Verb(
            key=Key(name="call", shape=Text(pattern=r"(?s).+"), says="The model begins a call of this tool."),
            extras=(
                Key(
                    name="args",
                    shape=Json(),
                    says="The arguments: a mapping, or JSON text that may be cut short on purpose.",
                ),
                Key(name="id", shape=Text(), says="The id of the call.", default="made by the dialect"),
                _INDEX,
            ),
        ),
        Verb(
            key=Key(name="args", shape=Json(), says="The next piece of the arguments of an open call."),
            extras=(_INDEX,),
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
                shape=Record(
                    called="a keepalive",
                    keys=(
                        Key(
                            name="every",
                            shape=Span(zero=False),
                            says="The time from one comment to the next.",
                            required=True,
                        ),
                        Key(
                            name="for",
                            shape=Span(forever=True),
                            says="How long the comments go on.",
                            required=True,
                        ),
                    ),
                ),
                says="Comments of the stream's own protocol: bytes on the wire that are no progress.",
            )
        ),
        Verb(
            key=Key(
                name="usage",
                shape=Record(
                    called="a usage",
                    keys=(
                        Key(name="input", shape=Count(), says="Tokens of the request.", required=True),
                        Key(name="output", shape=Count(), says="Tokens of the answer.", required=True),
                    ),
                ),
                says="The token counts that the provider reports for this answer.",
            )
        ),
        Verb(
            key=Key(
                name="finish",
                shape=Choice(words=get_args(FinishReason)),
                says="The model's turn is over, for this reason; the closing marker follows by itself.",
            )
        ),
        Verb(key=Key(name="done", shape=Nothing(), says="The wire's closing marker alone, without a finish reason.")),
        Verb(
            key=Key(
                name="disconnect",
                shape=Choice(words=get_args(HangUp)),
                says="The connection ends: eof ends the body properly, cut ends inside it, reset is an RST.",
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

_STATUS: Final = Verb(
    key=Key(
        name="status",
        shape=Count(least=200, most=599),
        says="An HTTP status with the body that the real API sends for it.",
    ),
    extras=(
        Key(name="error", shape=Text(), says="The message inside the API's own error body."),
        Key(
            name="retry_after",
            shape=RetryAfter(),
            says="The retry-after header: a duration (7s is sent as 7), or the header's text as it is.",
        ),
        Key(name="headers", shape=_HEADERS, says="Further headers of the response."),
        Key(name="body", shape=Text(), says="The body, instead of the API's own."),
    ),
)

_CONNECTION: Final = Verb(
    key=Key(
        name="connection",
        shape=Choice(words=get_args(Unreachable)),
        says="No HTTP answer at all: the connection itself fails in this way.",
    )
)

ANSWER: Final = Record(
    called="an answer",
    keys=(
        Key(
            name="times",
            shape=Count(least=1),
            says="How many requests in a row get this answer.",
            default="1",
        ),
    ),
    verbs=(
        Verb(
            key=Key(
                name="stream",
                shape=ListOf(item=STEP),
                says="Status 200 and these steps; without finish, done or disconnect it stays open.",
            )
        ),
        _STATUS,
        _CONNECTION,
    ),
)

HOST: Final = Record(called="a host", verbs=(_STATUS, _CONNECTION))

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
        Key(name="says", shape=Text(), says="The message.", required=True),
    ),
)

# The names that provider APIs accept for a tool: any other gets a 400 from the real thing.
_TOOL_NAME: Final = Text(called="the name of a tool (letters, digits, _ and -, at most 64)", pattern=r"[\w-]{1,64}")

TOOL: Final = Record(
    called="a tool",
    keys=(
        Key(name="takes", shape=Span(forever=True), says="How long a run takes in virtual time.", default="0s"),
        Key(name="returns", shape=Data(), says="What a run gives back.", default="ok"),
        Key(name="raises", shape=Text(), says="The text of the error that a run ends with."),
    ),
    either=(("returns", "raises"),),
)

EXPECT: Final = Record(
    called="expect",
    keys=(
        Key(
            name="requests",
            shape=Fact(of=Count()),
            says="Completion requests that reached the provider, each attempt counted.",
        ),
        Key(
            name="attempts",
            shape=Fact(of=Count()),
            says="Attempts at a completion, those that never reached the provider counted too.",
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

OFF: Final = Record(
    called="a law that is switched off",
    keys=(
        Key(name="off", shape=Text(), says="The law.", required=True),
        Key(
            name="because",
            shape=Text(called="a reason", pattern=r"(?s).*\S.*"),
            says="Why it need not hold here.",
            required=True,
        ),
    ),
)

_VARIABLE: Final = Text(called="the name of a variable (letters, digits and _)", pattern=r"[A-Za-z_][A-Za-z0-9_]*")

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
            shape=Names(
                item=HOST,
                name=Text(
                    called="the name of a host, with a port where it needs one",
                    pattern=r"[A-Za-z0-9._:\[\]-]+",
                ),
            ),
            says="Other hosts that may be dialled, and what each answers.",
        ),
        Key(name="expect", shape=EXPECT, says="Facts of the finished run."),
        Key(name="always", shape=ListOf(item=LawItem()), says="Laws that hold all the time."),
        Key(
            name="matrix",
            shape=Names(item=ListOf(item=Plain(), least=1), name=_VARIABLE),
            says="Lists of values, used as ${name}: one case for each combination.",
        ),
        Key(name="limits", shape=LIMITS, says="Where a run is stopped."),
        Key(name="catches", shape=ListOf(item=Text()), says="The flaws that this scenario is there to catch."),
    ),
)
