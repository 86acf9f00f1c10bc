"""Strategies, of two kinds: who makes the choices that a plan leaves open, one file each; and, where hypothesis is
installed, what property tests draw from: ``answers``, ``faults``, ``plans`` and ``scenarios``.

The first see words and counts, never live objects. The second live in ``generated``, which is loaded when one of them
is asked for: hypothesis takes longer to load than all of simkit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from simkit.errors import UsageError

if TYPE_CHECKING:
    from simkit.strategies.generated import answers, faults, plans, scenarios

__all__ = ["answers", "faults", "plans", "scenarios"]

_HOME: Final = "simkit.strategies.generated"


def __getattr__(name: str) -> Any:
    """Fetch what property tests draw from. Raises ``UsageError`` where hypothesis is not installed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOME), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        text = f"{__name__}.{name} needs hypothesis - install it, such as: pip install 'pytest-simkit[hypothesis]'"
        raise UsageError(text) from error
