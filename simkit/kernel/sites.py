"""Where the subject stands: the line of its own code that is running just now, for events that have to name it.

The idea: a blocked loop and a busy wait happen inside the kernel, and the line that is to blame lies some frames
further out. The constraint: only code that the loop called counts - the frames around the loop belong to whoever
started it - and a line of the standard library or of an installed package is named only where there is no other.
Recording the whole stack was refused: it differs from one version of a library to the next, and traces are compared.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Final

from simkit.kernel.survivors import place

_STDLIB: Final = os.path.dirname(os.__file__) + os.sep
_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
# The agent is production code that happens to live in the package.
_AGENT: Final = os.path.join(_PACKAGE, "agent", "")
_INSTALLED: Final = f"{os.sep}site-packages{os.sep}"


def subjects_line() -> str:
    """Return ``file:line`` of the subject's innermost line, or no text where none of its code is running."""
    sites = [(frame.f_code.co_filename, frame.f_lineno) for frame in _frames() if _is_outside(frame)]
    own = (site for site in sites if _INSTALLED not in site[0])
    return place(next(own, sites[0] if sites else None))


def _frames() -> Iterator[FrameType]:
    """Yield the frames of this thread, the innermost first, up to the loop's own round."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "_run_once":
        yield frame
        frame = frame.f_back


def _is_outside(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    if file.startswith(_PACKAGE):
        return file.startswith(_AGENT)
    # What has no file, such as importlib's own, says nothing to anybody.
    return not file.startswith("<") and (not file.startswith(_STDLIB) or _INSTALLED in file)
