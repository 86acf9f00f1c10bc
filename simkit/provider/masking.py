r"""Masking: what a recording must not hold goes out of it before anything is written or printed.

The idea: what stands under a telling name (a header, a key of the query, a key of JSON at any depth, also of JSON
inside a text of JSON) is masked where it stands; what was masked once, and is long enough to be no ordinary word, is
masked wherever else it stands; and what looks like a key of a known maker is masked by ``redact``. The constraint:
pieces of a body stay the pieces that came, each at its instant, though a secret may begin in one and end in the next.
Masking after the recording was written was refused: then it has been written.

A secret that a model writes piece by piece stands nowhere in the bytes. ``unspoken`` finds it in what was heard, and
the stream is then put together anew from steps that do not hold it.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Final, cast
from urllib.parse import quote, unquote, urlsplit

from simkit.contracts import HttpRequest
from simkit.model.redact import MASK, is_secret, redact
from simkit.model.timeline import Args, Call, Refuse, Say, Step, Think
from simkit.provider.vcrfiles import Interaction, Piece, plain

# A shorter secret is masked by its name alone: "none" and "test" are keys in many a test, and words elsewhere.
_SECRET_LENGTH_MIN: Final = 8
# How a name begins its value, as JSON and as JSON inside JSON: the backslashes say how deep.
_KEY: Final = re.compile(r'(\\*)"([^"\\]{1,100})\1"\s*:\s*')
_STRING_END: Final = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_NUMBER: Final = re.compile(r"-?\d[\d.eE+-]*")
_NO_PUNCTUATION: Final = str.maketrans("", "", "-_. ")
# Names of secrets in a header, and of anything in a body: each piece of text that a model counts is a "token".
_WEAK: Final = frozenset({"token", "auth"})
_LOGPROB: Final = re.compile(r'"\s*,\s*"logprob"')
# The key of the query by which one provider knows its clients.
_QUERY_KEYS: Final = frozenset({"key", "sig", "signature"})
_SCHEME: Final = re.compile(r"(?:bearer|basic|token|digest) +", re.IGNORECASE)

Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Masking:
    """What is masked: the names that everybody knows, and those in ``fields``."""

    fields: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str]) -> Masking:
        """Return a masking of these names as well, whatever their case and punctuation."""
        return cls(frozenset(_plain(name) for name in names))

    def covers(self, name: str) -> bool:
        """Say whether what stands under this name is masked."""
        return is_secret(name) or _plain(name) in self.fields

    def clean(self, one: Interaction) -> Interaction:
        """Return the interaction without what must not be written."""
        secrets = tuple(dict.fromkeys(self._secrets(one)))
        request = HttpRequest(
            one.request.method,
            self._target(one.request.target, secrets),
            tuple(self._headers(one.request.headers, secrets)),
            self.bytes(one.request.body, secrets),
        )
        cleaned = replace(
            one,
            url=self._url(one.url, secrets),
            request=request,
            headers=tuple(self._headers(one.headers, secrets)),
        )
        return self._clean_body(cleaned, secrets)

    def bytes(self, data: bytes, secrets: Sequence[str] = ()) -> bytes:
        """Return text in bytes with its secrets masked."""
        text = data.decode("utf-8", "surrogateescape")
        return _replaced(text, self._spans(text, secrets)).encode("utf-8", "surrogateescape")

    def text(self, text: str, secrets: Sequence[str] = ()) -> str:
        """Return the text with its secrets masked."""
        return _replaced(text, self._spans(text, secrets))

    def unspoken(self, steps: Sequence[Step], one: Interaction) -> tuple[Step, ...]:
        """Return the steps with the secrets masked that only their pieces together say; equal ones without any."""
        secrets, out = [*self._secrets(one)], list(steps)
        for places in _texts_of(steps):
            texts = [_said(steps[place]) for place in places]
            joined = "".join(texts)
            spans = self._spans(joined, secrets)
            for place, text in zip(places, _recut(joined, texts, spans), strict=True):
                out[place] = replace(cast("Say | Think | Refuse | Args", out[place]), text=text)
        return tuple(out)

    # -- where secrets are known from ------------------------------------------------------------------------------
    def _secrets(self, one: Interaction) -> Iterator[str]:
        """Yield the values that are masked wherever they stand, the longest reading of each."""
        for name, value in (*one.request.headers, *one.headers):
            if self.covers(name):
                yield from _cookies(name, value) if name in ("cookie", "set-cookie") else _long(_SCHEME.sub("", value))
        for key, given in _query(urlsplit(one.url).query):
            if given is not None and self._covers_query(key):
                yield from _long(given, unquote(given))
        for data in (one.request.body, b"".join(piece.data for piece in plain(one) or ())):
            text = data.decode("utf-8", "surrogateescape")
            yield from _long(*(text[a:b] for a, b, _ in self._named(text)))

    # -- requests --------------------------------------------------------------------------------------------------
    def _covers_query(self, name: str) -> bool:
        return name.lower() in _QUERY_KEYS or self.covers(name)

    def _covers_key(self, name: str) -> bool:
        # The bodies of answers are read byte by byte, and a name may hold letters of several.
        spellings = (_plain(name), _plain(name.encode("latin-1", "replace").decode("utf-8", "replace")))
        known = spellings[0] not in _WEAK and is_secret(name)
        return known or any(spelling in self.fields for spelling in spellings)

    def _url(self, url: str, secrets: Sequence[str]) -> str:
        before, mark, query = url.partition("?")
        scheme, _, rest = before.partition("://")
        # Names and passwords in an address are both secret.
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}" + self._target(f"{path}{mark}{query}", secrets)

    def _target(self, target: str, secrets: Sequence[str]) -> str:
        path, mark, query = target.partition("?")
        pairs = ((n, quote(MASK, safe="*") if self._covers_query(n) and v else v) for n, v in _query(query))
        shown = "&".join(f"{name}={value}" if value is not None else name for name, value in pairs)
        return self.text(f"{path}{mark}{shown}", secrets)

    def _headers(self, headers: Iterable[tuple[str, str]], secrets: Sequence[str]) -> Iterator[tuple[str, str]]:
        for name, value in headers:
            yield name, MASK if self.covers(name) and value else self.text(value, secrets)

    # -- bodies ----------------------------------------------------------------------------------------------------
    def _clean_body(self, one: Interaction, secrets: Sequence[str]) -> Interaction:
        pieces = plain(one)
        if pieces is None:
            # Nobody here can look into it, so nobody can say that it holds no secret.
            return replace(one, pieces=(), headers=_without_coding(one.headers))
        texts = [piece.data.decode("latin-1") for piece in pieces]
        joined = "".join(texts)
        # Byte by byte, so that a piece may begin inside a character.
        spans = self._spans(joined, [secret.encode("utf-8", "surrogateescape").decode("latin-1") for secret in secrets])
        if not spans:
            return one
        cut = [text.encode("latin-1") for text in _recut(joined, texts, spans)]
        cleaned = tuple(Piece(piece.at_ns, data) for piece, data in zip(pieces, cut, strict=True))
        return replace(one, pieces=cleaned, headers=_without_coding(one.headers))

    def _spans(self, text: str, secrets: Sequence[str]) -> list[Span]:
        """Return what is to be replaced, in order and apart from each other: from, to, and by what."""
        found = list(self._named(text))
        for secret in secrets:
            found += [(at.start(), at.end(), MASK) for at in re.finditer(re.escape(secret), text)]
        found += _redacted(text)
        return _apart(found)

    def _named(self, text: str) -> Iterator[Span]:
        """Yield the values of JSON that stand under a name that is masked."""
        end = 0
        for key in _KEY.finditer(text):
            if key.start() >= end and self._covers_key(key[2]):
                span = _value(text, key.end(), key[1])
                if span is not None:
                    end = span[1]
                    yield span


def _texts_of(steps: Sequence[Step]) -> list[list[int]]:
    """Return the places of the steps whose texts belong together: what is said, what is thought, each call's own."""
    together, opened, count = dict[object, list[int]](), dict[int | None, int](), 0
    for place, step in enumerate(steps):
        match step:
            case Call():
                opened[None] = opened[count if step.index is None else step.index] = place
                count += 1
            case Args():
                together.setdefault(opened.get(step.index, -1), []).append(place)
            case Say() | Think() | Refuse():
                together.setdefault(type(step), []).append(place)
    return list(together.values())


