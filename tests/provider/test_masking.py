"""What goes out of a recording, what stays, and that the pieces stay the pieces."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from simkit.contracts import HttpRequest
from simkit.model.timeline import Args, Call, Say, Step
from simkit.provider.masking import Masking
from simkit.provider.vcrfiles import Interaction, Piece

URL: Final = "https://api.openai.com/v1/chat/completions"


def one(*pieces: bytes, url: str = URL, body: bytes = b"", sent: Any = (), came: Any = ()) -> Interaction:
    target = "/" + url.split("/", 3)[3]
    request = HttpRequest("POST", target, sent, body)
    return Interaction(url=url, request=request, status=200, headers=came, pieces=tuple(Piece(0, p) for p in pieces))


def body_of(text: str, *fields: str) -> str:
    return Masking.of(fields).clean(one(body=text.encode())).request.body.decode()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{"user_id": "me", "x": 1}', '{"user_id": "***", "x": 1}'),
        ('{"a":[{"User-Id":4711}]}', '{"a":[{"User-Id":"***"}]}'),
        ('{"user_id": {"first": "a", "last": ["b"]}, "x": 1}', '{"user_id": "***", "x": 1}'),
        ('{"user_id": "a \\" b", "x": "user_id"}', '{"user_id": "***", "x": "user_id"}'),
        ('{"user_id": null, "x": true}', '{"user_id": null, "x": true}'),
        # JSON inside a text, and inside that once more.
        (json.dumps({"args": '{"user_id": "me", "x": 1}'}), json.dumps({"args": '{"user_id": "***", "x": 1}'})),
        (
            json.dumps({"args": json.dumps({"in": '{"user_id": "me"}'})}),
            json.dumps({"args": json.dumps({"in": '{"user_id": "***"}'})}),
        ),
        # What is cut is masked to its end.
        ('{"user_id": "m', '{"user_id": "***'),
        # The schema of a parameter of that name holds nobody's.
        ('{"user_id": {"type": "string"}}', '{"user_id": {"type": "string"}}'),
        ('{"password": "x", "max_tokens": 5}', '{"password": "***", "max_tokens": 5}'),
        # Pieces of text that a model counts.
        ('[{"token": "Hello", "logprob": -1}]', '[{"token": "Hello", "logprob": -1}]'),
    ],
)
def test_json_is_masked_by_its_keys_at_any_depth(text: str, masked: str) -> None:
    assert body_of(text, "user-id") == masked


def test_a_name_of_any_letters_is_found_in_requests_and_answers() -> None:
    text = '{"contraseña": "qué"}'
    clean = Masking.of(["contraseña"]).clean(one(text.encode(), body=text.encode()))
    assert (clean.body.decode(), clean.request.body.decode()) == ('{"contraseña": "***"}',) * 2


def test_headers_queries_and_addresses_are_masked_by_their_names() -> None:
    url = "https://me:pw@h.example/v1?key=k1&alt=sse&tenant=t1&flag"
    sent = (("authorization", "Bearer none"), ("x-api-key", ""), ("x-tenant", "t"), ("accept", "*/*"))
    clean = Masking.of(["tenant", "X-Tenant"]).clean(one(url=url, sent=sent, came=(("set-cookie", "a=b"),)))
    assert (clean.url, clean.request.target, clean.request.headers, clean.headers) == (
        "https://h.example/v1?key=***&alt=sse&tenant=***&flag",
        "/v1?key=***&alt=sse&tenant=***&flag",
        (("authorization", "***"), ("x-api-key", ""), ("x-tenant", "***"), ("accept", "*/*")),
        (("set-cookie", "***"),),
    )


def test_a_secret_is_masked_wherever_else_it_stands_and_a_short_one_only_under_its_name() -> None:
    sent = (("authorization", "Bearer long-secret-1"), ("x-api-key", "none"))
    clean = Masking().clean(one(b"you sent long-secret-1, and none", sent=sent))
    assert clean.body == b"you sent ***, and none"


def test_a_secret_across_pieces_leaves_them_apart_and_what_follows_in_its_own_piece() -> None:
    sent = (("authorization", "Bearer long-secret-1"),)
    clean = Masking().clean(one(b"a long-", b"secret", b"-1 b", b" c", sent=sent))
    assert [piece.data for piece in clean.pieces] == [b"a ***", b"", b" b", b" c"]


def test_a_key_of_a_known_maker_is_masked_also_where_a_mask_stood_before() -> None:
    clean = Masking().clean(one("ünï *** sk-abcdefgh *** and sk-ijklmnop".encode()))
    assert clean.body.decode() == "ünï *** *** *** and ***"


def test_what_holds_no_secret_stays_as_it_is() -> None:
    plain = one("any tëxt".encode(), b"\xff\xfe", body=b"\xff{}", sent=(("accept", "*/*"),))
    assert Masking.of(["user_id"]).clean(plain) == plain


def test_a_secret_that_is_said_in_pieces_is_found_and_the_pieces_stay_as_many() -> None:
    steps: tuple[Step, ...] = (
        Say(text="see sk-ab"),
        Say(text="cdefgh, "),
        Say(text="ok"),
        Call(name="f"),
        Args(text='{"pass'),
        Call(name="g"),
        Args(text='word": "tell no', index=0),
        Args(text='{"x": 1}'),
        Args(text='body"}', index=0),
    )
    assert Masking().unspoken(steps, one()) == (
        Say(text="see ***"),
        Say(text=", "),
        Say(text="ok"),
        Call(name="f"),
        Args(text='{"pass'),
        Call(name="g"),
        Args(text='word": "***', index=0),
        Args(text='{"x": 1}'),
        Args(text='"}', index=0),
    )
