"""What becomes of a cassette: a scenario that gives the same answers, with nothing lost and no secret in it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from pathlib import Path
from typing import Any, Final, cast

import anthropic
import openai
import pytest
import vcr
from click.testing import CliRunner, Result

from simkit import cli
from simkit.checks.judge import laws
from simkit.contracts import CompletionRequest, Dialect, HttpRequest
from simkit.extensions import find
from simkit.language.reader import loads
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario, ToolSpec, UserSays
from simkit.model.timeline import (
    Answer,
    CassetteReply,
    Disconnect,
    Finish,
    Raw,
    Say,
    StatusReply,
    Step,
    StreamReply,
)
from simkit.provider.importer import Source, import_cassette
from simkit.provider.serve import serving
from simkit.run import load, run_once
from tests.provider.played import HELLO, reader, told

CHAT: Final = "https://api.openai.com/v1/chat/completions"
FIXTURES: Final = Path(__file__).parents[2] / "fixtures"


# -- cassettes, written as vcrpy writes them --------------------------------------------------------------
def interaction(body: object = "", uri: str = CHAT, **given: Any) -> dict[str, Any]:
    """One interaction of a cassette; the request is a streaming one unless it is given."""
    request = {"model": "gpt-test", "messages": HELLO, "stream": True}
    status = given.get("status", 200)
    kind = "text/event-stream" if status == 200 else "application/json"
    return {
        "request": {
            "method": given.get("method", "POST"),
            "uri": uri,
            "body": json.dumps(given.get("request", request)),
            "headers": {"content-type": ["application/json"], **given.get("sent", {})},
        },
        "response": {
            "status": {"code": status, "message": ""},
            "headers": {"Content-Type": [kind], **given.get("headers", {})},
            "body": body if isinstance(body, dict) else {"string": body},
        },
    }


def frames(*deltas: dict[str, object]) -> str:
    """A chat completion stream of these deltas that stops, without what the API adds beside them."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}
    ends: list[object] = [*([None] * len(deltas)), "stop"]
    choices = [{"index": 0, "delta": d, "finish_reason": end} for d, end in zip((*deltas, {}), ends, strict=True)]
    sent = (f"data: {json.dumps({**head, 'choices': [choice]})}\n\n" for choice in choices)
    return "".join([*sent, "data: [DONE]\n\n"])


HEL_LO: Final = frames({"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"})
# The same in every run: the bytes are part of a test's name.
PACKED: Final = gzip.compress(HEL_LO.encode(), mtime=0)


class Folder:
    """A folder with a cassette, and what comes of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def text(self, *interactions: object, name: str = "c.json", **options: Any) -> str:
        (self.path / name).write_text(json.dumps({"interactions": interactions, "version": 1}), "utf-8")
        source = Source(cassette=str(self.path / name), file=str(self.path / "s.sim.yaml"), **options)
        return import_cassette(source)

    def case(self, *interactions: object, **options: Any) -> Scenario:
        text = self.text(*interactions, **options)
        (only,) = loads(text, str(self.path / "s.sim.yaml"), laws=laws())
        return only

    def steps(self, *interactions: object, **options: Any) -> tuple[Step, ...]:
        (answer,) = self.case(*interactions, **{"pace_ns": 0, **options}).provider
        assert isinstance(answer.reply, StreamReply)
        return answer.reply.steps

    def status(self, *interactions: object) -> StatusReply:
        (answer,) = self.case(*interactions).provider
        assert isinstance(answer.reply, StatusReply)
        return answer.reply


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# -- a recording of vcrpy's own, there and back ----------------------------------------------------------------
CONVERSATION: Final = """
simkit: 1
scenario: Is it the same conversation?
provider:
  - stream:
      - say: Looking, ünï
        pieces: 3
      - call: read_file
        args: {path: a.txt}
        id: call_a
      - call: read_file
        id: call_b
      - args: '{"path": '
      - args: '"b.txt"}'
      - usage: {input: 12, output: 34, cached: 2}
      - finish: tool_calls
  - status: 429
    error: slow down
    retry_after: 7s
  - stream:
      - say: Done.
      - finish: stop
