"""``python -m tests.reactions``: measure what every SDK makes of every fault, and write the page.

The idea: the page is a golden of the SDKs that are installed, rewritten by one command and read in the diff. The
constraint: nothing of it depends on the day or the machine. Writing only what changed was refused: a page that is half
of one version and half of another is about neither.
"""

from __future__ import annotations

import warnings

from simkit.kernel.machine import MACHINE
from tests.reactions.simulated import in_world
from tests.reactions.table import PAGE, head, meetings, section, sections


def main() -> None:
    """Write the page."""
    # google-genai derives a class from one of aiohttp's, which aiohttp advises against.
    warnings.simplefilter("ignore", DeprecationWarning)
    texts = [head()]
    with MACHINE.held():
        for title in sections():
            texts.append(section(title, {m.key: in_world(*m) for m in meetings(title)}))
    PAGE.write_text("\n".join(texts), encoding="utf-8")


if __name__ == "__main__":
    main()
