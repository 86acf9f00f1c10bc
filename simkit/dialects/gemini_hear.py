"""The way back: which steps a recorded Gemini body was made of.

The idea: events, array, bare error and whole body are all JSON objects that begin a line, or follow one another; so one
scanner finds them and knows no form. The constraint: it never raises, and what is cut, damaged or unknown is left out,
because recordings of faults are what it is for. A decoder for each form was refused: a stream of events that breaks off
with a bare error has two of them.

What a wire word means: ``STOP`` is ``tool_calls`` where calls came, else ``stop``; ``MAX_TOKENS`` is ``length``; words
of filters are ``content_filter``; every other word is ``error``. A word that its reason would not give by itself is
kept in ``wire``. Counts come as one ``Usage``, the last, before the finish. Signatures of parts that are no thoughts
are lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn

from simkit.dialects.gemini_chunks import WIRE_WORDS
from simkit.dialects.jsontext import write_json
from simkit.model.timeline import Call, Fault, Finish, FinishReason, Say, Step, Think, Usage

# Where an object of the body may begin: a line, after what each form puts before it.
_BEGIN: Final = re.compile(r"^(?:data: ?|[\[,]\s*)?(?=\{)", re.MULTILINE)
_NEXT: Final = re.compile(r"\s*,?\s*(?=\{)")
# What a byte that is no UTF-8 is read as.
_BAD: Final = re.compile("[\ud800-\udfff]")
_FILTERS: Final = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR")

Value = Mapping[str, object]


def hear_body(body: bytes) -> tuple[Step, ...]:
    """Return the steps of a body in any of its forms, as far as it can be understood."""
    steps: list[Step] = []
    for response in _responses(body):
        steps += _heard(response, calls=any(isinstance(step, Call) for step in steps))
    return tuple(_count_once(steps))


def _responses(body: bytes) -> Iterator[Value]:
    """Yield the whole objects of a body; what is cut or damaged is passed over, up to where the next may begin."""
    text = body.decode("utf-8", "surrogateescape")
    decoder = json.JSONDecoder(parse_constant=_refuse)
    found = _BEGIN.search(text)
    while found:
        start = found.end()
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            # Past this brace, or the same beginning is found again.
            found = _BEGIN.search(text, start + 1)
            continue
        if not _BAD.search(text, start, end):
            yield value
        found = _NEXT.match(text, end) or _BEGIN.search(text, end)


def _heard(response: Value, *, calls: bool) -> Iterator[Step]:
    error = response.get("error")
    if isinstance(error, dict):
        yield _fault(error)
        return
    candidate = _object(next(iter(_list(response.get("candidates"))), None))
    word = candidate.get("finishReason")
    for part in map(_object, _list(_object(candidate.get("content")).get("parts"))):
        # A finish comes with an empty text that nobody said.
        for step in _part(part, bare=isinstance(word, str)):
            calls = calls or isinstance(step, Call)
            yield step
    usage = response.get("usageMetadata")
    if isinstance(usage, dict):
        yield _usage(usage)
    if isinstance(word, str):
        yield _finish(word, calls=calls)


def _part(part: Value, *, bare: bool) -> Iterator[Step]:
    text, call, signature = part.get("text"), part.get("functionCall"), part.get("thoughtSignature")
    if isinstance(call, dict):
        identity = call.get("id")
        args = write_json(_object(call.get("args"))).decode()
        yield Call(name=str(call.get("name") or ""), args=args, id=identity if isinstance(identity, str) else None)
    elif isinstance(text, str) and part.get("thought") is True:
        yield Think(text=text, signature=signature if isinstance(signature, str) else None)
    elif isinstance(text, str) and (text or not bare):
        yield Say(text=text)


def _finish(word: str, *, calls: bool) -> Finish:
    reason: FinishReason = "error"
    if word == "STOP":
        reason = "tool_calls" if calls else "stop"
    elif word == "MAX_TOKENS":
        reason = "length"
    elif word in _FILTERS:
        reason = "content_filter"
    return Finish(reason=reason, wire=None if WIRE_WORDS[reason] == word else word)


def _fault(error: Value) -> Fault:
    code, status = error.get("code"), error.get("status")
    return Fault(
        text=str(error.get("message") or ""),
        type=status if isinstance(status, str) else None,
        code=str(code) if isinstance(code, int) else None,
    )


def _usage(usage: Value) -> Usage:
    thought = _int(usage, "thoughtsTokenCount")
    return Usage(
        input_tokens=_int(usage, "promptTokenCount"),
        output_tokens=_int(usage, "candidatesTokenCount") + thought,
        cached_tokens=_int(usage, "cachedContentTokenCount"),
        thinking_tokens=thought,
    )


def _count_once(steps: list[Step]) -> Iterator[Step]:
    """Keep the last count only, which holds all that came before it."""
    last = max((place for place, step in enumerate(steps) if isinstance(step, Usage)), default=None)
    return (step for place, step in enumerate(steps) if place == last or not isinstance(step, Usage))


def _int(value: Value, name: str) -> int:
    found = value.get(name)
    return found if isinstance(found, int) else 0


def _object(value: object) -> Value:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
