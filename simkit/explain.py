"""What ``simkit explain NAME`` prints: a law, a flaw, or a page of the documentation.

The idea: everything that a report names can be asked about by that name, and the answer is drawn from the code that
does it or read from the page that ships with it, so it cannot be out of date. The constraint: a name that nobody has
is told with the nearest one that somebody has. A manual with a chapter for each law was refused: it would be the first
thing to fall behind.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

from simkit.contracts import Flaw, Law
from simkit.errors import UsageError
from simkit.extensions import find, names, nearest
from simkit.model.duration import format_duration

PAGES: Final = Path(__file__).parent / "docs"
_FLAW: Final = "flaw:"


def explained(name: str) -> str:
    """Return the text for a law (``no_orphans``), a flaw (``flaw:no_cancel_all``) or a page. Raises ``UsageError``."""
    if name.startswith(_FLAW) and name.removeprefix(_FLAW) in _flaws():
        return _flaw(_flaws()[name.removeprefix(_FLAW)])
    if name in names("checks"):
        return _law(cast(Law, find("checks", name)))
    if name in _pages():
        return (PAGES / f"{name}.md").read_text(encoding="utf-8").rstrip()
    known = [*names("checks"), *_pages(), *(_FLAW + flaw for flaw in _flaws())]
    guess = nearest(name, known) if name not in ("", _FLAW) else ""
    close = guess if "did you mean" in guess else " - `simkit explain` lists what there is"
    raise UsageError(f"nothing is called {name!r}{close}")


def listed() -> str:
    """Return every name that can be explained, with its sentence."""
    laws = {name: cast(Law, find("checks", name)).says for name in names("checks")}
    flaws = {_FLAW + name: flaw.says for name, flaw in _flaws().items()}
    pages = {name: _title(name) for name in _pages()}
    parts = [("Laws", laws), ("Flaws of the built-in agent", flaws), ("Pages", pages)]
    return "\n\n".join(f"{head}\n" + "\n".join(_entry(*pair) for pair in part.items()) for head, part in parts)


def _entry(name: str, says: str) -> str:
    return f"  {name}\n      {says}"


def _law(law: Law) -> str:
    lines = [law.name, "", f"  {law.says}", ""]
    if law.parameter is None:
        lines.append("It takes no value.")
    else:
        lines.append(f"Its value is a {law.parameter}; without one it is {_value(law)}.")
    if law.on_by_default:
        lines.append("It holds for every scenario, unless one switches it off and says why:")
        lines += ["", "  always:", f"    - {{off: {law.name}, because: ...}}"]
    else:
        lines.append("It holds for the scenarios that name it:")
        lines += ["", "  always:", f"    - {law.name}{': ...' if law.parameter else ''}"]
    breaking = [flaw for flaw in _flaws().values() if law.name in flaw.breaks]
    if breaking:
        lines += ["", "Flaws of the built-in agent that break it:"]
        lines += [f"  {flaw.name}: {flaw.says}" for flaw in breaking]
    return "\n".join(lines)


def _value(law: Law) -> str:
    is_duration = law.parameter == "duration" and isinstance(law.default, int)
    return format_duration(cast(int, law.default)) if is_duration else str(law.default)


def _flaw(flaw: Flaw) -> str:
    lines = [flaw.name, "", f"  {flaw.says}", "", f"Seen in: {flaw.source}", f"It breaks: {', '.join(flaw.breaks)}"]
    lines += ["", "Switch it on for any scenario of the built-in agent:", ""]
    return "\n".join([*lines, f"  simkit run scenarios/ --set flaw={flaw.name}"])


def _flaws() -> dict[str, Flaw]:
    from simkit.subjects.flawed import FLAWS  # lazy: the agent's loop imports asyncio, which laws do not need

    return {name: plantable.flaw for name, plantable in FLAWS.items()}


def _pages() -> list[str]:
    return sorted(page.stem for page in PAGES.glob("*.md"))


def _title(name: str) -> str:
    with (PAGES / f"{name}.md").open(encoding="utf-8") as page:
        return page.readline().lstrip("# ").strip()
