"""The recording proxy on real sockets: what the unmodified SDK saw through it is what its recording plays."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import openai
import pytest
from click.testing import CliRunner

from simkit import cli
from simkit.errors import UsageError
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import (
    Answer,
    Disconnect,
    Finish,
    Raw,
    Say,
    StatusReply,
    StreamReply,
    UnreachableReply,
    Usage,
    Wait,
)
from simkit.provider.masking import Masking
from simkit.provider.proxy import Proxy, record
from simkit.provider.proxy import Upstream as Behind
from simkit.provider.recorder import Recording
from simkit.provider.vcrfiles import Interaction
from simkit.run import load, run_once
from tests.provider.played import HELLO, client, events, told
from tests.provider.played import read as read_in_world
from tests.provider.upstream import Says, Upstream, compressed, serving

KEY: Final = "sk-secret-0123456789abcdef"


def chunk(delta: Mapping[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test"}
    return b"data: %b\n\n" % json.dumps({**head, "choices": [choice]}, ensure_ascii=False).encode()


ROLE: Final = {"role": "assistant", "content": "", "refusal": None}
HEL: Final = chunk(ROLE) + chunk({"content": "Hel"})
LO: Final = chunk({"content": "lö"})
STOP: Final = chunk({}, "stop") + b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of a recording: what each client saw, what was kept, and the files."""

    saw: list[object]
    kept: list[Interaction]
    lines: list[str]
    folder: Path
    asked: list[bytes]

    @property
    def case(self) -> Scenario:
        (case,) = load(self.folder / "r.sim.yaml")
        return case

    @property
    def answers(self) -> tuple[Answer, ...]:
        return self.case.provider

    @property
    def text(self) -> str:
        return (self.folder / "r.sim.yaml").read_text("utf-8")

    @property
    def cassette(self) -> str:
        return (self.folder / "r.cassette.yaml").read_text("utf-8")

    def steps(self) -> tuple[object, ...]:
        (answer,) = self.answers
        assert isinstance(answer.reply, StreamReply)
        return answer.reply.steps


Talk = Callable[[str], Awaitable[object]]


@dataclass(slots=True)
class Recorder:
    """Records a talk with an upstream in a folder."""

    folder: Path
    fields: Sequence[str] = ()

    def of(
        self, *answers: Says, talk: Talk | None = None, url: str = "", tls: ssl.SSLContext | None = None
    ) -> Recorded:
        return asyncio.run(self._record(answers, talk or ask, url, tls))

    async def _record(self, answers: Sequence[Says], talk: Talk, url: str, tls: ssl.SSLContext | None) -> Recorded:
        async with serving(*answers, tls=tls) as upstream:
            return await self._through_proxy(upstream, talk, url or upstream.url)

    async def _through_proxy(self, upstream: Upstream, talk: Talk, url: str) -> Recorded:
        kept, lines = list[Interaction](), list[str]()
        files = (str(self.folder / "r.sim.yaml"), str(self.folder / "r.cassette.yaml"))

        class Keeping(Recording):
            __slots__ = ()

            def add(self, number: int, one: Interaction) -> Interaction:
                kept.append(Recording.add(self, number, one))
                return kept[-1]

        proxy = Proxy(Behind.parse(url), Keeping(*files, Masking.of(self.fields)), lines.append)
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        recording = asyncio.create_task(record(proxy, "127.0.0.1", 0, address.set_result))
        saw = await talk(await address)
        proxy.done.set()
        await recording
        return Recorded(saw if isinstance(saw, list) else [saw], kept, lines, self.folder, upstream.heard)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


async def ask(address: str, **options: Any) -> list[object]:
    """What the SDK sees of one stream: its pieces, and how it ended."""
    seen: list[object] = []
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0, **options) as sdk:
        try:
            stream = await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True)
            async for piece in stream:
                seen.append(piece.choices[0].finish_reason or piece.choices[0].delta.content)
            seen.append("end")
        except openai.OpenAIError as error:
            seen.append(type(error).__name__)
    return seen


async def played(sim: Any) -> None:
    async with client(sim, max_retries=0, timeout=60) as sdk:
        await read_in_world(sim, sdk)


def pieces_of(values: Sequence[object]) -> list[object]:
    return [str(value).removeprefix("finish ") for value in values]


