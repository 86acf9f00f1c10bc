"""A function as a subject: ``package.module:callable``, no wrapper and no registration.

The idea: an agent that talks to its provider and returns a text is a subject as it stands. The constraint:
finding it happens before the run, and whatever goes wrong there is told as the caller's mistake with the name
that was looked for. A plug-in class to inherit from was refused: it would have to be imported by production
code.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import replace

from simkit.contracts import Subject
from simkit.errors import SubjectError
from simkit.extensions import nearest


def function_subject(target: str) -> Subject:
    """Return the subject that ``package.module:callable`` names; it may be a ``Subject``. Raises ``SubjectError``."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise SubjectError(f"{target!r} is not a subject: expected package.module:callable")
    # As ``python -m`` does: the project that the command runs in is importable. Under pytest too, beside what pytest
    # puts on the path (folders of conftest.py, ``pythonpath``); the folder of the scenario would be a second rule.
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    module = _import(target, module_name)
    start = module
    for part in attribute.split("."):
        if not hasattr(start, part):
            public = [n for n in vars(start) if not n.startswith("_")] if hasattr(start, "__dict__") else []
            raise SubjectError(f"subject {target!r}: {module_name} has no {attribute!r}{nearest(part, public)}")
        start = getattr(start, part)
    if isinstance(start, Subject):
        # With a table of settings, which a bare function cannot have.
        return replace(start, name=target)
    if not callable(start):
        raise SubjectError(f"subject {target!r}: {attribute} is a {type(start).__name__}, expected a function")
    return Subject(name=target, start=start)


def _import(target: str, module_name: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = f"no module is called {error.name!r}"
        raise SubjectError(f"subject {target!r} cannot be imported: {missing} - {_way_to(error.name)}") from error
    except Exception as error:  # a stranger's module may fail in any way while it is imported
        raise SubjectError(f"subject {target!r} cannot be imported: {type(error).__name__}: {error}") from error


def _way_to(module_name: str | None) -> str:
    """Say what to do about a module that is missing, and where it was looked for."""
    if not module_name:
        return "check the name"
    looked = f"it was looked for in the current folder, {os.getcwd()!r}, and on Python's path"
    return f"run simkit from the folder that holds it, or install it ({looked})"
