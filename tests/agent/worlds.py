"""The agent in a simulated world, over the wire of each dialect: what becomes of a scenario, in short.

The idea: a test writes the answers of a provider and what must come of them, and gets back what is wrong: broken
expectations and broken laws, and how the run ended if not by itself. The constraint: the subject, the SDKs, the
dialects and the laws are the real ones, so a client and its dialect cannot agree on a mistake that the SDK would not
make.
"""

from __future__ import annotations

from textwrap import dedent

from simkit.model.duration import NS_PER_S
from simkit.model.plan import Plan
from simkit.model.verdict import Result
from simkit.run import run_once
from tests.provider.played import scenario

CHAT, RESPONSES, ANTHROPIC = "openai-chat", "openai-responses", "anthropic"
WIRES = (CHAT, RESPONSES, ANTHROPIC)


def run(text: str, wire: str = CHAT, **settings: object) -> Result:
    """Run the agent over this wire; where the text has no user, somebody says "go" once."""
    body = dedent(text)
    chosen = ", ".join(f"{name}: {_yaml(value)}" for name, value in {"dialect": wire, **settings}.items())
    head = f"settings: {{{chosen}}}\n"
    user = "" if "\nuser:" in f"\n{body}" else "user: [{says: go}]\n"
    return run_once(scenario(head + user + body), Plan())


def wrong(result: Result) -> list[str]:
    """What is wrong with the run, in sentences; nothing, if all is well."""
    return [f"{finding.law}: {finding.text}" for finding in result.findings]


def notes(result: Result, *names: str) -> list[tuple[object, ...]]:
    """The facts of these names: seconds, name, and their values."""
    return [
        (e.at_ns / NS_PER_S, e.get("name"), *(value for key, value in e.values.items() if key != "name"))
        for e in result.trace.of("note")
        if e.get("name") in names
    ]


def ends(result: Result) -> list[tuple[object, object]]:
    """How the turns ended: outcome and text."""
    return [(e.get("outcome"), e.get("text")) for e in result.trace.of("turn.end")]


def asked(result: Result) -> list[tuple[float, str]]:
    """What was asked of the provider, and when: completions, and questions about running ones with their cursor."""
    told = []
    for event in result.trace.of("request", "job.request"):
        after = event.get("after")
        what = "post" if event.kind == "request" else str(event.get("op"))
        told.append((event.at_ns / NS_PER_S, what if after is None else f"{what} after {after}"))
    return told


def bodies(result: Result) -> list[dict[str, object]]:
    """The bodies of all completion requests."""
    return [dict(event.get("body")) for event in result.trace.of("request")]  # type: ignore[call-overload]  # always one


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