def arrivals(one: Interaction) -> list[float]:
    """When each frame that is a chunk of the answer was whole, by the recording's own clock, in whole milliseconds."""
    times, body = list[float](), b""
    for piece in one.pieces:
        body += piece.data
        whole = body.count(b"\n\n") - body.count(b"[DONE]\n\n")
        at_ms = round(one.after_ns / 1e6) + round(piece.at_ns / 1e6)
        times += [at_ms / 1000] * (whole - len(times))
    return times


# -- the same again ------------------------------------------------------------------------------------
STREAMS: Final = {
    "whole frames": Says(pieces=(HEL, LO, STOP)),
    "cut inside frames": Says(pieces=(HEL[:-30], HEL[-30:] + LO[:120], LO[120:], STOP)),
    "cut inside a character": Says(
        pieces=(HEL + LO[: LO.index("ö".encode()) + 1], LO[LO.index("ö".encode()) + 1 :], STOP)
    ),
    "reset in mid-stream": Says(pieces=(HEL, LO), end="reset"),
    "reset inside a frame": Says(pieces=(HEL, LO[:50]), end="reset"),
    "cut in mid-stream": Says(pieces=(HEL, LO), end="cut"),
    "ended without a finish": Says(pieces=(HEL, LO)),
    "an error in the stream": Says(pieces=(HEL, b'data: {"error":{"message":"no","type":"server_error"}}\n\n')),
    "an unknown frame": Says(pieces=(HEL, chunk({"content": "x", "audio": {"id": "a"}}), STOP)),
}


@pytest.mark.parametrize("says", STREAMS.values(), ids=STREAMS)
def test_a_recording_plays_the_same_pieces_at_the_same_instants_with_the_same_end(
    recorder: Recorder, says: Says
) -> None:
    recorded = recorder.of(says)
    notes = told(run_once(recorded.case, Plan(), subject=played))
    (one,) = recorded.kept
    assert b"".join(p.data for p in one.pieces) == b"".join(says.pieces)
    assert pieces_of([value for _, value in notes]) == pieces_of(recorded.saw)
    # The role opens the stream with the first piece, as a script plays it; the rest has its own instant.
    assert [at for at, _ in notes][: len(arrivals(one))] == arrivals(one)


def test_pieces_of_whole_frames_become_steps_with_waits_and_travel_by_instants(recorder: Recorder) -> None:
    recorded = recorder.of(STREAMS["whole frames"])
    assert [type(step).__name__ for step in recorded.steps()] == ["Say", "Wait", "Say", "Wait", "Finish"]
    assert [answer.chunks for answer in recorded.answers] == ["burst"]


def test_a_cut_inside_a_frame_becomes_raw_steps_and_a_comment_says_why(recorder: Recorder) -> None:
    recorded = recorder.of(STREAMS["cut inside frames"])
    raw = [step.data for step in recorded.steps() if isinstance(step, Raw)]
    assert raw == list(STREAMS["cut inside frames"].pieces)
    assert recorded.steps()[-1] == Disconnect(how="eof")
    assert "# raw bytes: frames were cut where the pieces of the body began" in recorded.text


def test_what_a_client_no_longer_waited_for_stays_open_and_silent(recorder: Recorder) -> None:
    recorded = recorder.of(Says(pieces=(HEL,), end="silent"), talk=lambda url: ask(url, timeout=0.3))
    result = run_once(recorded.case, Plan(), subject=played)
    assert recorded.saw == ["", "Hel", "APITimeoutError"]
    assert pieces_of([value for _, value in told(result)]) == recorded.saw
    assert events(result, stream_end="how")[0][2] == "client_closed"


def test_headers_that_never_came_never_come(recorder: Recorder) -> None:
    recorded = recorder.of(Says(silent_before_headers=True), talk=lambda url: ask(url, timeout=0.3))
    result = run_once(recorded.case, Plan(), subject=played)
    assert (recorded.saw, told(result)) == (["APITimeoutError"], [(60.0, "APITimeoutError")])


