from __future__ import annotations

from itertools import pairwise

import h11
from hypothesis import given
from hypothesis import strategies as st

from simkit.contracts import HttpRequest
from simkit.dialects.http import HttpConnection

POST = b"POST /v1/chat/completions?a=1&a=2&b= HTTP/1.1\r\nHost: sim\r\nContent-Length: 2\r\n\r\n{}"
GET = b"GET /models HTTP/1.1\r\nHost: sim\r\n\r\n"


def client_reads(*sent: bytes, request: bytes = GET, closed: bool = False) -> list[object]:
    """What a client on h11 makes of the bytes: status, each chunk of body, and how it ended."""
    client = h11.Connection(h11.CLIENT)
    server = h11.Connection(h11.SERVER)
    server.receive_data(request)
    asked = server.next_event()
    assert isinstance(asked, h11.Request)
    client.send(asked)
    client.send(h11.EndOfMessage())
    client.receive_data(b"".join(sent))
    if closed:
        client.receive_data(b"")
    seen: list[object] = []
    while True:
        try:
            event = client.next_event()
        except h11.RemoteProtocolError:
            return [*seen, "broken"]
        match event:
            case h11.Response():
                seen.append(event.status_code)
            case h11.Data():
                seen.append(bytes(event.data))
            case h11.EndOfMessage():
                return [*seen, "end"]
            case _:
                return [*seen, "waiting"]


def answering(request: bytes = GET) -> HttpConnection:
    connection = HttpConnection()
    assert len(connection.feed(request)) == 1
    return connection


def test_a_request_comes_out_whole() -> None:
    request = HttpConnection().feed(POST)[0]
    assert (request.method, request.path, request.query, request.header("host"), request.body) == (
        "POST",
        "/v1/chat/completions",
        (("a", "1"), ("a", "2"), ("b", "")),
        "sim",
        b"{}",
    )


def test_headers_keep_order_and_repetition_and_lose_their_case() -> None:
    raw = b"GET / HTTP/1.1\r\nHost: sim\r\nX-One: a\r\nx-one: b\r\n\r\n"
    assert HttpConnection().feed(raw)[0].headers == (("host", "sim"), ("x-one", "a"), ("x-one", "b"))


def test_the_path_of_an_absolute_target_is_what_follows_the_host() -> None:
    targets = ["http://sim/v1/x?y=1", "http://sim", "/v1/http://x", "/v1?next=http://x"]
    assert [HttpRequest("GET", t, (), b"").path for t in targets] == ["/v1/x", "/", "/v1/http://x", "/v1"]


@given(st.lists(st.integers(0, len(POST)), max_size=6))
def test_a_request_cut_anywhere_comes_out_once(cuts: list[int]) -> None:
    connection, edges = HttpConnection(), [0, *sorted(cuts), len(POST)]
    # No bytes at all mean the end of file, so an empty piece is not fed.
    pieces = [POST[a:b] for a, b in pairwise(edges) if a < b]
    assert [r.body for piece in pieces for r in connection.feed(piece)] == [b"{}"]


def test_a_chunked_request_body_is_put_together() -> None:
    raw = b"POST / HTTP/1.1\r\nHost: sim\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert [r.body for r in HttpConnection().feed(raw)] == [b"abcde"]


