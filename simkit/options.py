"""Options that the command line and the pytest plugin share: settings given from outside, and which files are
meant.

The idea: ``--set flaw=x`` means the same in both faces, so both ask here. The constraint: an override changes
the scenario value before the run and nothing else, so the result still says everything about the run. Reading
options inside the machinery was refused: a result would then depend on something that is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from simkit.errors import UsageError
from simkit.model.scenario import Scenario

SUFFIX = ".sim.yaml"


def parse_overrides(texts: Iterable[str]) -> dict[str, str]:
    """Return settings from texts such as ``flaw=stub_finish_stop``. Raises ``UsageError`` for any other form."""
    overrides = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{text!r} is not a setting: expected KEY=VALUE, such as flaw=stub_finish_stop")
        overrides[key.strip()] = value.strip()
    return overrides


def overridden(scenarios: Sequence[Scenario], texts: Iterable[str]) -> tuple[Scenario, ...]:
    """Return the scenarios with these settings put over their own."""
    overrides = parse_overrides(texts)
    if not overrides:
        return tuple(scenarios)
    return tuple(_overridden(s, overrides) for s in scenarios)


def _overridden(scenario: Scenario, overrides: Mapping[str, str]) -> Scenario:
    # A setting from outside has no place in the file, so an error about it must not point to one.
    places = {k: v for k, v in scenario.settings_places.items() if k not in overrides}
    return replace(scenario, settings={**scenario.settings, **overrides}, settings_places=places)


def scenario_files(paths: Sequence[str]) -> list[tuple[Path, str | None]]:
    """Return the scenario files that the paths mean, each with the row that was named (``FILE::ROW``) or None.

    Folders are searched; the order is that of the arguments, and by name inside a folder. Raises ``UsageError`` for a
    path that is not there, a file that is no scenario, or a folder without any.
    """
    found: list[tuple[Path, str | None]] = []
    for text in paths:
        name, _, row = text.partition("::")
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.rglob(f"*{SUFFIX}") if p.is_file())
            if not inside:
                raise UsageError(f"no scenario in the folder {name!r}: expected files that end with {SUFFIX}")
            found += [(p, None) for p in inside]
        elif not path.exists():
            raise UsageError(f"no such file or folder: {name!r}")
        elif not path.name.endswith(SUFFIX):
            raise UsageError(f"{name!r} is not a scenario file: expected a name that ends with {SUFFIX}")
        else:
            found.append((path, row or None))
    return found
