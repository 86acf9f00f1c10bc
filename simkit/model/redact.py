"""Redaction: secrets leave no room in what is written down.

The idea: what stands under a telling key (``api_key``, ``authorization``, ``password``) is masked whole, and
what looks like a key of a known maker (``sk-...``) is masked wherever it stands, also inside text. The
constraint: a value without secrets comes back as the same object, because every event of every run passes
here. Masking any key that has ``token`` in it was refused: ``max_tokens`` and ``continuation_token`` are
facts that laws need, and no secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

MASK: Final = "***"

# Keys without case and punctuation, so that X-Api-Key, x_api_key and apiKey are one.
_SECRET_KEYS: Final = frozenset(
    """
    apikey xapikey apitoken apisecret xgoogapikey ocpapimsubscriptionkey
    openaiapikey anthropicapikey geminiapikey authorization proxyauthorization xauthorization auth
    token accesstoken refreshtoken authtoken idtoken bearertoken sessiontoken securitytoken csrftoken
    xauthtoken password passwd passphrase pwd secret secrets clientsecret secretkey secretaccesskey accesskey
    privatekey credential credentials cookie cookies setcookie
    """.split()  # noqa: SIM905  # a table of words reads better than a table of quotes
)
_NO_PUNCTUATION: Final = str.maketrans("", "", "-_. ")

# JSON Schema names parameters, and a parameter called password is no password.
_SCHEMA_KEYS: Final = frozenset(
    """
    type description title enum anyOf allOf oneOf $ref format minLength maxLength pattern items properties
    required additionalProperties nullable examples minimum maximum
    """.split()  # noqa: SIM905  # as above
)

# Deeper values than any real body; what lies below cannot be looked at, so it is not shown.
_DEPTH_MAX: Final = 100

_KEY_IN_TEXT: Final = (
    r"(?:x-)?api[_-]?key|(?:access|refresh|auth|id|bearer|session)?[_-]?token|password|passwd|"
    r"(?:client[_-]?)?secret(?:[_-]?key)?|authorization|(?:set-)?cookie"
)
# A text that must occur for the pattern to match (searching it is far cheaper), and the pattern.
# What precedes a secret stays (group 1), the secret goes.
_SECRET_TEXTS: Final = (
    # Keys of known makers: OpenAI and Anthropic and many like them, GitHub, Slack, Google, AWS.
    ("sk-", re.compile(r"((?<![A-Za-z0-9]))sk-[A-Za-z0-9_-]{6,}")),
    ("gh", re.compile(r"((?<![A-Za-z0-9]))gh[pousr]_[A-Za-z0-9]{16,}")),
    ("github_pat_", re.compile(r"((?<![A-Za-z0-9]))github_pat_\w{16,}")),
    ("xox", re.compile(r"((?<![A-Za-z0-9]))xox[abprs]-[\w-]{8,}")),
    ("AIza", re.compile(r"((?<![A-Za-z0-9]))AIza[\w-]{30,}")),
    ("AKIA", re.compile(r"((?<![A-Za-z0-9]))AKIA[A-Z0-9]{16}")),
    # A digit or a padding keeps prose such as "bearer authentication" as it is.
    ("earer ", re.compile(r"([Bb]earer +)(?=\S*\d)[A-Za-z0-9._~+/=-]{6,}")),
    ("Basic ", re.compile(r"(Basic +)(?=\S*[\d=])[A-Za-z0-9+/=]{6,}")),
    # JSON inside text, possibly cut short: the arguments of a tool call.
    ('"', re.compile(rf'("(?i:{_KEY_IN_TEXT})"\s*:\s*")(?:[^"\\]|\\.)+')),
    # A query, an option, or what a reader of an exception is told: key=value, key='value'.
    ("=", re.compile(rf"((?:[?&]key|(?<![\w-])(?i:{_KEY_IN_TEXT}))=[\"']?)[^&\s\"',;)]+")),
)
# ``key: value`` of YAML or of a dict in code, also inside braces; the value ends where the entry does.
_ENTRY: Final = re.compile(
    r"""(?P<head>["']?(?P<key>[\w.-]+)["']?\s*:\s+)(?P<value>"[^"]*"|'[^']*'|[^\s,{}\[\]#][^,}\n]*)"""
)


def redact(value: object) -> object:
    """Return the value with every secret in it masked; the same object when it holds none."""
    return _redact(value, _DEPTH_MAX)


def redact_source(line: str) -> str:
    """Return a line of YAML or of code with every secret in it masked: there a telling key needs no quotes."""
    return _redact_text(_ENTRY.sub(_masked_entry, line))


def _masked_entry(entry: re.Match[str]) -> str:
    return f"{entry['head']}{MASK}" if is_secret(entry["key"]) else entry[0]


@lru_cache(maxsize=4096)  # the same few hundred keys come by in every event
def is_secret(key: str) -> bool:
    """Say whether what stands under this key is a secret by its name."""
    return key.lower().translate(_NO_PUNCTUATION) in _SECRET_KEYS


def _redact(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _redact_text(value)
    if isinstance(value, Mapping | list | tuple):
        if not depth:
            return MASK
        return _redact_mapping(value, depth) if isinstance(value, Mapping) else _redact_items(value, depth)
    return value


def _redact_mapping(value: Mapping[object, object], depth: int) -> object:
    new = {k: _masked(k, v, depth) for k, v in value.items()}
    return new if any(new[k] is not v for k, v in value.items()) else value


def _redact_items(value: list[object] | tuple[object, ...], depth: int) -> object:
    new = [_redact(v, depth - 1) for v in value]
    if all(a is b for a, b in zip(new, value, strict=True)):
        return value
    return tuple(new) if isinstance(value, tuple) else new


def _masked(key: object, value: object, depth: int) -> object:
    # Whether something was given at all is no secret, and often the fault that is looked for.
    if value is None or value == "" or isinstance(value, bool):
        return value
    if isinstance(key, str) and is_secret(key) and not _is_schema(value):
        return MASK
    return _redact(value, depth - 1)


def _is_schema(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and value.keys() <= _SCHEMA_KEYS


def _redact_text(text: str) -> str:
    for hint, pattern in _SECRET_TEXTS:
        if hint in text:
            text = pattern.sub(rf"\g<1>{MASK}", text)
    return text
