"""``simkit lint``: what can be said of scenarios before anybody relies on them, and the mending of what is mechanical.

The idea: every problem of every file at once, each with its place, and doubts beside them that do not fail. The
constraint: what is wrong goes to standard error, as with every other verb, and what was asked for goes to standard
output: doubts, changes, the summary, or the one document that a machine reads. Stopping at the first bad file was
refused: an editor shows all of them, and so does a review.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from simkit.commands.completion import complete_paths
from simkit.commands.terminal import FAILED, PASSED, WRONG, complain, counted, say
from simkit.errors import SimkitError, UsageError

if TYPE_CHECKING:
    from simkit.linting.linter import Checked
    from simkit.linting.mending import Mended
    from simkit.linting.rules import Remark

_EPILOG: Final = (
    "Exit codes: 0 nothing is wrong (warnings do not count); 1 there are warnings, with --strict; 2 a scenario or an "
    "option is wrong; 3 simkit itself failed; 130 Ctrl-C."
)


@click.command("lint", epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH | FILE::ROW]...", shell_complete=complete_paths)
@click.option("--fix", is_flag=True, help="Mend what is mechanical: key order, units, misspelt words, missing quotes.")
@click.option("--diff", is_flag=True, help="Show what --fix would change, and write nothing.")
@click.option("--no-run", is_flag=True, help="Leave out every rule that runs the cases.")
@click.option("--strict", is_flag=True, help="Exit with 1 when there are warnings.")
@click.option("--off", multiple=True, metavar="RULE", help="Switch a rule off; --rules lists them.")
@click.option("--rules", is_flag=True, help="List the rules, each with its sentence.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="How to print the remarks."
)
def command(
    paths: tuple[str, ...],
    fix: bool,
    diff: bool,
    no_run: bool,
    strict: bool,
    off: tuple[str, ...],
    rules: bool,
    form: str,
) -> None:
    """Check scenarios: print every problem with its place, and warn of what its author can hardly want.

    To find answers that nobody gets and cases that no faulty agent fails, it runs the cases; --no-run leaves that
    out. No PATH means this folder.

    \b
    Examples:
      simkit lint scenarios/
      simkit lint --fix scenarios/basics/parallel_tools.sim.yaml
      simkit lint --no-run --strict --off key-order --format github
    """
    from simkit.linting.rules import without  # lazy: --help needs no rule

    left = without(off)
    if rules:
        _list_rules()
        return
    if diff and form != "text":
        raise UsageError(f"--diff prints text, expected no --format {form} beside it")
    out = sys.stdout
    # Whatever an agent prints must not get between the lines of what is read here.
    with contextlib.redirect_stdout(sys.stderr):
        if fix or diff:
            _mend_all(paths or (".",), out if form == "text" else sys.stderr, write=not diff)
        printer = _Printer(out, form)
        printer.print(_checked(paths, left, out if form == "text" else None, run=not no_run))
    click.get_current_context().exit(printer.exit_code(strict=strict))


def _checked(paths: Sequence[str], rules: Collection[str], out: IO[str] | None, *, run: bool) -> Iterator[Checked]:
    from simkit.linting.linter import lint  # lazy: --help and a mistyped option need no kernel

    if not run:
        return lint(paths or (".",), rules, run=False)
    return lint(paths or (".",), rules, around=_Shown(out))


@dataclass(slots=True)
class _Shown:
    """Shows on a terminal which file is being run, where there are enough of them."""

    out: IO[str] | None

    def __call__(self, name: str, done: int, total: int) -> contextlib.AbstractContextManager[None]:
        from simkit.commands.progress import progress_on  # lazy: as above

        progress = progress_on(self.out, total)
        return progress.shown(name, done, total, "checked") if progress is not None else contextlib.nullcontext()


def _list_rules() -> None:
    from simkit.linting.rules import RULES  # lazy: as above

    width = max(map(len, RULES))
    for name, rule in RULES.items():
        say(sys.stdout, f"{name:<{width}}  {rule.severity:<7}  {rule.says}")


# -- printing --------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Printer:
    """Prints what is told of each file as it comes, and counts it."""

    out: IO[str] | None
    form: str
    files: int = 0
    cases: int = 0
    remarks: list[Remark] = field(default_factory=list)

    def print(self, checked: Iterable[Checked]) -> None:
        """Print everything, the summary last."""
        for one in checked:
            self.files += 1
            self.cases += len(one.cases)
            new = [remark for remark in one.remarks if remark not in self.remarks]
            self.remarks += new
            for remark in new:
                self._tell(remark)
        self._end()

    def exit_code(self, *, strict: bool) -> int:
        """Return what the remarks come to."""
        if self._count("error"):
            return WRONG
        return FAILED if strict and self.remarks else PASSED

    def _count(self, severity: str) -> int:
        return sum(remark.severity == severity for remark in self.remarks)

    def _tell(self, remark: Remark) -> None:
        if self.form == "github":
            from simkit.linting.formats import as_github  # lazy: as above

            say(self.out, as_github(remark))
        elif self.form == "text" and remark.severity == "error":
            complain(remark.render())
        elif self.form == "text":
            say(self.out, remark.render())

    def _end(self) -> None:
        if self.form == "json":
            from simkit.linting.formats import as_json  # lazy: as above

            say(self.out, as_json(self.remarks))
        elif self.form == "text":
            say(self.out, f"{counted(self.files, 'file')}, {counted(self.cases, 'case')}: {self._found()}")

    def _found(self) -> str:
        errors, warnings = self._count("error"), self._count("warning")
        problems = counted(errors, "problem") if errors else "no problems"
        return f"{problems}, {counted(warnings, 'warning')}" if warnings else problems


# -- mending ---------------------------------------------------------------------------------------------------------
def _mend_all(paths: Sequence[str], out: IO[str] | None, *, write: bool) -> None:
    """Mend every file that the paths mean; what is wrong with a path is told when it is checked."""
    from simkit.options import scenario_files  # lazy: as above

    names: dict[str, None] = {}
    for path in paths:
        with contextlib.suppress(UsageError):
            names.update((str(file), None) for file, _ in scenario_files(path))
    for name in names:
        _mend_one(name, out, _written if write else _shown)


def _mend_one(name: str, out: IO[str] | None, then: Callable[[str, str, str, Mended], Iterable[str]]) -> None:
    from simkit.language.reader import shown_path  # lazy: as above
    from simkit.linting import mending, texts  # lazy: as above

    try:
        mark, text = texts.read(name)
        mended = mending.mend(text, shown_path(Path(name)))
    except (SimkitError, UnicodeDecodeError):
        # What cannot be read is told when it is checked.
        return
    if mended.text != text:
        for line in then(name, mark, text, mended):
            say(out, line)


def _written(name: str, mark: str, text: str, mended: Mended) -> Iterable[str]:
    from simkit.linting import texts  # lazy: as above

    texts.write(name, mark + mended.text)
    return [f"{name}:{change.line}: {change.says}" for change in mended.changes]


def _shown(name: str, mark: str, text: str, mended: Mended) -> Iterable[str]:
    import difflib  # lazy: as above

    before, after = (one.splitlines() for one in (text, mended.text))
    return difflib.unified_diff(before, after, f"{name}", f"{name} (mended)", lineterm="")
