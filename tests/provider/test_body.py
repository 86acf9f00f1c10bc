from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.model.timeline import Chunking
from simkit.provider.body import Body
from tests.provider.played import events, play, reader, told
from tests.provider.wire import asker, chunks, post

STEPS = "[say: Hello, say: wörld, wait: 1s, say: a, finish: stop]"


def body_of(cut: str, *, gzip: bool = False, steps: str = STEPS, blocking: bool = False) -> list[bytes]:
    kept: list[bytes] = []
    play(
        f"provider:\n  - {{chunks: {cut}, gzip: {gzip}, stream: {steps}}}\n".lower(),
        asker(kept, post(), blocking=blocking),
    )
    return kept


FRAMES = chunks(body_of("frame"))
WHOLE = b"".join(FRAMES)


@pytest.mark.parametrize("blocking", [False, True], ids=["transport", "socket"])
@pytest.mark.parametrize(
    ("cut", "sizes"),
    [
        ("frame", [len(frame) for frame in FRAMES]),
        ("burst", [sum(map(len, FRAMES[:3])), sum(map(len, FRAMES[3:]))]),
        ("byte", [1] * len(WHOLE)),
        ("whole", [len(WHOLE)]),
    ],
)
def test_every_piece_is_a_chunk_and_a_read_of_its_own(cut: str, sizes: list[int], blocking: bool) -> None:
    reads = body_of(cut, blocking=blocking)
    # One read for the head, and what ends the body comes with the last piece.
    assert (list(map(len, chunks(reads))), len(reads), b"".join(chunks(reads))) == (sizes, 1 + len(sizes), WHOLE)


def test_pieces_of_a_size_span_frames_and_the_rest_of_an_instant_is_shorter() -> None:
    burst, rest = sum(map(len, FRAMES[:3])), sum(map(len, FRAMES[3:]))
    reads = body_of("{bytes: 700}")
    sizes = list(map(len, chunks(reads)))
    assert (burst > 700 > rest, sizes, len(reads)) == (True, [700, burst - 700, rest], 4)


@pytest.mark.parametrize("cut", ["frame", "burst", "byte", "whole", "{bytes: 7}"])
def test_a_compressed_body_can_be_read_piece_by_piece_however_it_is_cut(cut: str) -> None:
    inflate = zlib.decompressobj(wbits=31)
    pieces = chunks(body_of(cut, gzip=True))
    plain = [inflate.decompress(piece) for piece in pieces]
    assert (b"".join(plain), inflate.eof) == (WHOLE, True)


def test_each_frame_of_a_compressed_body_is_readable_when_it_comes() -> None:
    inflate = zlib.decompressobj(wbits=31)
    plain = [inflate.decompress(piece) for piece in chunks(body_of("frame", gzip=True))]
    # What ends the compression is a piece of its own.
    assert plain == [*FRAMES, b""]


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("cut", ["frame", "burst", "byte", "{bytes: 3}"])
def test_the_sdk_sees_the_same_answer_at_the_same_instants_however_it_is_cut(cut: str, gzip: bool) -> None:
    text = f"provider:\n  - {{chunks: {cut}, gzip: {str(gzip).lower()}, stream: {STEPS}}}\n"
    pieces = [(0.0, ""), (0.0, "Hello"), (0.0, "wörld"), (1.0, "a"), (1.0, "finish stop"), (1.0, "end")]
    assert told(play(text, reader())) == pieces


def test_a_body_that_is_kept_back_comes_at_its_end_and_is_told_there() -> None:
    result = play(f"provider:\n  - {{chunks: whole, stream: {STEPS}}}\n", reader())
    assert ({at for at, _ in told(result)}, {at for at, *_ in events(result, frame="")}) == ({1.0}, {1.0})


def test_a_body_that_is_kept_back_comes_out_where_the_connection_breaks() -> None:
    text = "provider:\n  - {chunks: whole, stream: [say: a, wait: 1s, disconnect: cut]}\n"
    assert told(play(text, reader())) == [(1.0, ""), (1.0, "a"), (1.0, "APIConnectionError")]


def test_a_whole_answer_is_cut_and_compressed_too() -> None:
    kept: list[bytes] = []
    text = "provider:\n  - {chunks: {bytes: 100}, gzip: true, stream: [say: a, finish: stop]}\n"
    play(text, asker(kept, post(stream=False)))
    head, *pieces = kept
    assert (b"content-encoding: gzip" in head, {len(p) for p in pieces[:-1]}) == (True, {100})
    assert b'"content":"a"' in zlib.decompress(b"".join(pieces), 31)


CHUNKINGS: tuple[Chunking, ...] = ("frame", "burst", "byte", "whole")
CUTS: st.SearchStrategy[Chunking | int] = st.sampled_from(CHUNKINGS) | st.integers(1, 9)


@given(CUTS, st.booleans(), st.lists(st.lists(st.binary(max_size=12))))
def test_no_byte_is_lost_or_moved_by_any_cut(cut: Chunking | int, gzip: bool, instants: list[list[bytes]]) -> None:
    body, out = Body(cut, gzip=gzip), list[bytes]()
    for frames in instants:
        for frame in frames:
            out += body.put(frame)
        out += body.pause()
    out += body.end()
    joined = b"".join(out)
    assert b"" not in out
    assert (zlib.decompress(joined, 31) if gzip else joined) == b"".join(b"".join(frames) for frames in instants)
