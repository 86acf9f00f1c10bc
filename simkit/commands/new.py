"""``simkit new``: a first scenario, made of a template.

The idea: three questions on a terminal, or one option anywhere else, and a file that runs as it stands. The constraint:
a question that nobody can answer is never asked, so a script gets a message and not a hang; and nothing is written
before everything is known. Running the new file at once was refused: typing ``simkit run`` is the first lesson.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from simkit.commands.files import EPILOG_OF_FILES, read_again, refuse_file, write_new
from simkit.commands.terminal import INTERRUPTED, complain, say
from simkit.errors import UsageError
from simkit.options import SUFFIX

if TYPE_CHECKING:
    from simkit.authoring.draft import Draft
    from simkit.authoring.template import Template

A = TypeVar("A")

_FLAGS: Final = (
    "nobody is there to be asked, so name a template: simkit new --template stall "
    "(simkit new --list says what there is; --dialect, --subject and --title are optional)"
)


@click.command("new", epilog=EPILOG_OF_FILES.replace(" (what was recorded until then is written)", ""))
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--list", "listing", is_flag=True, help="Print the templates, and write nothing.")
@click.option("--template", metavar="NAME", help="What happens, instead of being asked.")
@click.option("--dialect", metavar="NAME", help="The wire that the agent speaks.")
@click.option("--subject", metavar="NAME", help="What is under test: agent, or your package.module:callable.")
@click.option("--title", metavar="TEXT", default="", help="The title, instead of the template's.")
@click.option("-o", "--output", metavar="FILE", help=f"The new file, instead of NAME{SUFFIX}.")
def command(
    name: str | None,
    listing: bool,
    template: str | None,
    dialect: str | None,
    subject: str | None,
    title: str,
    output: str | None,
) -> None:
    """Write a first scenario from a template, with comments that say what to change.

    On a terminal it asks what happens, which wire, and what is under test; with --template it asks nothing. The file
    is NAME.sim.yaml, or is called after the template. It runs as it stands. The schema that editors check it by goes
    to .simkit/.

    \b
    Examples:
      simkit new
      simkit new --list
      simkit new retries --template rate-limit --dialect anthropic
      simkit new mine --template stall --subject my_agent:run
    """
    from simkit.authoring.draft import drafted  # lazy: --help needs no template, and no language
    from simkit.authoring.templates import TEMPLATES, find_template  # lazy: as above

    if listing:
        say(sys.stdout, "\n".join(_entry(each.name, each.says) for each in TEMPLATES.values()))
        return
    file = _file(name, output)
    refuse_file(file)
    if template is not None:
        draft = drafted(find_template(template), dialect=dialect or "", subject=subject or "", title=title)
    elif _somebody_is_there():
        draft = _asked(dialect, subject, title)
    else:
        raise UsageError(_FLAGS)
    if file is None:
        file = draft.template.name.replace("-", "_") + SUFFIX
        refuse_file(file)
    _write(draft, file)


def _entry(name: str, says: str) -> str:
    return f"  {name}\n      {says}"


def _file(name: str | None, output: str | None) -> str | None:
    """Return the name of the file; None where the template gives it."""
    if name is not None and output is not None:
        raise UsageError(f"{name!r} and --output {output!r} both name the file, expected one of them")
    if name is None:
        return output
    if name in ("", ".", "..") or name.endswith(("/", "\\")):
        raise UsageError(f"{name!r} is no name of a scenario: expected one such as retries")
    return name if name.endswith(SUFFIX) else name + SUFFIX


def _somebody_is_there() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


# -- questions -------------------------------------------------------------------------------------------------------
def _asked(dialect: str | None, subject: str | None, title: str) -> Draft:
    """Ask for whatever no option says; an answer that cannot be used is asked for again, and an option refused."""
    from simkit.authoring.draft import checked_dialect, checked_subject, checked_title  # lazy: as above

    checked_title(title)
    if subject is not None:
        checked_subject(subject)
    try:
        template = _ask_template()
        wire = checked_dialect(template, subject or "", dialect) if dialect else _ask_wire(template, subject or "")
        return _ask_subject(template, wire, title) if subject is None else _draft(template, wire, subject, title)
    except click.Abort:
        complain("\nnothing was written")
        raise click.exceptions.Exit(INTERRUPTED) from None


def _ask_template() -> Template:
    from simkit.authoring.templates import TEMPLATES, find_template  # lazy: as above

    say(sys.stdout, "What happens?")
    for number, each in enumerate(TEMPLATES.values(), 1):
        say(sys.stdout, f"  {number}  {each.name}\n     {each.says}")
    by_number = dict(enumerate(TEMPLATES, 1))
    return _ask("Number or name", "1", lambda text: find_template(by_number.get(_number(text), text)))


def _ask_wire(template: Template, subject: str) -> str:
    from simkit.authoring.draft import checked_dialect, dialects  # lazy: as above

    wires = dialects(template, subject)
    if len(wires) == 1:
        return wires[0]
    say(sys.stdout, f"\nWhich wire does it speak: {', '.join(wires)}?")
    return _ask("Wire", wires[0], lambda text: checked_dialect(template, subject, text))


def _ask_subject(template: Template, wire: str, title: str) -> Draft:
    say(sys.stdout, "\nWhat is under test: agent, which is simkit's own, or your package.module:callable?")
    return _ask("Subject", "agent", lambda text: _draft(template, wire, text, title))


def _draft(template: Template, wire: str, subject: str, title: str) -> Draft:
    from simkit.authoring.draft import drafted  # lazy: as above

    return drafted(template, dialect=wire, subject=subject, title=title)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _ask(what: str, usual: str, understand: Callable[[str], A]) -> A:
    """Return what an answer means, and ask again for as long as it means nothing."""

    def understood(text: str) -> A:
        try:
            return understand(text.strip())
        except UsageError as error:
            # click prints its own usage errors, and asks again.
            raise click.UsageError(str(error)) from error

    answer: A = click.prompt(what, default=usual, value_proc=understood)
    return answer


# -- writing ---------------------------------------------------------------------------------------------------------
def _write(draft: Draft, file: str) -> None:
    from simkit.authoring.editor import schema_path, write_schema  # lazy: as above

    write_schema(Path(file))
    write_new(file, draft.text(schema_path(Path(file))))
    say(sys.stdout, f"{file}: {draft.template.name}, {read_again(file)}, under test: {draft.subject}\n")
    for line in _next(draft, shlex.quote(file)):
        say(sys.stdout, line)


def _next(draft: Draft, file: str) -> Iterator[str]:
    """Give the commands to type next, each with what comes of it."""
    if draft.own and not _is_importable(draft.subject):
        yield f"{draft.subject} is not there yet: `simkit explain tutorial` shows one that can be run."
    rows = [(f"simkit run {file}", "play it")]
    flaws = draft.template.catches
    if not draft.own:
        rows.append((f"simkit run {file} --set flaw={flaws[0]}", "play it with a fault that it must catch"))
    rows.append((f"simkit lint {file}", "check it after a change, without playing it"))
    width = max(len(typed) for typed, _ in rows)
    yield from ("Next:", *(f"  {typed:<{width}}   # {why}" for typed, why in rows))


def _is_importable(subject: str) -> bool:
    """Say whether there is a module of this name, without running any of it."""
    top = subject.partition(":")[0].partition(".")[0]
    return ":" not in subject or PathFinder.find_spec(top, [str(Path.cwd()), *sys.path]) is not None
