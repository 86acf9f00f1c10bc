"""One file of the language: its bytes as text, and its text as the tree of a mapping in a format that is known.

The idea: a scenario and a file that it extends are read by the same steps, so the same slip has the same words in
both. The constraint: never more is read than a scenario may hold, however large the file is, and what cannot be
decoded is told with its line. ``Path.read_text`` was refused: it reads all there is, and its error names a byte offset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from simkit.language.nodes import Map, Scalar, compose, describe
from simkit.language.problems import Problems
from simkit.language.spec import FORMAT

# A hundred times the largest scenario that anyone has written, and two seconds of reading.
FILE_BYTES_MAX: Final = 2**20


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file; of one that is too large, one byte more than is allowed. Raises ``OSError``."""
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX + 1)


def decode(data: bytes, problems: Problems) -> str:
    """Return the bytes of a file as text. Raises ``ScenarioError`` with a place in the file of ``problems``."""
    if len(data) > FILE_BYTES_MAX:
        text = f"the file is larger than {FILE_BYTES_MAX // 2**20} MiB"
        problems.stop(problems.place(0, 0), text, "split it into several scenarios")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        problems = problems.beside(problems.file, data[: error.start].decode("utf-8"))
        place = problems.place(len(problems.lines) - 1, len(problems.lines[-1]))
        problems.stop(place, f"the byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8")


def tree(text: str, problems: Problems) -> Map:
    """Return the tree of a text that is a mapping in this format. Raises ``ScenarioError``."""
    root = compose(text, problems)
    if not isinstance(root, Map):
        remedy = "start with simkit: 1 and a key on each line"
        problems.stop(root.place, f"a scenario is a mapping of keys, got {describe(root)}", remedy)
    version = root.get("simkit")
    if isinstance(version, Scalar) and version.value != FORMAT and isinstance(version.value, int | float | str):
        problems.stop(
            version.place,
            f"format {version.text!r} is not read by this version of simkit",
            f"write simkit: {FORMAT}, or use the version of simkit that the file was written for",
        )
    return root
