"""A recording on disk: a scenario and a cassette that grow with each request.

The idea: both files are written anew, whole, whenever something has been added, so what is there can be used at any
time. The constraint: what is added is masked before it is kept, and a crash leaves the files of the request before. A
journal that is turned into files at the end was refused: who loses the end has to know how to read the journal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simkit.provider.hearing import masked
from simkit.provider.importer import Source, scenario_text
from simkit.provider.masking import Masking
from simkit.provider.vcrfiles import Interaction, write_atomically, write_cassette


@dataclass(slots=True)
class Recording:
    """What was recorded so far, in the order in which the requests came, and the two files that it goes to."""

    file: str
    cassette: str
    masking: Masking
    _seen: dict[int, Interaction] = field(default_factory=dict)
    _is_written: bool = True

    def add(self, number: int, one: Interaction) -> Interaction:
        """Keep an interaction, the one of the request with this number, and return it as it is kept: masked."""
        self._seen[number] = masked(one, self.masking)
        self._is_written = False
        return self._seen[number]

    def save(self) -> None:
        """Write both files, each whole or not at all, if there is anything new. Raises ``OSError``."""
        if self._is_written:
            return
        self._is_written = True
        seen = [self._seen[number] for number in sorted(self._seen)]
        write_atomically(self.cassette, write_cassette(seen))
        write_atomically(self.file, scenario_text(seen, Source(cassette=self.cassette, file=self.file)))

    def __len__(self) -> int:
        return len(self._seen)


def cassette_beside(file: str, suffix: str) -> str:
    """Return the path of the cassette that goes with a scenario whose name ends with ``suffix``."""
    return f"{file.removesuffix(suffix)}.cassette.yaml"
