"""How a streamed body is cut into pieces, and compressed: each piece is one HTTP chunk and one read of the client.

The idea: a body is put in frame by frame and taken out piece by piece. The constraint: the same bytes come out
whatever the cut, in the same order and, unless the body is kept to its end, at the same instant; a compressed body is
flushed wherever it is cut, so that every piece can be read when it comes. Cutting frames by themselves was refused:
a piece that spans the end of one frame and the beginning of the next is what breaks decoders.

============  ============================================================================
chunks        a piece is
============  ============================================================================
``frame``     what one frame put in
``burst``     all that one instant put in
``byte``      one byte
a number      so many bytes; what is left of an instant is a shorter piece
``whole``     the body, at its end or where the connection breaks
============  ============================================================================
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from simkit.model.timeline import Chunking

# The form of zlib's that is gzip, with the largest window.
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class Body:
    """One streamed body on its way out."""

    __slots__ = ("_compress", "_kept", "_passes", "_size", "_unflushed", "keeps", "keeps_to_the_end")

    def __init__(self, chunks: Chunking | int, *, gzip: bool = False) -> None:
        self._size = piece_size(chunks)
        # What is put in may stay here until the instant, or the body, is over.
        self.keeps = chunks in ("burst", "whole")
        self.keeps_to_the_end = chunks == "whole"
        self._compress = zlib.compressobj(wbits=_GZIP_WINDOW) if gzip else None
        # What is put in is the piece, and nothing is ever kept: the usual way, which long streams go.
        self._passes = not (self.keeps or self._size or gzip)
        self._kept = bytearray()
        self._unflushed = False

    def put(self, data: bytes) -> Iterable[bytes]:
        """Take the bytes of a frame, and return the pieces that are whole by them."""
        if self._passes:
            return (data,) if data else ()
        return self._put(data)

    def _put(self, data: bytes) -> Iterator[bytes]:
        self._kept += data if self._compress is None else self._compress.compress(data)
        self._unflushed = True
        if self.keeps:
            return
        self._flush()
        yield from self._pieces(rest=not self._size)

    def pause(self) -> Iterator[bytes]:
        """Yield what must be out before time passes."""
        if not self.keeps_to_the_end:
            self._flush()
            yield from self._pieces(rest=True)

    def break_off(self) -> Iterator[bytes]:
        """Yield what is left where the body breaks off."""
        self._flush()
        yield from self._pieces(rest=True)

    def end(self) -> Iterator[bytes]:
        """Yield what is left where the body ends properly."""
        if self._compress is not None:
            self._kept += self._compress.flush(zlib.Z_FINISH)
        yield from self._pieces(rest=True)

    def _flush(self) -> None:
        # To flush before anything was put in would make a piece of its own that carries nothing.
        if self._compress is not None and self._unflushed:
            self._kept += self._compress.flush(zlib.Z_SYNC_FLUSH)
        self._unflushed = False

    def _pieces(self, *, rest: bool) -> Iterator[bytes]:
        size = self._size or len(self._kept)
        while self._kept and (rest or len(self._kept) >= size):
            piece = bytes(self._kept[:size])
            del self._kept[:size]
            yield piece


def piece_size(chunks: Chunking | int) -> int:
    """Return how many bytes a piece has at most; 0 for no such bound."""
    return chunks if isinstance(chunks, int) else int(chunks == "byte")


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """Yield the data in pieces of this size; in one where it is 0."""
    for start in range(0, len(data), size or len(data) or 1):
        yield data[start : start + (size or len(data))]


def compress(data: bytes) -> bytes:
    """Return the data as one gzip member, without a date."""
    squeeze = zlib.compressobj(wbits=_GZIP_WINDOW)
    return squeeze.compress(data) + squeeze.flush()
