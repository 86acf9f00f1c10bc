"""The file itself: a template, a style sheet, a script and data, put together so that nothing foreign can run in it.

The idea: the assets are real files beside this module, and a page is these with its data written into blocks that no
browser executes. The constraint: the policy of a page names the hash of its one script and its one style sheet and
forbids all else (every request, every other script, every markup made from text), so a provider that answers in HTML is
shown and never obeyed. A template engine was refused: its escaping is a habit, and a policy is a wall.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

_SLOT: Final = re.compile(r"\{\{([a-z]+)\}\}")
# In JSON these stand only inside of texts. Escaped, no text can end its block, begin a comment, or break a line.
_ESCAPES: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def document(template: str, script: str, *, title: str, summary: str, blocks: Mapping[str, str]) -> str:
    """Return a whole HTML file; ``blocks`` are the data by the ids under which the script finds them."""
    style, code = _asset("page.css"), _asset("common.js") + _asset(script)
    return _filled(
        _asset(template),
        {
            "policy": html.escape(_policy(style, code)),
            "title": html.escape(title),
            "summary": html.escape(summary),
            "style": style,
            "data": "\n".join(_block(name, text) for name, text in blocks.items()),
            "script": code,
        },
    )


def as_json(value: object) -> str:
    """Return a value as JSON that may stand inside of HTML."""
    return escaped(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def escaped(text: str) -> str:
    """Return JSON, or lines of JSON, in which nothing can be taken for markup; it means the same."""
    return text.translate(_ESCAPES)


def _block(name: str, text: str) -> str:
    return f'<script type="application/json" id="{name}">{text}</script>'


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            # Not even the page's own script can make markup from text.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Fill every slot in one go: what is filled in is not looked at again."""
    return _SLOT.sub(lambda slot: values[slot[1]], template)


@cache  # a run may write hundreds of pages
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