"""


def answers_of(text: str) -> tuple[Answer, ...]:
    (case,) = loads(text, "conversation.sim.yaml", laws=laws())
    return case.provider


def asked_of(dialect: Dialect) -> CompletionRequest:
    """The request that every client below makes, as the dialect understands it."""
    body: dict[str, object] = {"model": "gpt-test", "stream": True, "max_tokens": 9, "messages": HELLO}
    paths = {"anthropic": "/v1/messages", "openai-responses": "/v1/responses", "openai-chat": "/v1/chat/completions"}
    if dialect.name == "openai-chat":
        body["stream_options"] = {"include_usage": True}
    if dialect.name == "openai-responses":
        body = {"model": "gpt-test", "stream": True, "input": HELLO}
    headers = (("authorization", "Bearer x"), ("x-api-key", "x"), ("anthropic-version", "2023-06-01"))
    read = dialect.read(HttpRequest("POST", paths[dialect.name], headers, json.dumps(body).encode()))
    assert isinstance(read, CompletionRequest), read
    return read


def bytes_of(answer: Answer, dialect: Dialect) -> list[object]:
    """What an answer puts on this wire."""
    if isinstance(answer.reply, StatusReply):
        headers, body = dialect.error(answer.reply, number=1)
        return [answer.reply.status, headers.get("retry-after"), body]
    assert isinstance(answer.reply, StreamReply)
    return [f.data for f in dialect.stream(answer.reply, asked_of(dialect), number=1, created=0)]


async def record(case: Scenario, dialect: Dialect, cassette: Path) -> None:
    """Let vcrpy record what the SDK gets of a served scenario, one request for each answer."""
    async with serving(case, speed=0) as server:
        with vcr.VCR().use_cassette(str(cassette), record_mode="all", allow_playback_repeats=False):
            for _ in case.provider:
                await CLIENTS[dialect.name](server.base_url(dialect.name))


async def chat(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-recorded-0123456789", max_retries=0) as sdk:
        options: Any = {"include_usage": True}
        await drained(sdk.chat.completions.create(model="m", messages=HELLO, stream=True, stream_options=options))


async def responses(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-recorded-0123456789", max_retries=0) as sdk:
        await drained(sdk.responses.create(model="m", input=HELLO, stream=True))


async def messages(url: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-recorded-0123456789", max_retries=0) as sdk:
        await drained(sdk.messages.create(model="m", max_tokens=9, messages=HELLO, stream=True))


async def drained(request: Any) -> None:
    try:
        async for _ in await request:
            pass
    except (openai.RateLimitError, anthropic.RateLimitError):
        pass  # one of the answers is to be just this


CLIENTS: Final = {"openai-chat": chat, "openai-responses": responses, "anthropic": messages}


@pytest.mark.parametrize("name", CLIENTS)
def test_what_vcrpy_recorded_of_a_served_scenario_imports_to_the_same_conversation(name: str, folder: Folder) -> None:
    dialect = cast(Dialect, find("dialects", name))
    (case,) = loads(CONVERSATION, "conversation.sim.yaml", laws=laws())
    cassette = folder.path / "recorded.yaml"
    asyncio.run(record(case, dialect, cassette))
    text = import_cassette(Source(cassette=str(cassette), file=str(folder.path / "s.sim.yaml"), pace_ns=0))
    imported = answers_of(text)
    assert [bytes_of(a, dialect) for a in imported] == [bytes_of(a, dialect) for a in case.provider]
    assert ("raw" in text, "sk-recorded" in text, "sk-recorded" in cassette.read_text()) == (False, False, True)


def test_what_was_imported_plays_to_the_sdk_at_its_pace(folder: Folder) -> None:
    case = folder.case(interaction(HEL_LO), pace_ns=250_000_000)
    # The role comes with the first piece but is a frame of its own.
    assert told(run_once(case, Plan(), subject=reader())) == [
        (0.25, ""),
        (0.5, "Hel"),
        (0.75, "lo"),
        (1.0, "finish stop"),
        (1.25, "end"),
    ]


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*.sse")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_recorded_streams_of_every_wire_are_told_in_steps_or_kept_byte_for_byte(path: Path, folder: Folder) -> None:
    uri, request = {
        "openai_chat": (CHAT, {"model": "m", "stream": True, "messages": HELLO}),
        "openai_responses": ("https://api.openai.com/v1/responses", {"model": "m", "stream": True, "input": "hi"}),
        "anthropic_messages": (
            "https://api.anthropic.com/v1/messages",
            {"model": "m", "stream": True, "max_tokens": 9, "messages": HELLO},
        ),
        "gemini": (
            "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse",
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        ),
    }[path.parent.name]
    headers = {"anthropic-version": ["2023-06-01"]}
    steps = folder.steps(interaction(path.read_text("utf-8"), uri, request=request, sent=headers))
    raw = [step.data for step in steps if isinstance(step, Raw)]
    assert b"".join(raw) in (b"", path.read_bytes())


# -- bodies -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (HEL_LO, {}),
        ({"base64_string": base64.b64encode(HEL_LO.encode()).decode()}, {}),
        ({"base64_string": base64.b64encode(PACKED).decode()}, {"Content-Encoding": ["gzip"]}),
        ({"string": base64.b64encode(HEL_LO.encode()).decode(), "encoding": "base64"}, {}),
        # Recorded decompressed, under the header of what was received.
        (HEL_LO, {"content-encoding": ["gzip"]}),
        (HEL_LO.replace("\n", "\r\n"), {}),
    ],
    ids=["text", "base64", "gzip", "encoded", "decompressed", "crlf"],
)
def test_a_stream_is_heard_however_it_was_stored(body: object, headers: dict[str, Any], folder: Folder) -> None:
    steps = folder.steps(interaction(body, headers=headers))
    assert steps == (Say(text="Hel"), Say(text="lo"), Finish(reason="stop"))


def test_a_yaml_cassette_holds_binary_bodies(folder: Folder) -> None:
    packed = base64.b64encode(PACKED).decode()
    (folder.path / "c.yaml").write_text(
        f"""
