from __future__ import annotations

import ast
from pathlib import Path

import simkit.provider
from simkit.provider.stage import Line, Stage, WorldLine, WorldStage

ROOM = Path(simkit.provider.__file__).parent


def test_nothing_of_the_provider_is_imported_from_the_kernel_but_for_type_checkers() -> None:
    found = [
        (file.name, node.module)
        for file in sorted(ROOM.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("simkit.kernel")
    ]
    assert found == [("stage.py", "simkit.kernel.network"), ("stage.py", "simkit.kernel.world")]


def test_the_world_is_a_stage_and_its_connections_are_lines() -> None:
    # Read by the type checker: what is promised is there.
    made: list[tuple[type[Stage], type[Line]]] = [(WorldStage, WorldLine)]
    assert [name for name in dir(Stage) if not name.startswith("_") and not hasattr(made[0][0], name)] == []
