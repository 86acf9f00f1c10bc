"""The text of a line of code that a trace names, for reports that are printed where the code lies.

The idea: a trace names lines without the folders of the machine, so here they are looked for where imports look. The
constraint: it is a help and no fact, so a file that is elsewhere by now, or was changed until the line is gone, gives
no text and no error. Writing the text into the trace was refused: two machines with the same run would differ in it.
"""

from __future__ import annotations

import linecache
import os
import sys


def line_of_code(place: str) -> str:
    """Return the line that ``file:line`` names, or no text where there is none."""
    file, _, number = place.rpartition(":")
    if not number.isdecimal() or os.path.isabs(file):
        return ""
    paths = (os.path.join(folder, file) for folder in (os.getcwd(), *sys.path))
    found = next((path for path in paths if os.path.isfile(path)), "")
    return linecache.getline(found, int(number)) if found else ""