def _said(step: Step) -> str:
    assert isinstance(step, Say | Think | Refuse | Args), step
    return step.text


def _value(text: str, start: int, slashes: str) -> Span | None:
    """Return the span of the JSON value that begins here, inside so many backslashes; None for what stays as it is."""
    quote_mark = f'{slashes}"'
    if text.startswith(quote_mark, start):
        begin = start + len(quote_mark)
        ending = _STRING_END.match(text, begin) if not slashes else None
        # A text that is cut is masked to its end.
        inner = re.compile(rf"(?<!\\){re.escape(quote_mark)}").search(text, begin) if slashes else None
        stop = ending.end() if ending else inner.start() if inner else len(text)
        return (begin, stop, MASK) if stop > begin else None
    if number := _NUMBER.match(text, start):
        return start, number.end(), f"{quote_mark}{MASK}{quote_mark}"
    if text[start : start + 1] in ("{", "["):
        return _container(text, start, slashes)
    return None


def _container(text: str, start: int, slashes: str) -> Span | None:
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        # Cut, or inside a text: up to where its brackets close, as far as these can be told.
        return start, _closing(text, start), f'{slashes}"{MASK}{slashes}"'
    # The schema of a parameter that is called so says nothing of its value.
    is_schema = isinstance(value, Mapping) and bool({"type", "$ref", "anyOf", "oneOf", "allOf"} & value.keys())
    return None if is_schema or not value else (start, end, f'"{MASK}"')


