"""A scenario's text as trees: as it is written, as each row of the matrix has it, and where in it something stands.

The idea: the model forgets how a thing was written (``180m`` is three hours there), so what is doubted about writing is
looked up in the same trees that the language reads. The constraint: only a text that the language has read without a
problem, or that it can at least parse, is looked at, so nothing here ever tells of a mistake. Keeping places of every
key in the model was refused: a run needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from simkit.errors import ScenarioError
from simkit.language.bases import with_bases
from simkit.language.nodes import Map, Node, Seq, compose
from simkit.language.problems import Problems
from simkit.language.rows import rows
from simkit.model.timeline import Place


def tree_of(text: str, file: str) -> Map | None:
    """Return the tree of a text as it is written, or None for one that is no mapping."""
    try:
        root = compose(text, Problems(file, text))
    except ScenarioError:
        return None
    return root if isinstance(root, Map) else None


def filled_trees(text: str, file: str) -> Iterator[Map]:
    """Yield the tree of each row, with its variables filled and what it extends laid under it."""
    problems = Problems(file, text)
    root = compose(text, problems)
    assert isinstance(root, Map), "only what was read as a scenario has rows"
    yield from (row.root for row in rows(with_bases(root, problems).root, problems))


def place_of(root: Map, *path: str | int) -> Place:
    """Return where the value of a path stands; where the way there breaks off, the last thing on it that is there.

    What a scenario has from a file that it extends is told of where it says so.
    """
    node: Node = root
    for part in path:
        inner = _inside(node, part)
        if inner is None:
            break
        node = inner
    if node is not root:
        return node.place
    return next((key.place for key, _ in root.entries if key.text == "extends"), root.place)


def key_place(root: Map, name: str) -> Place:
    """Return where a key of the scenario stands, or what it extends, or its beginning."""
    return next((key.place for key, _ in root.entries if key.text == name), place_of(root, name))


def _inside(node: Node, part: str | int) -> Node | None:
    match node, part:
        case Map(), str():
            return node.get(part)
        case Seq(), int() if part < len(node.items):
            return node.items[part]
    return None
