"""Recorded bodies frame by frame: where one ends, and which kinds of things it carries.

The idea: a body is cut behind its frames without being understood, and each frame tells the names in it that say what
it carries (types, and the keys of what is new in it), so that two bodies can be compared by what they hold. The
constraint: nothing is lost by cutting, whatever the bytes. Comparing frame by frame was refused: ids, dates and padding
differ between two answers that mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from simkit.dialects.jsontext import read_json

_EVENT: Final = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r)(?:\r\n|\r|\n)*", re.DOTALL)


def cut_frames(body: bytes) -> list[bytes]:
    """Return a streamed body frame by frame; what is no whole frame at its end comes last."""
    if body.lstrip()[:1] in (b"[", b"{", b",", b"]"):
        return _cut_array(body)
    frames, end = [], 0
    while found := _EVENT.match(body, end):
        frames.append(found[0])
        end = found.end()
    return [*frames, body[end:]] if end < len(body) else frames


_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)


def _cut_array(body: bytes) -> list[bytes]:
    """Cut a body that is JSON throughout behind each of its objects."""
    frames, start, depth = [], 0, 0
    for found in _STRUCTURE.finditer(body):
        depth += {b"{": 1, b"}": -1}.get(found[0], 0)
        if found[0] == b"}" and depth == 0:
            frames.append(body[start : found.end()])
            start = found.end()
    rest = body[start:]
    if frames and rest.strip() in (b"", b"]", b","):
        frames[-1] += rest
        return frames
    return [*frames, rest] if rest else frames


def ends_inside(data: bytes) -> bool:
    """Say whether a piece ends inside a frame."""
    frames = cut_frames(data)
    if not frames:
        return False
    last = frames[-1]
    if last.lstrip()[:1] in (b"[", b"{", b",", b"]"):
        return last.strip() not in (b"[", b"]", b",") and not last.rstrip(b" \r\n\t],").endswith(b"}")
    return not last.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))


def is_ping(frame: bytes) -> bool:
    """Say whether a frame only keeps a connection open."""
    return frame.startswith(b":") or not frame.strip() or "type ping" in words(frame)


# Where in a frame the names stand that say what kind of thing it carries, and those whose own keys do.
_CARRIERS: Final = ("choices", "candidates", "delta", "item", "part", "content_block", "content", "parts")
_KEYED: Final = ("delta", "parts")
_DEPTH_MAX: Final = 6


def new_words(body: bytes, again: bytes) -> str:
    """Return the kinds of things that a body holds and what it was compiled to does not, as text."""
    known = {word for frame in cut_frames(again) for word in words(frame)}
    held = dict.fromkeys(word for frame in cut_frames(body) if not is_ping(frame) for word in words(frame))
    return ", ".join(repr(word) for word in held if word not in known)


def words(frame: bytes) -> list[str]:
    """Return the names in a frame that say what it carries: types, and keys with a value."""
    lines = [line[5:].strip() for line in frame.splitlines() if line.startswith(b"data:")]
    text = b"\n".join(lines) if lines else frame.strip().strip(b"[],")
    if not text or text.startswith((b":", b"event:", b"id:", b"retry:")):
        return []
    try:
        value = read_json(text)
    except ValueError:
        return [text[:40].decode("utf-8", "replace")]
    return list(_words_of(value, _DEPTH_MAX))


def _words_of(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _words_of(item, depth)
    if not isinstance(value, dict) or not depth:
        return
    if isinstance(value.get("type"), str):
        yield f"type {value['type']}"
    for name in _CARRIERS:
        inner = value.get(name)
        for one in inner if isinstance(inner, list) else [inner]:
            if name in _KEYED and isinstance(one, dict):
                yield from (f"{name}.{key}" for key, item in one.items() if item)
        yield from _words_of(inner, depth - 1)


# -- whole bodies ---------------------------------------------------------------------------------------------------
# Where the parts of a whole answer stand.
_WHOLES: Final = ("choices", "message", "candidates", "content", "parts", "output", "tool_calls")
_KEYED_WHOLES: Final = ("message", "parts")


def new_in_whole(body: bytes, again: bytes) -> set[str]:
    """Return the kinds of things that a whole body holds and what it was compiled to does not."""
    return {*_words_of_whole(read_or_none(body), _DEPTH_MAX)} - {*_words_of_whole(read_or_none(again), _DEPTH_MAX)}


def _words_of_whole(value: object, depth: int) -> Iterator[str]:
    if not isinstance(value, dict) or not depth:
        return
    if isinstance(value.get("type"), str):
        yield f"type {value['type']}"
    for name in _WHOLES:
        inner = value.get(name)
        for one in inner if isinstance(inner, list) else [inner]:
            if name in _KEYED_WHOLES and isinstance(one, dict):
                yield from (f"{name}.{key}" for key, item in one.items() if item)
            yield from _words_of_whole(one, depth - 1)


def read_or_none(body: bytes) -> object:
    """Return the JSON value of a body; None for what is no JSON."""
    try:
        return read_json(body)
    except ValueError:
        return None