def test_a_compressed_stream_is_recorded_readable_and_played_compressed(recorder: Recorder) -> None:
    packed = Says(
        pieces=(compressed((HEL, LO, STOP)),), headers=("content-type: text/event-stream", "content-encoding: gzip")
    )
    recorded = recorder.of(packed)
    (answer,) = recorded.answers
    assert isinstance(answer.reply, StreamReply)
    assert answer.reply.gzip
    notes = told(run_once(recorded.case, Plan(), subject=played))
    assert pieces_of([value for _, value in notes]) == recorded.saw == ["", "Hel", "lö", "stop", "end"]


def test_an_answer_in_one_piece_and_an_error_status_are_recorded_as_such(recorder: Recorder) -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-test"}
    message = {"role": "assistant", "content": "hello", "refusal": None}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    limit = {"error": {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
    json_ = "content-type: application/json"

    async def talk(url: str) -> list[object]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=1) as sdk:
            said = await sdk.chat.completions.create(model="gpt-test", messages=HELLO)
            return [said.choices[0].message.content]

    headers = (json_, "retry-after: 0", "x-ratelimit-remaining-requests: 0", "set-cookie: a=secret-cookie")
    busy = Says(status="429 Too Many Requests", headers=headers, pieces=(json.dumps(limit).encode(),))
    recorded = recorder.of(busy, Says(pieces=(json.dumps(body).encode(),), headers=(json_,)), talk=talk)
    assert recorded.saw == ["hello"]
    replies = [answer.reply for answer in recorded.answers]
    assert isinstance(replies[1], StreamReply)
    assert (replies[0], [step for step in replies[1].steps if not isinstance(step, Wait)]) == (
        StatusReply(
            status=429,
            error="slow down",
            type="requests",
            retry_after="0",
            headers={"x-ratelimit-remaining-requests": "0"},
        ),
        [Say(text="hello"), Finish(reason="stop"), Usage(input_tokens=3, output_tokens=2)],
    )


# -- what is asked ---------------------------------------------------------------------------------------
def test_the_upstream_is_asked_what_the_client_asked_but_not_to_compress(recorder: Recorder) -> None:
    recorded = recorder.of(STREAMS["whole frames"])
    head = recorded.asked[0].split(b"\r\n\r\n")[0].decode().lower().split("\r\n")
    names = [line.split(":")[0] for line in head[1:]]
    assert head[0] == "post /v1/chat/completions http/1.1"
    assert {"authorization: bearer " + KEY, "accept-encoding: identity", "connection: close"} <= set(head)
    assert (names.count("host"), names.count("content-length"), "transfer-encoding" in names) == (1, 1, False)


def test_requests_side_by_side_are_recorded_in_the_order_in_which_they_came(recorder: Recorder) -> None:
    async def both(url: str) -> list[object]:
        slow = asyncio.create_task(ask(url))
        await asyncio.sleep(0.05)
        return [await ask(url), await slow]

    slow = Says(pieces=(HEL, *(chunk({"content": str(n)}) for n in range(9)), STOP))
    recorded = recorder.of(slow, STREAMS["whole frames"], talk=both)
    counts = [len(answer.reply.steps) for answer in recorded.answers if isinstance(answer.reply, StreamReply)]
    assert (len(counts), counts[0] > counts[1]) == (2, True)


# -- hosts that cannot be reached --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "how", "why"),
    [
        ("http://127.0.0.1:1", "refused", "the connection was refused"),
        ("http://no-such-host.invalid", "unknown_host", "its name is not known"),
    ],
)
def test_an_upstream_that_cannot_be_reached_is_told_to_the_client_and_to_the_scenario(
    recorder: Recorder, url: str, how: str, why: str
) -> None:
    async def talk(address: str) -> list[object]:
        async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0) as sdk:
            with pytest.raises(openai.InternalServerError) as caught:
                await sdk.chat.completions.create(model="gpt-test", messages=HELLO)
            return [caught.value.status_code, caught.value.message]

    recorded = recorder.of(talk=talk, url=url)
    assert [answer.reply for answer in recorded.answers] == [UnreachableReply(how=how)]  # type: ignore[arg-type]
    assert (recorded.saw[0], why in str(recorded.saw[1])) == (502, True)