def _closing(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "{[") - (text[at] in "}]")
        if depth == 0:
            return at + 1
    return len(text)


def _redacted(text: str) -> Iterator[Span]:
    """Yield the spans that ``redact`` masks, found by what it left."""
    masked = redact(text)
    if masked is text:
        return
    at, (first, *others) = len(str(masked).partition(MASK)[0]), str(masked).split(MASK)
    assert text.startswith(first), "what is not masked stays as it is"
    for place, after in enumerate(others):
        # Every secret has some length, and the last one ends where the rest of the text begins.
        end = len(text) - len(after) if place == len(others) - 1 else text.index(after, at + 1)
        if not _LOGPROB.match(text, end):
            yield at, end, MASK
        at = end + len(after)


def _apart(found: Iterable[Span]) -> list[Span]:
    spans = list[Span]()
    for start, end, text in sorted(found):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]), spans[-1][2])
        else:
            spans.append((start, end, text))
    return spans


def _replaced(text: str, spans: Iterable[Span]) -> str:
    out, at = list[str](), 0
    for start, end, new in spans:
        out += [text[at:start], new]
        at = end
    return "".join([*out, text[at:]])


def _recut(joined: str, texts: Iterable[str], spans: Sequence[Span]) -> Iterator[str]:
    """Yield the replaced text in as many pieces as before; a piece that began inside a secret begins behind it."""
    starts = [start for start, _, _ in spans]
    bounds = [0, *accumulate(len(text) for text in texts)]
    for first, last in pairwise(_moved(bound, spans, starts) for bound in bounds):
        own = spans[bisect_left(starts, first) : bisect_left(starts, last)]
        yield _replaced(joined[first:last], [(a - first, b - first, new) for a, b, new in own])


def _moved(bound: int, spans: Sequence[Span], starts: Sequence[int]) -> int:
    place = bisect_left(starts, bound) - 1
    return max(bound, spans[place][1]) if place >= 0 else bound


def _without_coding(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the headers of a body that is no longer compressed, and no longer as long."""
    return tuple(pair for pair in headers if pair[0] not in ("content-encoding", "content-length"))


# -- names and values ----------------------------------------------------------------------------------------------
def _plain(name: str) -> str:
    return name.lower().translate(_NO_PUNCTUATION)


def _long(*values: str) -> Iterator[str]:
    yield from (value for value in values if len(value) >= _SECRET_LENGTH_MIN and value != MASK)


def _cookies(name: str, value: str) -> Iterator[str]:
    # Behind the first pair of a set-cookie stand its attributes.
    pairs = value.split(";") if name == "cookie" else value.split(";")[:1]
    yield from _long(*(pair.partition("=")[2].strip() for pair in pairs))


def _query(query: str) -> Iterator[tuple[str, str | None]]:
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        yield unquote(name) if "%" in name else name, value if equals else None
