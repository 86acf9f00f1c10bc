"""Redaction of what a session tells about itself: secrets are masked, and long texts are cut.

The idea: a value under a telling key is masked whole, at any depth, whatever case and punctuation the key is
written in. The constraint it protects: facts go to logs, and the arguments of a tool call hold what a user typed.
Looking for secrets inside text was refused here: a session does not know what the keys of its tools look like,
and a guess would hide what is being debugged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MASK: Final = "***"

# Enough to recognise a text by, too little to fill a log with it.
_TEXT_MAX: Final = 200

# Deeper than any arguments that a model writes; what lies below is not looked at, so it is not shown.
_DEPTH_MAX: Final = 20

# Whole words of a key, so that max_tokens and author are shown.
_SENSITIVE: Final = re.compile(
    r"(?:^|_)(?:api_?key|token|password|secret|credential|authorization|auth|secrets|credentials)(?:_|$)"
)
_BETWEEN_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


def redact(value: object) -> object:
    """Return the value without the secrets in it, and with long texts cut."""
    return _redact(value, _DEPTH_MAX)


def is_sensitive(key: str) -> bool:
    """Say whether what stands under this key is a secret by its name."""
    return _SENSITIVE.search(_BETWEEN_WORDS.sub("_", key).lower()) is not None


def _redact(value: object, depth: int) -> object:
    match value:
        case str():
            return value if len(value) <= _TEXT_MAX else f"{value[:_TEXT_MAX]}..."
        case Mapping() | list() | tuple() if not depth:
            return MASK
        case Mapping():
            return {key: _masked(key, item, depth) for key, item in value.items()}
        case list() | tuple():
            return [_redact(item, depth - 1) for item in value]
    return value


def _masked(key: object, value: object, depth: int) -> object:
    # Whether something was given at all is no secret, and often the fault that is looked for.
    if isinstance(key, str) and is_sensitive(key) and value not in (None, ""):
        return MASK
    return _redact(value, depth - 1)