def test_a_stream_goes_in_chunks_and_ends_properly() -> None:
    server = answering()
    head = server.head(200, {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_1"})
    assert [head, server.chunk(b"data: x\n\n"), server.chunk(b""), server.end()] == [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"9\r\ndata: x\n\n\r\n",
        b"",
        b"0\r\n\r\n",
    ]


def test_a_stream_that_was_cut_is_broken_for_the_client() -> None:
    server = answering()
    sent = server.head(200, {}) + server.chunk(b"one")
    assert [
        client_reads(sent),
        client_reads(sent, closed=True),
        client_reads(sent, server.end()),
    ] == [[200, b"one", "waiting"], [200, b"one", "broken"], [200, b"one", "end"]]


def test_a_whole_answer_has_its_length() -> None:
    sent = answering().whole(429, {"retry-after": "7"}, b"slow down")
    assert sent == (b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\nslow down")


def test_answers_that_have_no_body_are_sent_without_one() -> None:
    head = GET.replace(b"GET", b"HEAD")
    assert [
        client_reads(answering(head).whole(200, {}, b"four"), request=head),
        client_reads(answering().whole(204, {}, b"four")),
        client_reads(answering().whole(529, {}, b"")),
    ] == [[200, "end"], [204, "end"], [529, "end"]]


def test_the_connection_serves_one_request_after_the_other() -> None:
    server, paths = HttpConnection(), []
    for n in range(3):
        for request in server.feed(GET.replace(b"models", b"%d" % n)):
            paths.append(request.path)
            server.whole(200, {}, b"ok")
    assert (paths, server.must_close) == (["/0", "/1", "/2"], False)


def test_a_pipelined_request_waits_for_the_answer_before_it() -> None:
    server = HttpConnection()
    first = [r.path for r in server.feed(GET + POST)]
    before = server.next_requests()
    server.whole(200, {}, b"ok")
    assert (first, before, [r.path for r in server.next_requests()], server.next_requests()) == (
        ["/models"],
        [],
        ["/v1/chat/completions"],
        [],
    )


def test_a_client_that_waits_before_its_body_is_told_to_go_on() -> None:
    server = HttpConnection()
    head, body = POST[:-2].replace(b"Host: sim", b"Host: sim\r\nExpect: 100-continue"), POST[-2:]
    told = [server.feed(head), server.take_output(), server.take_output()]
    assert (told, [r.body for r in server.feed(body)], server.take_output()) == (
        [[], b"HTTP/1.1 100 Continue\r\n\r\n", b""],
        [b"{}"],
        b"",
    )


def test_connection_close_is_kept_by_both_sides() -> None:
    asked = answering(GET.replace(b"Host", b"Connection: close\r\nHost"))
    told = answering()
    sent = [asked.whole(200, {}, b"ok"), told.whole(200, {"connection": "close"}, b"ok")]
    assert [asked.must_close, told.must_close, *(b"onnection: close" in s for s in sent)] == [True] * 4


def test_what_is_no_http_gets_one_refusal_and_the_connection_ends() -> None:
    garbage = [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: sim\r\nContent-Length: x\r\n\r\n",
    ]
    seen = []
    for raw in garbage:
        server = HttpConnection()
        requests = server.feed(raw) + server.feed(GET)
        seen.append((requests, server.take_output()[:12], server.must_close))
    assert seen == [([], b"HTTP/1.1 400", True)] * len(garbage)


def test_headers_without_end_are_refused() -> None:
    server = HttpConnection()
    server.feed(b"GET / HTTP/1.1\r\nHost: sim\r\n")
    for _ in range(100):
        server.feed(b"x-more: " + b"y" * 1000 + b"\r\n")
    assert (server.take_output()[:12], server.must_close) == (b"HTTP/1.1 431", True)


def test_garbage_behind_a_request_is_refused_after_its_answer() -> None:
    server = answering(GET + b"\x00\r\n\r\n")
    server.whole(200, {}, b"ok")
    assert (server.next_requests(), server.take_output()[:12], server.must_close) == (
        [],
        b"HTTP/1.1 400",
        True,
    )


def test_a_client_that_closes_is_not_told_anything() -> None:
    between, within = HttpConnection(), HttpConnection()
    within.feed(POST[:-1])
    seen = [(s.feed(b""), s.take_output(), s.must_close) for s in (between, within)]
    assert seen == [([], b"", True)] * 2


def test_a_client_that_closed_its_side_still_gets_its_answer() -> None:
    server = answering()
    server.feed(b"")
    assert (client_reads(server.whole(200, {}, b"ok")), server.must_close) == ([200, b"ok", "end"], True)
