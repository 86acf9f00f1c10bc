"""The templates by name, in the order in which they are offered.

The idea: a table, so that the question, the list and the option ``--template`` cannot disagree. The constraint: what
comes first is what most agents fail first. Looking for files in a folder was refused: the order would be the
alphabet's.
"""

from __future__ import annotations

from typing import Final

from simkit.authoring.broken_answers import BROKEN_STREAM, RATE_LIMIT, STALL
from simkit.authoring.long_waits import BACKGROUND_POLLING, CANCEL_RACE, TOOL_OVERRUNS
from simkit.authoring.template import Template
from simkit.errors import UsageError
from simkit.extensions import nearest

TEMPLATES: Final[dict[str, Template]] = {
    template.name: template
    for template in (STALL, BROKEN_STREAM, RATE_LIMIT, BACKGROUND_POLLING, TOOL_OVERRUNS, CANCEL_RACE)
}


def find_template(name: str) -> Template:
    """Return the template of this name. Raises ``UsageError`` with the nearest one."""
    if name not in TEMPLATES:
        raise UsageError(f"no template is called {name!r}{nearest(name, TEMPLATES)}")
    return TEMPLATES[name]
