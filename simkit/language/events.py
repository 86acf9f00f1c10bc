"""The events that ``expect: events`` can ask for: every kind, what may be asked of its values, and each one's sentence.

The idea: this is the trace's own table of events, in the shapes of the language, so a pattern is checked before the
run and drawn on the reference page like every other key. The constraint: each kind has one main value, which a value
alone means (``tool.start: write_file``), so the usual case is one line. Patterns as text to be searched for in the
report were refused: the report may be worded anew at any time.
"""

from __future__ import annotations

from typing import Final

from simkit.language.shapes import Count, Data, Fact, Flag, Key, Names, Nothing, Plain, Record, Span, Text, Verb


def _word(name: str, says: str) -> Key:
    return Key(name=name, shape=Fact(of=Text()), says=says)


def figure(name: str, says: str) -> Key:
    """Return a key whose value is a number, compared as a fact."""
    return Key(name=name, shape=Fact(of=Count()), says=says)


def _truth(name: str, says: str) -> Key:
    return Key(name=name, shape=Flag(), says=says)


def _value(name: str, says: str) -> Key:
    return Key(name=name, shape=Data(), says=says)


def _event(kind: str, says: str, main: Key, *others: Key) -> Verb:
    """An event by its kind. A value alone is its main one; a mapping names values, and asks for no others."""
    assert isinstance(main.shape, Fact | Flag), kind
    of = main.shape.of if isinstance(main.shape, Fact) else main.shape
    parts = Record(called=f"the values of {kind}", keys=(main, *others))
    return Verb(key=Key(name=kind, shape=Fact(of=of, parts=parts, main=main.name), says=says))


_REQUEST: Final = figure("request", "The number of the completion request, from 1.")
_METHOD: Final = _word("method", "The method of the HTTP request.")
_HOST: Final = _word("host", "The host that is asked.")
_PORT: Final = figure("port", "The port of the host.")
_PATH: Final = _word("path", "The path of the HTTP request, without the query.")
_ANSWERED: Final = figure("status", "The HTTP status of the answer.")
_JOB: Final = _word("job", "The id of the background answer.")
_TOOL: Final = _word("tool", "The name of the tool.")
_RUN: Final = figure("run", "The number of the tool's run, from 1 over all tools.")
_TURN: Final = figure("turn", "The number of the turn, from 1.")
_WORDS: Final = _word("text", "The text.")
_STOPPABLE: Final = _truth("heard", "Whether something was under way that could be stopped.")
_ERROR: Final = _word("error", "The class of the exception.")
_WHERE: Final = _word("where", "File and line.")
_NAME_OF: Final = _word("name", "Its name.")

