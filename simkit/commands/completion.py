"""``simkit completion``: what a shell needs to complete verbs, options, scenarios and ids; and these completions.

The idea: click knows verbs and options, and what it cannot know is added here: that a path is a path, and which ids and
names there are. The constraint: a key press asks this program, so nothing is imported that takes longer than the eye
notices, and nothing is ever printed but completions. Writing into somebody's shell profile was refused: the line for it
is printed, and they know where it belongs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from simkit.commands.terminal import say

SHELLS: Final = ("bash", "zsh", "fish")
_VARIABLE: Final = "_SIMKIT_COMPLETE"
_EPILOG: Final = "Exit codes: 0 printed; 2 an option is wrong; 3 simkit itself failed; 130 Ctrl-C."


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion of simkit for a shell: verbs, options, scenarios, and the ids of failures.

    \b
    Examples:
      eval "$(simkit completion bash)"         in ~/.bashrc
      eval "$(simkit completion zsh)"          in ~/.zshrc
      simkit completion fish | source          in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, shell
    # Not ``source``, which starts the shell to ask for its version.
    writer = kind(click.get_current_context().find_root().command, {}, "simkit", _VARIABLE)
    say(sys.stdout, (writer.source_template % writer.source_vars()).rstrip("\n"))


# -- what click cannot know --------------------------------------------------------------------------------------------
def complete_paths(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete scenario files and folders."""
    return [CompletionItem(incomplete, type="file")]


def complete_ids(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the ids of the failures in the store of this folder, each with what failed; else files."""
    from simkit.explore.store import Store  # lazy: only who presses the key waits for it

    known = [path.stem.rpartition("-") for path in Store().files()]
    found = [CompletionItem(id_, help=what) for what, _, id_ in known if id_.startswith(incomplete)]
    return found or complete_paths(ctx, parameter, incomplete)


def complete_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete laws, faults and pages, which ``simkit explain`` can be asked for; keys would take too long to load."""
    from simkit.extensions import names  # lazy: as above
    from simkit.model.plan import FAULT_KINDS  # lazy: as above

    pages = sorted(page.stem for page in (Path(__file__).parents[1] / "docs").glob("*.md"))
    return _beginning(incomplete, [*names("checks"), *(f"fault:{fault}" for fault in FAULT_KINDS), *pages])


def complete_reporters(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of reporters."""
    from simkit.extensions import names  # lazy: as above

    return _beginning(incomplete, names("reporters"))


def _beginning(incomplete: str, words: Sequence[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
