"""Answers that no request can get, as far as a look at the script can tell.

The idea: the script takes the first answer that fits, so an answer behind one that takes every request which could fit
it is dead, and so is one whose ``when`` asks for something that the subject never sends. The constraint: patterns with
``*`` are compared by what they must contain and never by guess, and what only the subject decides is left to the runs;
of a subject that is not simkit's own nothing is assumed. Counting which answers a run left over was refused as the only
way: it cannot say why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Final, cast
from urllib.parse import urlsplit

from simkit.contracts import Dialect
from simkit.extensions import BUILT_IN, find, names, nearest
from simkit.linting.rules import Remark, remark
from simkit.linting.trees import place_of, tree_of
from simkit.model.scenario import Scenario
from simkit.model.timeline import Answer, Place, When

_OUT: Final = "take it out, or mend its `when`"

# Conditions whose text may hold ``*`` for any text, and those that look for a text inside another.
_PATTERNS: Final = ("host", "path", "model", "dialect")
_PARTS: Final = ("contains", "conversation")


def unreachable(cases: Sequence[Scenario]) -> Iterator[tuple[int, Remark]]:
    """Yield the answers that no request can get, in any row of the matrix: the index of each, and why."""
    for index in range(min(len(case.provider) for case in cases)):
        reasons = [_reason(case, index) for case in cases]
        first = reasons[0]
        if first is not None and all(reason is not None for reason in reasons):
            text, remedy, condition = first
            yield index, remark("unused-answer", cases[0], _place(cases[0], index, condition), text, remedy)


_Reason = tuple[str, str, str]


def _place(case: Scenario, index: int, condition: str) -> Place | None:
    answer = case.provider[index].place
    root = tree_of(case.source, case.file) if condition else None
    if root is None or answer is None:
        return answer
    place = place_of(root, "provider", index, "when", condition)
    # An answer may stand elsewhere: under ``vars``, behind an alias, in a file that this one extends.
    return place if place.line >= answer.line and answer.file == case.file else answer


def _reason(case: Scenario, index: int) -> _Reason | None:
    """Say why no request can get an answer, with the way out and the condition that is to blame."""
    answer = case.provider[index]
    for before in case.provider[:index]:
        if before.times is None and _covers(before.when, answer.when):
            line = f" on line {before.place.line}" if before.place else " above it"
            text = f"this answer is never reached: the one{line} takes every request that fits its `when`"
            return text, "move it above that one, or give that one a number of times", ""
    return next(_misfits(case, answer), None)


# -- behind another ----------------------------------------------------------------------------------------------------
def _covers(wide: When, narrow: When) -> bool:
    """Say whether every request that fits the second fits the first."""
    return all(_covers_one(f.name, getattr(wide, f.name), getattr(narrow, f.name)) for f in fields(When))


def _covers_one(name: str, wide: object, narrow: object) -> bool:
    if wide is None or wide == narrow:
        return True
    if not isinstance(wide, str) or not isinstance(narrow, str):
        return False
    if name in _PARTS:
        return wide in narrow
    # A star of the narrow one stands for any text; only a star of the wide one takes another star.
    return name in _PATTERNS and _fits(wide, narrow, fold=name == "host")


def _fits(pattern: str, text: str, *, fold: bool = False) -> bool:
    if fold:
        pattern, text = pattern.lower(), text.lower()
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


# -- asked for what never comes ----------------------------------------------------------------------------------------
def _misfits(case: Scenario, answer: Answer) -> Iterator[_Reason]:
    when = answer.when
    yield from _unknown_dialect(when)
    yield from _unknown_path(when)
    if case.subject in BUILT_IN["subjects"]:
        yield from _never_sent(case, when)


def _unknown_dialect(when: When) -> Iterator[_Reason]:
    if when.dialect is not None and not any(_fits(when.dialect, name) for name in names("dialects")):
        text = f"no request fits this: no dialect is called {when.dialect!r}"
        yield text, nearest(when.dialect, names("dialects")).removeprefix(" - "), "dialect"


def _unknown_path(when: When) -> Iterator[_Reason]:
    path = when.path
    if path is None or "*" in path or any(dialect.claims("POST", path) for dialect in _dialects()):
        return
    yield (
        f"no request fits this: {path!r} is the path of no completion request",
        "write a path such as */chat/completions, or match on the dialect",
        "path",
    )


def _dialects() -> list[Dialect]:
    return [cast(Dialect, find("dialects", name)) for name in names("dialects")]


def _never_sent(case: Scenario, when: When) -> Iterator[_Reason]:
    """Hold a ``when`` against what simkit's own agent sends, which its settings and its user decide."""
    spoken = str(case.settings.get("dialect", "openai-chat"))
    if when.dialect is not None and not _fits(when.dialect, spoken):
        yield _never(case, f"speaks {spoken!r}"), _OUT, "dialect"
    hosts = {str(urlsplit(dialect.base_url).hostname) for dialect in _dialects() if dialect.name == spoken}
    if when.host is not None and hosts and not any(_fits(when.host, host, fold=True) for host in hosts):
        yield _never(case, f"asks {' and '.join(hosts)}"), _OUT, "host"
    model, fallback = (str(case.settings.get(name, "")) for name in ("model", "fallback_model"))
    if when.model is not None and model and not any(_fits(when.model, one) for one in (model, fallback) if one):
        asked = f"{model!r}, then {fallback!r}" if fallback else repr(model)
        yield _never(case, f"asks for the model {asked}"), _OUT, "model"


def _never(case: Scenario, does: str) -> str:
    return f"no request fits this: subject {case.subject!r} {does}"