interactions:
- request: {{body: '{{"model": "m", "stream": true, "messages": [{{"role": "user", "content": "hi"}}]}}',
             headers: {{}}, method: POST, uri: "{CHAT}"}}
  response:
    status: {{code: 200, message: OK}}
    headers: {{content-type: [text/event-stream], content-encoding: [gzip]}}
    body:
      string: !!binary |
        {packed}
version: 1
"""
    )
    text = import_cassette(Source(cassette=str(folder.path / "c.yaml"), file="s.sim.yaml"))
    assert text.splitlines()[6:] == [
        *(
            "provider:",
            "  - stream:",
            "      - pace: 20ms",
            "      - say: Hel",
            "      - say: lo",
            "      - finish: stop",
        )
    ]


def test_what_a_dialect_does_not_know_is_kept_as_raw_frames_and_a_comment_names_it(folder: Folder) -> None:
    body = frames({"content": "a"}, {"content": "b", "annotations": [{"type": "url_citation"}]})
    steps = folder.steps(interaction(body))
    raw = [step.data for step in steps if isinstance(step, Raw)]
    assert (b"".join(raw), len(raw), steps[-1]) == (body.encode(), 4, Disconnect(how="eof"))
    assert "# raw bytes: openai-chat does not know 'delta.annotations'" in folder.text(interaction(body))


def test_a_stream_without_an_end_ends_without_one(folder: Folder) -> None:
    body = HEL_LO.split("data: [DONE]")[0]
    unfinished = body.rsplit("data: ", 1)[0]
    assert [folder.steps(interaction(text))[-2:] for text in (body, unfinished)] == [
        (Finish(reason="stop"), Disconnect(how="eof")),
        (Say(text="lo"), Disconnect(how="eof")),
    ]


def test_a_damaged_stream_is_kept_as_it_came(folder: Folder) -> None:
    body = "data: overloaded\n\n" + HEL_LO
    raw = [step.data for step in folder.steps(interaction(body)) if isinstance(step, Raw)]
    assert b"".join(raw) == body.encode()


# -- statuses -----------------------------------------------------------------------------------------------
def test_an_error_that_is_the_apis_own_keeps_its_message_and_what_clients_act_on(folder: Folder) -> None:
    limit = {"error": {"message": "slow down", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}}
    headers = {"Retry-After": ["7"], "retry-after-ms": ["500"], "x-ratelimit-reset-tokens": ["6m0s"], "Server": ["x"]}
    assert folder.status(interaction(json.dumps(limit), status=429, headers=headers)) == StatusReply(
        status=429,
        error="slow down",
        retry_after="7",
        headers={"retry-after-ms": "500", "x-ratelimit-reset-tokens": "6m0s"},
    )


@pytest.mark.parametrize("body", ["<html>busy</html>", '{"error":"no"}', '{"error":{"message":"m"},"trace":1}', ""])
def test_an_error_body_that_is_not_the_apis_own_is_kept(body: str, folder: Folder) -> None:
    page = {"content-type": "text/html"} if body.startswith("<") else {}
    headers = {"Content-Type": ["text/html"]} if page else {}
    assert folder.status(interaction(body, status=503, headers=headers)) == StatusReply(
        status=503, body=body, headers=page
    )


def test_a_retry_after_that_the_language_would_read_as_a_duration_stays_what_it_was(folder: Folder) -> None:
    reply = folder.status(interaction("", status=429, headers={"retry-after": ["7s"]}))
    assert (reply.retry_after, reply.headers) == (None, {"retry-after": "7s"})


def test_a_body_in_one_piece_is_told_in_steps_or_kept(folder: Folder) -> None:
    request = {"model": "m", "messages": HELLO}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    kind = {"Content-Type": ["application/json"]}
    told_, kept = (
        folder.case(interaction(body, request=request, headers=kind)).provider[0].reply
        for body in (json.dumps(whole), '{"id": "a completion of another kind"}')
    )
    assert isinstance(told_, StreamReply)
    assert told_.steps[:2] == (Say(text="hi"), Finish(reason="stop"))
    assert kept == StatusReply(status=200, body='{"id": "a completion of another kind"}')


# -- the scenario around the answers ------------------------------------------------------------------------
def test_user_tools_and_title_come_from_the_requests(folder: Folder) -> None:
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("read_file", "other")]
    first = {"model": "m", "stream": True, "tools": tools, "messages": [*HELLO, {"role": "user", "content": "Fix it"}]}
    call = {"id": "c1", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
    history = [
        *first["messages"],  # type: ignore[misc]
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "the text"},
    ]
    third = [*history, {"role": "assistant", "content": "done"}, {"role": "user", "content": "Thanks"}]
    asked = [first, {**first, "messages": history}, {**first, "messages": third}]
    case = folder.case(*(interaction(HEL_LO, request=request) for request in asked))
    assert (case.title, case.user, dict(case.tools)) == (
        "Fix it",
        (UserSays(at_ns=0, text="Fix it"), UserSays(at_ns=0, text="Thanks")),
        {"read_file": ToolSpec(name="read_file", returns="the text"), "other": ToolSpec(name="other")},
    )


def test_other_hosts_play_the_cassette_from_the_folder_of_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tapes").mkdir()
    other = interaction("{}", "https://weather.example:8443/now", method="GET")
    left = interaction("{}", "https://api.openai.com/v1/models", method="GET")
    recorded = {"interactions": [interaction(HEL_LO), other, left], "version": 1}
    (tmp_path / "tapes" / "c.json").write_text(json.dumps(recorded))
    ran = simkit("import", "tapes/c.json", "-o", "s.sim.yaml")
    (case,) = load("s.sim.yaml")
    text = (tmp_path / "s.sim.yaml").read_text()
    assert (ran.exit_code, case.hosts) == (0, {"weather.example:8443": CassetteReply(path="tapes/c.json")})
    assert "# Left out, as it is no completion request: GET /v1/models" in text


def test_no_secret_of_a_request_or_a_response_reaches_the_scenario(folder: Folder) -> None:
    key, sent = "key-value-0123456789", {"authorization": ["Bearer bearer-value-1"], "X-Api-Key": ["x-api-key-value"]}
    sent |= {"api-key": ["api-key-value"], "x-goog-api-key": ["goog-value-1"], "Cookie": ["sid=cookie-value-1"]}
    echo = " ".join(("bearer-value-1", "x-api-key-value", "api-key-value", "goog-value-1", "cookie-value-1", key))
    said = interaction(
        frames({"content": f"{echo} set-cookie-value sk-abcdefgh"}, {"content": "bearer-"}, {"content": "value-1"}),
        f"{CHAT}?key={key}",
        sent=sent,
        headers={"Set-Cookie": ["a=set-cookie-value; Path=/"]},
    )
    error = {"error": {"message": f"wrong key: {key}", "type": "x", "param": None, "code": None}}
    failed = interaction(json.dumps(error), f"{CHAT}?key={key}", status=401, sent=sent)
    text = folder.text(said, failed)
    assert [secret for secret in [*echo.split(), "set-cookie-value", "sk-abcdefgh"] if secret in text] == []
    assert text.count("bearer-") == 0
    assert "wrong key: ***" in text


# -- the command ----------------------------------------------------------------------------------------------
def simkit(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def test_without_an_output_the_scenario_is_printed_with_the_pace_and_title_that_were_asked_for(folder: Folder) -> None:
    folder.text(interaction(HEL_LO))
    ran = simkit("import", str(folder.path / "c.json"), "--pace", "0s", "--title", "Is it: so?")
    assert (ran.exit_code, ran.stdout.splitlines()[1:3]) == (0, ["simkit: 1", "scenario: 'Is it: so?'"])
    (case,) = loads(ran.stdout, "s.sim.yaml", laws=laws())
    assert case.provider[0].reply == StreamReply(steps=(Say(text="Hel"), Say(text="lo"), Finish(reason="stop")))


GOOD: Final = json.dumps({"interactions": [interaction(HEL_LO)], "version": 1})
BAD: Final = {
    "no YAML": ("interactions: [", "this is not the YAML of a cassette"),
    "a tag": ("interactions: !!python/object:os.x {}", "c.yaml:1:15: this is not the YAML of a cassette"),
    "no cassette": ("simkit: 1\nscenario: x", "c.yaml:1:1: expected a cassette: a mapping with the key 'interactions'"),
    "an old one": ("- request: {}\n  response: {}", "c.yaml:1:1: expected a cassette"),
    "empty": ("", "c.yaml:1:1: expected a cassette"),
    "no JSON": ('{"interactions": [}', "c.yaml:1:19: this is not JSON"),
    "no mapping": ("interactions:\n- 5", "c.yaml:2:3: interactions[0]: expected a mapping"),
    "no request": ("interactions:\n- response: {}", "c.yaml:2:3: interactions[0].request: expected a mapping"),
    "no method": (GOOD.replace('"method": "POST"', '"method": 5'), "interactions[0].request: expected a 'method' and"),
    "no uri": (GOOD.replace(CHAT, "nowhere"), "interactions[0].request.uri: expected an address"),
    "no port": (GOOD.replace(CHAT, "http://h:x/"), "interactions[0].request.uri: expected an address"),
    "no status": (GOOD.replace('"code": 200', '"code": "ok"'), "interactions[0].response.status: expected a 'code'"),
    "no body": (
        GOOD.replace('"body": {"string"', '"body": {"string": 5, "x"'),
        "response.body.string: expected a body",
    ),
    "no base64": (GOOD.replace('"body": {"string"', '"body": {"base64_string": "?", "x"'), "expected text in base64"),
    "no headers": (
        GOOD.replace('"headers": {"Content-Type"', '"headers": [1], "x": {"y"'),
        "expected a mapping from names",
    ),
    "no date": ("interactions: 2026-99-99", "this cannot be read as YAML"),
    "brotli": (
        GOOD.replace('"Content-Type": [', '"Content-Encoding": ["br"], "Content-Type": [').replace("data: ", "\\udcff"),
        "interactions[0] holds a body in 'br', expected gzip, deflate or none",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_file_that_is_no_cassette_is_told_with_its_place_and_exit_2(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(text)
    ran = simkit("import", "c.yaml")
    assert (ran.exit_code, message in ran.stderr, "Traceback" in ran.stderr) == (2, True, False), ran.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yaml"], "the cassette 'none.yaml' cannot be read: No such file or directory"),
        (["."], "'.' is a directory, expected a cassette"),
        (["c.json", "-o", "c.yaml"], "'c.yaml' is no name of a scenario: expected one that ends with .sim.yaml"),
        (["c.json", "-o", "s.sim.yaml"], "'s.sim.yaml' is there already, and nothing is written over it"),
        (["c.json", "-o", "none/s.sim.yaml"], "there is no folder 'none'"),
        (["c.json", "--pace", "20"], "--pace: '20' is not a duration, expected a number and a unit"),
        (["c.json", "--pace", "forever"], "--pace: 'forever' never ends"),
    ],
)
def test_a_mistake_of_the_caller_is_one_message_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text(GOOD)
    (tmp_path / "s.sim.yaml").touch()
    ran = simkit("import", *arguments)
    assert (ran.exit_code, message in ran.stderr, "Traceback" in ran.stderr) == (2, True, False), ran.stderr