def test_a_certificate_that_nobody_trusts_is_refused_and_one_that_is_trusted_is_not(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = self_signed(tmp_path)
    refused = recorder.of(STREAMS["whole frames"], tls=server)
    assert (refused.saw, [line.split("  ")[1][:10] for line in refused.lines]) == (
        ["InternalServerError"],
        ["TLS failed"],
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    assert recorder.of(STREAMS["whole frames"], tls=server).saw == ["", "Hel", "lö", "stop", "end"]


def self_signed(folder: Path) -> ssl.SSLContext:
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", "-x509", "-days", "2", *key, *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


# -- secrets ---------------------------------------------------------------------------------------------
def test_keys_and_configured_fields_are_in_no_file_and_no_line(tmp_path: Path) -> None:
    deep = {"a": [{"user_id": "customer-4711"}], "ssn": 123456789}
    args = json.dumps({"password": "hunter2-hunter2", "path": "/x"})

    async def talk(url: str) -> list[object]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as sdk:
            calls: Any = [{"id": "c0", "type": "function", "function": {"name": "f", "arguments": args}}]
            history: Any = [*HELLO, {"role": "assistant", "tool_calls": calls}]
            history.append({"role": "tool", "tool_call_id": "c0", "content": "ok"})
            stream = await sdk.chat.completions.create(
                model="gpt-test",
                messages=history,
                stream=True,
                extra_body={"metadata": deep},
                extra_headers={"x-tenant": "tenant-number-7", "cookie": "session=cookie-value-1"},
                extra_query={"key": "query-key-value", "tenant_key": "tenant-key-value"},
            )
            return [piece.choices[0].delta.content async for piece in stream]

    # One secret is said over several frames, one is cut by the pieces of the body, one is echoed.
    spread = [chunk({"content": text}) for text in ("my key is sk-live-", "aaaabbbb", "cccc and ", KEY, " that")]
    echoed = chunk({"content": "you are customer-4711"})
    says = Says(
        pieces=(HEL, *spread, echoed[:-70], echoed[-70:], STOP),
        headers=("content-type: text/event-stream", "set-cookie: sid=set-cookie-value; Path=/"),
    )
    recorded = Recorder(tmp_path, ["X-Tenant", "user_id", "ssn", "tenant_key"]).of(says, talk=talk)
    everything = recorded.text + recorded.cassette + "\n".join(recorded.lines)
    secrets = (
        *(KEY, "customer-4711", "123456789", "hunter2", "tenant-number-7", "cookie-value-1", "query-key-value"),
        *("tenant-key-value", "set-cookie-value", "aaaabbbb", "sk-live-"),
    )
    assert [secret for secret in secrets if secret in everything] == []
    assert "".join(map(str, recorded.saw)).count(KEY) == 1
    assert "***" in recorded.text


# -- files -------------------------------------------------------------------------------------------------
def test_the_cassette_loads_with_vcrpy_and_holds_what_ended_properly(recorder: Recorder) -> None:
    from vcr.cassette import Cassette

    async def twice(url: str) -> list[object]:
        return [await ask(url), await ask(url)]

    whole = STREAMS["whole frames"]
    recorded = recorder.of(whole, STREAMS["reset in mid-stream"], talk=twice)
    cassette = Cassette.load(path=str(recorded.folder / "r.cassette.yaml"))
    assert [response["body"]["string"] for response in cassette.responses] == [b"".join(whole.pieces)]
    assert [json.loads(request.body)["messages"] for request in cassette.requests] == [HELLO]


def test_the_files_are_there_after_each_request_and_not_at_the_end_alone(recorder: Recorder) -> None:
    async def two(url: str) -> list[object]:
        await ask(url)
        while not (recorder.folder / "r.sim.yaml").exists():
            await asyncio.sleep(0.01)
        return [len(load(recorder.folder / "r.sim.yaml")[0].provider), await ask(url)]

    recorded = recorder.of(STREAMS["whole frames"], STREAMS["cut inside frames"], talk=two)
    assert (recorded.saw[0], len(recorded.answers)) == (1, 2)
    assert sorted(path.name for path in recorded.folder.iterdir()) == ["r.cassette.yaml", "r.sim.yaml"]


def test_other_paths_are_passed_on_kept_in_the_cassette_and_named_in_a_comment(recorder: Recorder) -> None:
    async def models(url: str) -> list[object]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY) as sdk:
            listed = await sdk.models.list()
        return [[model.id for model in listed.data], await ask(url)]

    listing = b'{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"x"}]}'
    answer = Says(pieces=(listing,), headers=("content-type: application/json",))
    recorded = recorder.of(answer, STREAMS["whole frames"], talk=models)
    assert recorded.saw[0] == ["m"]
    assert "# Left out, as it is no completion request: GET /v1/models" in recorded.text
    assert ("/v1/models" in recorded.cassette, len(recorded.answers)) == (True, 1)


# -- the command -------------------------------------------------------------------------------------------
def recording_process(folder: Path, upstream: str, *options: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "simkit.cli", "record", "--upstream", upstream, "-o", "r.sim.yaml", *options]
    # As its own group and with the usual handler, however the tests were started.
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    assert process.stdout is not None
    found = re.search(r"base_url (http://127\.0\.0\.1:\d+)", process.stdout.readline())
    assert found is not None
    return process, found[1]


def test_the_command_writes_on_ctrl_c_also_what_was_still_open_and_exits_130(tmp_path: Path) -> None:
    async def main() -> str:
        async with serving(STREAMS["whole frames"], Says(pieces=(HEL,), end="silent")) as upstream:
            process, address = recording_process(tmp_path, upstream.url)
            assert await ask(address) == ["", "Hel", "lö", "stop", "end"]
            waiting = asyncio.create_task(ask(address))
            while len(upstream.heard) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            process.send_signal(signal.SIGINT)
            output, _ = await asyncio.to_thread(process.communicate, timeout=30)
            await waiting
            return f"{process.returncode}: {output}"

    told_ = asyncio.run(main())
    (case,) = load(tmp_path / "r.sim.yaml")
    assert (told_.split(":")[0], len(case.provider), "Traceback" in told_) == ("130", 2, False), told_
    assert "r.sim.yaml and r.cassette.yaml: 2 requests" in told_


def test_the_command_ends_by_itself_after_as_many_requests_as_it_was_asked_for(tmp_path: Path) -> None:
    async def main() -> tuple[int, list[object]]:
        async with serving(STREAMS["whole frames"]) as upstream:
            process, address = recording_process(tmp_path, f"{upstream.url}/v1", "--requests", "1")
            async with openai.AsyncOpenAI(base_url=address, api_key=KEY) as sdk:
                stream = await sdk.chat.completions.create(model="gpt-test", messages=HELLO, stream=True)
                seen: list[object] = [piece.choices[0].delta.content async for piece in stream]
            await asyncio.to_thread(process.communicate, timeout=30)
            return process.returncode, seen

    assert asyncio.run(main()) == (0, ["", "Hel", "lö", None])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--upstream", "api.openai.com"], "'api.openai.com' is no upstream: expected an address such as"),
        (["--upstream", "https://me:pw@host"], "holds no name and password"),
        (["--upstream", "https://host:x"], "is no upstream"),
        (["--upstream", "https://host", "-o", "a.yaml"], "'a.yaml' is no name of a scenario"),
        (["--upstream", "https://host", "-o", "there.sim.yaml"], "is there already, and nothing is written over it"),
        (["--upstream", "https://host", "-o", "none/a.sim.yaml"], "there is no folder 'none'"),
        (["--upstream", "https://host", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0"),
    ],
)
def test_a_mistake_of_the_caller_is_one_message_and_exit_2(
    options: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.sim.yaml").touch()
    ran = CliRunner().invoke(cli.main, ["record", *options])
    assert (ran.exit_code, text in ran.stderr, "Traceback" in ran.output) == (2, True, False), ran.output


def test_a_request_that_the_proxy_cannot_read_is_refused_and_not_recorded(recorder: Recorder) -> None:
    async def talk(url: str) -> object:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"no http at all\r\n\r\n")
        answer = await reader.readline()
        writer.close()
        return answer.decode().split(" ")[1]

    assert (recorder.of(talk=talk).saw, list(recorder.folder.iterdir())) == (["400"], [])


def test_an_upstream_with_a_path_stands_before_the_path_of_every_request() -> None:
    with pytest.raises(UsageError, match="is no upstream"):
        Behind.parse("ftp://host")
    one = Behind.parse("http://Host:8080/base/")
    assert (one.authority, one.path) == ("host:8080", "/base")
