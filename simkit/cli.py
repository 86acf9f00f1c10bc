"""The command line: the group of verbs, each of which is a file of ``simkit.commands``.

The idea: the table below is all that is loaded for ``simkit --help``'s sake; a verb's file is imported when somebody
calls it, or asks for its help. The constraint: a mistake of the caller is one clear message and exit 2, never a
traceback, and the exit code tells a scenario's failure from simkit's own: that is decided here, once for all verbs.
Decorators that register each verb were refused: they register what has been imported, so everything would be.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

from simkit.commands.terminal import BROKEN, EPILOG, INTERRUPTED, WRONG, complain, tell_failure
from simkit.errors import SimkitError
from simkit.options import told

# In the order of a day's work. Each module holds a ``command``.
VERBS: Final = {
    "new": "simkit.commands.new",
    "run": "simkit.commands.run",
    "lint": "simkit.commands.lint",
    "explore": "simkit.commands.explore",
    "replay": "simkit.commands.replay",
    "show": "simkit.commands.show",
    "pin": "simkit.commands.pin",
    "diff": "simkit.commands.diff",
    "explain": "simkit.commands.explain",
    "schema": "simkit.commands.schema",
    "import": "simkit.commands.importing",
    "record": "simkit.commands.record",
    "serve": "simkit.commands.serve",
    "completion": "simkit.commands.completion",
}

_SENTENCE_MAX: Final = 200


class _Group(click.Group):
    """Loads a verb when it is called, and turns every exception into its exit code, in one place."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(VERBS[cmd_name]).command
        assert isinstance(command, click.Command), cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # click's own list cuts the sentences short where the line ends.
        verbs = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str(_SENTENCE_MAX)) for name, verb in verbs if verb])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            complain("\ninterrupted")
            ctx.exit(INTERRUPTED)
        except BaseException as error:  # noqa: BLE001  # the last net: what is nobody's mistake is simkit's own
            if _is_a_mistake(error):
                complain(told(error))
                ctx.exit(WRONG)
            tell_failure(error)
            ctx.exit(BROKEN)


def _is_a_mistake(error: BaseException) -> bool:
    """Say whether this, or all of a group, is what simkit raises on purpose to tell the caller of a mistake."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_a_mistake(one) for one in error.exceptions)
    return isinstance(error, SimkitError)


@click.group(cls=_Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-simkit", prog_name="simkit")
def main() -> None:
    """Run scenarios (*.sim.yaml) against LLM-agent loops in a simulated machine.

    Ninety virtual seconds of stall cost no wall time, and the same plan gives the same run.

    \b
    Examples:
      simkit new
      simkit run scenarios/
      simkit explore scenarios/ --runs 500
      simkit lint scenarios/basics/parallel_tools.sim.yaml
      simkit show 3fa9 --as page -o failure.html
      simkit import cassette.yaml -o session.sim.yaml
      simkit record --upstream https://api.openai.com
      simkit serve session.sim.yaml --port 8080
    """


if __name__ == "__main__":
    main()
