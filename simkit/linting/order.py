"""The order of a scenario's keys: which of them stand astray, and the text with whole blocks moved to their places.

The idea: a key, its value and the comments above it are one block of lines, and putting keys in order moves blocks and
touches no character inside them. The constraint: comments go with what they are about - those above a key with the key,
those at the top and at the very end with the file - and whatever cannot be cut into such blocks (braces, two keys on a
line) is left as it is. Writing the tree anew was refused: it would lose every comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import yaml

from simkit.language.nodes import Map, Scalar
from simkit.language.spec import SCENARIO
from simkit.model.scenario import LINE_BREAK

ORDER: Final = tuple(key.name for key in SCENARIO.keys)

# What an editor reads from the first lines of a file, wherever else the comments there go.
_MODE_LINE: Final = "yaml-language-server"


@dataclass(frozen=True, slots=True)
class Astray:
    """A key out of its order, and the neighbour that it belongs ``above`` or below."""

    key: Scalar
    above: bool
    other: str


def astray(root: Map) -> list[Astray]:
    """Return the keys that would have to move: as few as will do."""
    keys = [key for key, _ in root.entries if key.text in ORDER]
    ranks = [ORDER.index(key.text) for key in keys]
    kept = _longest_rise(ranks)
    return [_astray(keys, ranks, place, kept) for place in range(len(keys)) if place not in kept]


def _longest_rise(ranks: Sequence[int]) -> set[int]:
    """Return the places of the longest rising part of a sequence."""
    best: list[list[int]] = []
    for place, rank in enumerate(ranks):
        before = [run for run in best if ranks[run[-1]] < rank]
        best.append([*_longest(before), place])
    return set(_longest(best))


def _longest(runs: Sequence[list[int]]) -> list[int]:
    return max(runs, key=lambda run: len(run), default=[])


def _astray(keys: Sequence[Scalar], ranks: Sequence[int], place: int, kept: set[int]) -> Astray:
    over = [other for other in kept if other < place and ranks[other] > ranks[place]]
    under = [other for other in kept if other > place and ranks[other] < ranks[place]]
    other = min(over, key=ranks.__getitem__) if over else max(under, key=ranks.__getitem__)
    return Astray(keys[place], bool(over), keys[other].text)


@dataclass(frozen=True, slots=True)
class _Block:
    """The lines of one key: comments and blank lines above it, the key with its value, and comments inside."""

    name: str
    lines: tuple[str, ...]


def reordered(text: str, root: Map) -> str | None:
    """Return the text with its keys in order, or None where it is in order or cannot be cut into blocks."""
    if not astray(root) or not _is_block(text, root):
        return None
    lines = _lines(text)
    ends = _ends(text)
    if len(ends) != len(root.entries):
        # A key that stands twice, or is none: the language says so, and nothing can be moved until that is mended.
        return None
    starts = [_start(lines, root, place, ends) for place in range(len(root.entries))]
    foot = _foot(lines, root, ends[-1])
    bounds = [*starts, foot]
    names = [key.text for key, _ in root.entries]
    blocks = [_Block(name, tuple(lines[bounds[n] : bounds[n + 1]])) for n, name in enumerate(names)]
    moved = _with_blanks_below(_sorted(blocks))
    return "".join(_joined(lines[: starts[0]], moved, lines[foot:], _break_of(text)))


def _is_block(text: str, root: Map) -> bool:
    """Say whether the keys stand on lines of their own, in one column."""
    lines = _lines(text)
    if lines[root.place.line - 1][root.place.column - 1] == "{":
        return False
    places = [key.place for key, _ in root.entries]
    column = places[0].column
    alone = all(place.column == column and not lines[place.line - 1][: column - 1].strip() for place in places)
    return alone and len({place.line for place in places}) == len(places)


def _lines(text: str) -> list[str]:
    """Return the lines with their breaks, as YAML counts lines."""
    cuts = [0, *(found.end() for found in LINE_BREAK.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]


def _break_of(text: str) -> str:
    found = LINE_BREAK.search(text)
    return found[0] if found else "\n"


def _ends(text: str) -> list[int]:
    """Return for each key of the scenario the (0-based) line behind the last one of its value."""
    ends: list[int] = []
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        # Inside the mapping of the scenario every second node is a key.
        if depth == 1 and isinstance(event, yaml.NodeEvent):
            nodes += 1
            if nodes % 2:
                ends.append(0)
        if ends and isinstance(event, yaml.ScalarEvent | yaml.AliasEvent | yaml.CollectionEndEvent) and depth >= 1:
            ends[-1] = max(ends[-1], _behind(event))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
    return ends


def _behind(event: yaml.Event) -> int:
    start, end = event.start_mark, event.end_mark
    assert start is not None
    assert end is not None
    if isinstance(event, yaml.CollectionEndEvent) and (start.line, start.column) == (end.line, end.column):
        # The end of a block collection is where the next thing begins, and no character of its own.
        return 0
    return end.line if end.column == 0 else end.line + 1


def _start(lines: Sequence[str], root: Map, place: int, ends: Sequence[int]) -> int:
    """Return the (0-based) line with which the block of a key begins."""
    key = root.entries[place][0]
    line = key.place.line - 1
    first = ends[place - 1] if place else 0
    above = _comments_above(lines, line, first, key.place.column, blanks=place > 0)
    if place == 0 and (key.text == ORDER[0] or any(_MODE_LINE in one for one in lines[above:line])):
        # What stands above the first of all keys is about the file.
        return line
    return above


def _comments_above(lines: Sequence[str], line: int, first: int, column: int, *, blanks: bool) -> int:
    while line > first and _is_above(lines[line - 1], column, blanks=blanks):
        line -= 1
    return line


def _is_above(line: str, column: int, *, blanks: bool) -> bool:
    """Say whether a line is about what stands below it: a blank one, or a comment that is not indented."""
    text = line.strip()
    if not text:
        return blanks
    return text.startswith("#") and len(line) - len(line.lstrip()) < column


def _foot(lines: Sequence[str], root: Map, end: int) -> int:
    """Return the (0-based) line from which everything is about the file: what stands below the last value."""
    column = root.entries[0][0].place.column
    last = end
    for number in range(end, len(lines)):
        text = lines[number].strip()
        if text and not (text.startswith("#") and len(lines[number]) - len(lines[number].lstrip()) >= column):
            break
        last = number + 1 if text else last
    return last


def _sorted(blocks: Sequence[_Block]) -> list[_Block]:
    """Return the blocks in order; one that nobody knows stays below the one that it stands below."""
    ranks: list[int] = []
    for block in blocks:
        ranks.append(ORDER.index(block.name) if block.name in ORDER else (ranks or [-1])[-1])
    return [block for _, block in sorted(zip(ranks, blocks, strict=True), key=lambda pair: pair[0])]


def _with_blanks_below(blocks: Sequence[_Block]) -> list[_Block]:
    """Return the blocks with no blank line at the top: one that moved there leaves its own to the next."""
    first, second, *others = blocks
    count = next(n for n, line in enumerate(first.lines) if line.strip())
    if not count:
        return list(blocks)
    blanks = () if not second.lines[0].strip() else first.lines[:count]
    return [_Block(first.name, first.lines[count:]), _Block(second.name, (*blanks, *second.lines)), *others]


def _joined(head: Sequence[str], blocks: Sequence[_Block], foot: Sequence[str], line_break: str) -> Iterator[str]:
    lines = [*head, *(line for block in blocks for line in block.lines), *foot]
    # The last line of the file may have no break; one that moved up needs one.
    ended = bool(LINE_BREAK.search(lines[-1])) if foot else all(LINE_BREAK.search(line) for line in lines)
    for number, line in enumerate(lines):
        bare = LINE_BREAK.sub("", line)
        has_break = len(bare) < len(line)
        if number == len(lines) - 1 and not ended:
            yield bare
        else:
            yield line if has_break else line + line_break
