"""The files that a scenario extends: found, held inside the project, read, and laid one over the other.

The idea: the chain of files is followed before anything has a meaning, so variables, matrix and rules see one tree and
never know that it came from several files. The constraint: reading a scenario opens nothing outside its project,
neither by dots nor through a link, and ends whatever the files say of each other. Search paths for bases were refused:
where a file comes from must stand in the file.

A base need not be whole: it may lack a title and answers, and is then called ``*.yaml``, since every ``*.sim.yaml`` is
a case by itself. A whole scenario can be extended too.
"""

from __future__ import annotations

import ntpath
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from simkit.extensions import project_of
from simkit.language.files import decode, read_bytes, tree
from simkit.language.merging import merged
from simkit.language.nodes import Map, Node, Scalar, describe
from simkit.language.problems import Problems
from simkit.language.spec import SCENARIO

# A file, its base, and the base of that: whoever reads a scenario has three files to read at most.
LEVELS_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Whole:
    """A tree with everything in it that it extends, and the texts of the files that this came from, by their names."""

    root: Map
    texts: Mapping[str, str]


def with_bases(root: Map, problems: Problems) -> Whole:
    """Return the tree laid over the files that it extends. Raises ``ScenarioError`` where one cannot be read."""
    project = str(project_of(Path(os.path.abspath(problems.file)).parent))
    files, trees, texts = [problems], [root], {}
    while (extends := trees[-1].get("extends")) is not None:
        file = _base(extends, files, project)
        text = _read(extends, file, files[-1])
        files.append(problems.beside(file, text))
        trees.append(tree(text, files[-1]))
        texts[file] = text
    whole = _without_extends(trees.pop())
    for over in reversed(trees):
        laid = merged(whole, _without_extends(over), SCENARIO, problems)
        assert isinstance(laid, Map)  # two mappings give one
        whole = laid
    return Whole(whole, texts)


def _without_extends(root: Map) -> Map:
    return replace(root, entries=tuple(pair for pair in root.entries if pair[0].text != "extends"))


def _base(extends: Node, files: list[Problems], project: str) -> str:
    """Return the path of a base as errors show it, after a look at where it leads."""
    problems, place = files[-1], extends.place
    name = _name(extends, problems)
    file = os.path.normpath(os.path.join(os.path.dirname(problems.file), name)).replace(os.sep, "/")
    _keep_inside(name, file, project, extends, problems)
    chain = [os.path.realpath(one.file) for one in files]
    if os.path.realpath(file) in chain:
        first = chain.index(os.path.realpath(file))
        names = [one.file for one in files[first:]]
        text = "a file cannot extend itself" if len(names) == 1 else "these files extend each other in a circle"
        problems.stop(place, f"{text}: {' -> '.join([*names, names[0]])}", "take one of the 'extends' out")
    if len(files) > LEVELS_MAX:
        names = [one.file for one in files]
        text = f"a file can extend a file that extends another, and no more: {' -> '.join([*names, file])}"
        problems.stop(place, text, "put two of them together")
    return file


def _name(extends: Node, problems: Problems) -> str:
    """Return the path as it is written."""
    called = "the path of a base file"
    if not isinstance(extends, Scalar) or not isinstance(extends.value, str) or not extends.text:
        remedy = "write it from the folder of this file, such as ../base.yaml"
        problems.stop(extends.place, f"expected {called}, got {describe(extends)}", remedy)
    if "${" in extends.text:
        text = "a variable cannot stand in 'extends': the base is read before any variable is known"
        problems.stop(extends.place, text, "write the path out")
    return extends.text


def _keep_inside(name: str, file: str, project: str, extends: Node, problems: Problems) -> None:
    place = extends.place
    if os.path.isabs(name) or ntpath.isabs(name) or ntpath.splitdrive(name)[0]:
        problems.stop(place, f"{name!r} is an absolute path", "write it from the folder of this file")
    if not _is_inside(os.path.abspath(file), project):
        text = f"{name!r} leads out of the project"
        problems.stop(place, text, "a scenario extends files of its own project; put a copy of it there")
    if not name.endswith(".yaml"):
        problems.stop(place, f"{name!r} is no YAML file", "a base is called *.yaml")
    # Not methods of Path: those raise for names that no file system takes.
    if not os.path.isfile(file):
        problems.stop(place, f"there is no file {file!r}", "the path starts at the folder of this file")
    if not _is_inside(os.path.realpath(file), os.path.realpath(project)):
        text = f"{name!r} is a link that leads out of the project"
        problems.stop(place, text, "put a copy of what it points at in its place")


def _is_inside(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def _read(extends: Node, file: str, problems: Problems) -> str:
    try:
        data = read_bytes(Path(file))
    except OSError as error:
        text = f"{file!r} cannot be read: {error.strerror or error}"
        problems.stop(extends.place, text, "a base must be readable to whoever runs the scenario")
    return decode(data, problems.beside(file, "")).removeprefix("\ufeff")