EVENT: Final = Record(
    called="an event",
    keys=(
        Key(
            name="at",
            shape=Fact(of=Span()),
            says="The virtual instant at which it happens.",
            default="any",
        ),
    ),
    verbs=(
        _event("user.says", "The user sends a message.", _WORDS),
        _event("user.cancels", "The user stops what is going on.", _STOPPABLE),
        _event("user.leaves", "The user stops what is going on, and is gone.", _STOPPABLE),
        _event("user.note", "A mark of the scenario.", _WORDS),
        _event(
            "request",
            "A completion request reaches the provider.",
            _REQUEST,
            _METHOD,
            _HOST,
            _PATH,
            _word("dialect", "The wire that it speaks."),
            _word("model", "The model that is asked for."),
            _truth("stream", "Whether it asks for a stream."),
            _truth("background", "Whether it asks for an answer in the background."),
            figure("retry", "Which retry it is by the SDK's own count."),
        ),
        _event(
            "job.request",
            "Somebody asks for a background answer, or for its end.",
            _word("op", "What is wanted: retrieve, stream, cancel, delete or other."),
            _JOB,
            _REQUEST,
            _METHOD,
            _HOST,
            _PATH,
            _ANSWERED,
            _word("state", "The state of the answer at that instant."),
            figure("poll", "Which retrieval of this answer it is, from 1."),
            figure("after", "The cursor behind which a stream is resumed."),
        ),
        _event(
            "job.state",
            "A background answer enters a state.",
            _word("state", "One of queued, in_progress, completed, failed, incomplete, cancelled and expired."),
            _JOB,
            _REQUEST,
        ),
        _event("other.request", "A request comes that is no completion request.", _PATH, _METHOD, _HOST, _ANSWERED),
        _event("request.invalid", "The API refuses a malformed request.", _ANSWERED, _REQUEST, _WORDS),
        _event(
            "response",
            "The head of an answer goes out.",
            _ANSWERED,
            _REQUEST,
            figure("answer", "Which answer of the script it is, from 0."),
            _word("retry_after", "The retry-after header."),
        ),
        _event(
            "frame",
            "A frame of a streamed answer goes out.",
            _word(
                "is",
                "What it carries: say, think, refuse, call, name, args, usage, finish, done, error, empty, raw, mark, "
                "keepalive.",
            ),
            _REQUEST,
            _WORDS,
            _TOOL,
            _word("call", "The id of the call that it is part of."),
            figure("index", "The index of that call."),
        ),
        _event("silence", "An answer falls silent.", _REQUEST),
        _event(
            "stream.end",
            "An answer is over.",
            _word("how", "One of complete, eof, cut, reset, client_closed and open."),
            _REQUEST,
            _word("finish", "Why the model ended, in the word of the script."),
            _truth("done", "Whether the closing marker was sent."),
            _WORDS,
            _word("error", "The text of an error in mid-stream."),
        ),
        _event("connection.open", "A connection is made.", _HOST, _PORT),
        _event(
            "connection.refused",
            "A connection does not come about.",
            _word("how", "One of refused, reset, timeout and unknown_host."),
            _HOST,
            _PORT,
        ),
        _event(
            "connection.close",
            "A connection ends.",
            _word("how", "One of eof and reset."),
            _word("by", "One of client, server and link."),
        ),
        _event(
            "link.fault",
            "A fault of the network begins.",
            _word("fault", "One of reset, hold and connection."),
            _HOST,
            _word("how", "How new connections fail from here on."),
            figure("connections", "How many open connections it strikes."),
        ),
        _event("tool.start", "A tool begins to run.", _TOOL, _RUN, _value("args", "Arguments that it must have.")),
        _event(
            "tool.end",
            "A run of a tool is over.",
            _TOOL,
            _RUN,
            _word("outcome", "One of ok, error and cancelled."),
            _value("result", "What it gave back."),
        ),
        _event("tool.effect", "A tool has done something to the world.", _TOOL, _RUN, _WORDS),
        _event("thread.start", "A thread begins.", _NAME_OF),
        _event("thread.end", "A thread ends.", _NAME_OF),
        _event("turn.start", "The subject takes up a message.", _TURN, _WORDS),
        _event(
            "turn.end",
            "The subject says how a turn ended.",
            _word("outcome", "The subject's word: finished, incomplete, failed, cancelled."),
            _TURN,
            _WORDS,
        ),
        _event("said", "The subject shows a text to the user.", _WORDS),
        Verb(
            key=Key(
                name="note",
                shape=Fact(of=Text(), parts=Names(item=Fact(of=Plain())), main="name"),
                says="The subject tells a fact of its own: its name, and whatever else it holds.",
            )
        ),
        Verb(key=Key(name="subject.returned", shape=Nothing(), says="The subject comes to its end.")),
        _event("subject.raised", "The subject raises an exception.", _ERROR, _WORDS, _WHERE),
        _event(
            "orphan",
            "Something is left over at the end.",
            _word("what", "One of task, thread, connection, stream, timer and generator."),
            _NAME_OF,
            _word("created", "File and line where it was made."),
            _word("waits", "What it waits for."),
        ),
        _event("lost.error", "An exception is taken by nobody.", _ERROR, _WORDS, _WHERE),
        _event("loop.blocked", "A callback holds its event loop up.", _word("waits", "What it waits for."), _WHERE),
        _event("spin", "Very much happens at one instant.", _WHERE, figure("steps", "How many steps it was so far.")),
        _event("fault", "A fault of the plan strikes.", _word("fault", "Its kind."), _word("site", "Where.")),
        _event("run.end", "The run is over.", _word("reason", "Why, in one word, such as returned."), _WORDS),
    ),
)
# Which value of an event is meant by a value alone.
MAIN_VALUES: Final[dict[str, str]] = {
    verb.key.name: verb.key.shape.main for verb in EVENT.verbs if isinstance(verb.key.shape, Fact)
}
