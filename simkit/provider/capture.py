"""What requests bring for later answers: names with values, and the places in texts where these go.

The idea: an answer captures from the request that it is for, and every text of it and of later answers may hold a
place for what was captured. The constraint: a value comes from what the client sent and from nowhere else, so a
scenario proves that the client sent it; where nothing is found, or nothing was captured yet, the run ends and says so.
A default for what is missing was refused: a script that waits for an id which never came would go on with none.

Where a regular expression is looked for: in the messages of the request, the newest first; of each in its results, its
text and the arguments of its calls; then in the JSON text of the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast

from simkit.contracts import CompletionRequest
from simkit.dialects.jsontext import write_json
from simkit.model.timeline import fill

T = TypeVar("T")


def find(pattern: str, request: CompletionRequest) -> str | None:
    """Return what the expression finds in a request: its first group where it has one."""
    wanted = re.compile(pattern)
    for text in _texts(request):
        found = wanted.search(text)
        if found is not None:
            value = found[1] if wanted.groups else found[0]
            return value or ""
    return None


def _texts(request: CompletionRequest) -> Iterator[str]:
    for message in reversed(request.messages):
        yield from (result.text for result in message.results)
        yield message.text
        yield from (call.args for call in message.calls)
    yield write_json(request.body).decode()


def filled(value: T, captured: Mapping[str, str]) -> T:
    """Return an answer, or a part of one, with every place in its texts filled.

    Raises ``KeyError`` for a name that nothing has captured yet.
    """
    return cast(T, _filled(value, captured))


def _filled(value: Any, captured: Mapping[str, str]) -> Any:
    match value:
        case str():
            return fill(value, captured)
        case bytes():
            # Bytes of a script may be no text at all; what is none comes back as it was.
            return fill(value.decode("utf-8", "surrogateescape"), captured).encode("utf-8", "surrogateescape")
        case tuple():
            return tuple(_filled(item, captured) for item in value)
        case Mapping():
            return {key: _filled(item, captured) for key, item in value.items()}
    names = _names(value.__class__)
    if not names:
        return value
    parts = {name: getattr(value, name) for name in names}
    new = {name: part if part is None else _filled(part, captured) for name, part in parts.items()}
    changed = {name: part for name, part in new.items() if part is not parts[name] and part != parts[name]}
    return replace(value, **changed) if changed else value


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Return the fields of a dataclass; none where it is none. Kept, because a long answer asks for every step."""
    return tuple(part.name for part in fields(kind)) if is_dataclass(kind) else ()
