"""A scenario on a port: whom a request reaches, what happens when the script is used up, and the command."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from simkit.errors import UsageError
from simkit.provider.serve import Manner, Mode, Server, served, serving, serving_in_thread
from simkit.provider.tempo import MAX
from tests.provider.played import HELLO, scenario

ANSWER = "stream: [say: a, finish: stop]"
ONE = f"provider:\n  - {ANSWER}\n"
ANY = "provider:\n  - {times: any, stream: [say: a, finish: stop]}\n"
CHAT = {"model": "gpt-test", "messages": HELLO}
KEYS = {"authorization": "Bearer none", "x-api-key": "none", "x-goog-api-key": "none"}
Client = Callable[[Server, httpx2.AsyncClient], Awaitable[object]]


def serve(text: str, client: Client, mode: Mode = "stay") -> Server:
    """Serve the scenario of this text to a client, and return the server as it was left."""

    async def main() -> Server:
        async with (
            served(scenario(text), Manner(speed=MAX, mode=mode)) as server,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.address[1]}", headers=KEYS) as http,
        ):
            await asyncio.wait_for(client(server, http), 20)
        return server

    return asyncio.run(main())


def got(
    text: str, *requests: tuple[str, str, dict[str, str]], mode: Mode = "stay"
) -> tuple[list[tuple[int, str]], Server]:
    """What one client with one connection gets for these requests (method, path, headers), and the server."""
    seen = list[tuple[int, str]]()

    async def client(server: Server, http: httpx2.AsyncClient) -> None:
        for method, path, headers in requests:
            answer = await http.request(method, path, headers=headers, json=CHAT if method == "POST" else None)
            seen.append((answer.status_code, answer.text if answer.status_code == 200 else ""))

    server = serve(text, client, mode)
    return seen, server


def hosts_of(server: Server) -> list[object]:
    return [e.get("host") for e in server.events.of("request", "other.request", "job.request")]


# -- whom a request reaches --
def test_every_dialect_has_its_base_url_on_the_one_port() -> None:
    async def main() -> list[str]:
        async with serving(scenario(ONE)) as server:
            names = ("openai-chat", "openai-responses", "anthropic", "gemini")
            return [server.base_url(name).replace(str(server.address[1]), "PORT") for name in names]

    assert asyncio.run(main()) == [f"http://127.0.0.1:PORT{path}" for path in ("/v1", "/v1", "", "")]


def test_a_request_to_the_port_itself_is_for_the_provider_of_its_dialect() -> None:
    paths = ["/v1/chat/completions", "/v1/messages", "/v1beta/models/m:generateContent", "/v1/responses", "/none"]
    _, server = got(ANY, *(("POST", path, {}) for path in paths), ("GET", "/v1/responses/resp_x", {}))
    openai_host, others = "api.openai.com", ["api.anthropic.com", "generativelanguage.googleapis.com"]
    assert hosts_of(server) == [openai_host, *others, openai_host, openai_host, openai_host]


BY_HOST = """
provider:
  - {when: {host: backup.test}, times: any, body: backup, status: 503}
  - {when: {host: api.openai.com}, times: any, body: first, status: 502}
hosts:
  docs.test: {status: 200, body: hello}
"""


def test_a_host_is_reached_by_its_name_also_on_one_connection() -> None:
    chat = "/v1/chat/completions"
    seen, server = got(
        BY_HOST,
        ("POST", chat, {"host": "backup.test"}),
        ("GET", "/a", {"host": "docs.test"}),
        ("POST", chat, {"host": "BACKUP.test:8080"}),
        ("POST", chat, {"host": "backup.test.localhost:1"}),
        ("POST", chat, {"host": "api.openai.com"}),
        ("POST", chat, {"host": "nobody.test"}),
        ("GET", "/b", {"host": "docs.test:99999999"}),
    )
    assert (seen, server.ended) == (
        [(503, ""), (200, "hello"), (503, ""), (503, ""), (502, ""), (502, ""), (404, "")],
        None,
    )


def test_a_client_that_takes_the_port_for_its_proxy_reaches_the_host_of_its_url() -> None:
    seen = list[str]()

    async def client(server: Server, http: httpx2.AsyncClient) -> None:
        async with httpx2.AsyncClient(proxy=str(http.base_url)) as through:
            seen.append((await through.get("http://docs.test/a")).text)

    server = serve(BY_HOST, client)
    assert (seen, [e.get("port") for e in server.events.of("connection.open")]) == (["hello"], [80])


def test_a_host_that_cannot_be_unknown_on_a_port_is_refused_at_the_start() -> None:
    texts = [
        "provider:\n  - {connection: unknown_host}\n",
        "provider: []\nhosts: {none.test: {connection: unknown_host}}\n",
    ]
    told = list[str]()
    for text in texts:
        with pytest.raises(UsageError) as error:
            got(text)
        told.append(str(error.value).partition(" cannot")[0])
    assert told == ["`connection: unknown_host` (line 4)", "`connection: unknown_host` (none.test)"]


# -- when the script is used up --
def test_a_request_too_many_is_500_and_is_remembered_and_the_sdk_does_not_try_again() -> None:
    seen = list[str]()

    async def client(server: Server, http: httpx2.AsyncClient) -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url("openai-chat"), api_key="none") as sdk:
            for _ in range(2):
                try:
                    await sdk.chat.completions.create(model="gpt-test", messages=HELLO)
                except openai.InternalServerError as error:
                    seen.append(str(error))

    server = serve(ONE, client)
    assert server.ended is not None
    assert (seen, server.ended.reason, len(server.events.of("request"))) == (
        [f"Error code: 500 - {server.ended.text}"],
        "exhausted",
        2,
    )


def test_secrets_are_in_nothing_that_is_told() -> None:
    seen = list[bytes]()

    async def client(server: Server, http: httpx2.AsyncClient) -> None:
        asked = {"model": "gpt-test", "messages": [{"role": "user", "content": "my key is sk-abcdefghijkl"}]}
        answer = await http.post("/v1/chat/completions", json=asked)
        seen.append(answer.content)

    server = serve("provider: []\n", client)
    told = [str(seen), str(server.events), str(server.ended)]
    assert ["sk-abcdefghijkl" in text for text in told] == [False] * 3
    assert all("my key is ***" in text for text in told)


def test_in_a_loop_the_next_request_finds_the_script_as_new() -> None:
    text = "provider:\n  - {status: 503}\n  - stream: [say: a, finish: stop]\n"
    seen, server = got(text, *[("POST", "/v1/chat/completions", {})] * 5, mode="loop")
    assert ([status for status, _ in seen], server.ended) == ([503, 200, 503, 200, 503], None)


def test_in_a_loop_a_job_is_known_to_the_client_that_made_it() -> None:
    seen = list[object]()

    async def client(server: Server, http: httpx2.AsyncClient) -> None:
        first = await http.post("/v1/responses", json={"model": "m", "input": "one", "background": True})
        async with httpx2.AsyncClient(base_url=http.base_url, headers=KEYS) as other:
            await other.post("/v1/responses", json={"model": "m", "input": "two", "background": True})
            url = f"/v1/responses/{first.json()['id']}"
            for shown in (await http.post(f"{url}/cancel"), await other.get(url)):
                seen.append((shown.status_code, shown.json()["status"]))

    serve("provider:\n  - background: {queued: forever}\n", client, "loop")
    assert seen == [(200, "cancelled"), (200, "queued")]


def test_once_the_server_is_done_when_the_last_answer_is_out() -> None:
    seen = list[bool]()

    async def client(server: Server, http: httpx2.AsyncClient) -> None:
        async with http.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}):
            seen.append(server.done.is_set())
            await http.post("/v1/chat/completions", json=CHAT)
            seen.append(server.done.is_set())
        await server.done.wait()

    server = serve(f"provider:\n  - stream: [say: a, stall: forever]\n  - {ANSWER}\n", client, "once")
    assert (seen, server.unused()) == ([False, False], 0)


def test_once_the_server_waits_until_somebody_was_told_how_a_job_ended() -> None:
    seen = list[object]()

    async def client(server: Server, http: httpx2.AsyncClient) -> None:
        job = (await http.post("/v1/responses", json={"model": "m", "input": "hello", "background": True})).json()
        while server.events.of("job.state")[-1].get("state") != "completed":
            await asyncio.sleep(0.01)
        seen.append(server.done.is_set())
        seen.append((await http.get(f"/v1/responses/{job['id']}")).json()["status"])
        await server.done.wait()

    serve("provider:\n  - background: {in_progress: 9s, stream: [say: a]}\n", client, "once")
    assert seen == [False, "completed"]


def test_what_was_never_asked_for_is_told_at_the_end() -> None:
    async def client(server: Server, http: httpx2.AsyncClient) -> None:
        await http.post("/v1/chat/completions", json=CHAT)

    server = serve(f"provider:\n  - {ANSWER}\n  - {{times: 2, status: 500}}\n", client)
    assert [(e.get("answer"), e.get("left")) for e in server.events.of("answer.unused")] == [(1, 2)]


# -- faces --
def test_a_client_that_blocks_is_served_by_a_thread() -> None:
    with (
        serving_in_thread(scenario(ONE), speed=MAX) as server,
        openai.OpenAI(base_url=server.base_url("openai-chat"), api_key="none") as sdk,
    ):
        answer: Any = sdk.chat.completions.create(model="gpt-test", messages=HELLO)
    assert (answer.choices[0].message.content, len(server.events.of("request")), server.ended) == ("a", 1, None)


def test_a_port_that_is_taken_is_a_mistake_of_the_caller_also_in_a_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}: address already in use"),
            serving_in_thread(scenario(ONE), port=port),
        ):
            pass


# -- the command --
@contextmanager
def command(path: Path, *options: str, **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """Run the command, and end it whatever happens."""
    arguments = [sys.executable, "-m", "simkit.cli", "serve", str(path), "--port", "0", *options]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    with subprocess.Popen(arguments, text=True, cwd=path.parent, **streams) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def one(tmp_path: Path) -> Path:
    path = tmp_path / "one.sim.yaml"
    path.write_text(f"simkit: 1\nscenario: one\nsubject: nowhere:agent\n{ONE}")
    return path


def addresses(process: subprocess.Popen[str]) -> dict[str, str]:
    """The base URLs that the command prints first."""
    assert process.stdout is not None
    pairs = [process.stdout.readline().split() for _ in range(4)]
    return {name: url for name, url in pairs}  # noqa: C416  # each pair is a list, which dict() does not take for one


def ask(url: str) -> int:
    return httpx2.post(
        f"{url}/chat/completions", json=CHAT, headers={"authorization": "Bearer sk-abcdefghijkl"}
    ).status_code


def without_instants(text: str) -> list[str]:
    return [line.partition("s  ")[2] for line in text.splitlines()]


def test_the_command_prints_addresses_then_what_happens_and_ends_well_by_ctrl_c(one: Path) -> None:
    with command(one) as process:
        urls = addresses(process)
        ask(urls["openai-chat"])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (list(urls), without_instants(out), err, process.returncode) == (
        ["openai-chat", "openai-responses", "anthropic", "gemini"],
        ["#1 POST /v1/chat/completions  gpt-test whole", "#1 200  line 5", "#1 complete"],
        "",
        0,
    )


def test_the_command_tells_what_was_not_foreseen_and_exits_with_1(one: Path) -> None:
    with command(one, "--quiet") as process:
        url = addresses(process)["openai-chat"]
        statuses = [ask(url), ask(url)]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (statuses, out, err.partition(", but")[0], process.returncode) == (
        [200, 500],
        "",
        "simkit: not foreseen: request 2 came",
        1,
    )


@pytest.mark.parametrize(("asks", "code"), [(1, 0), (0, 1)])
def test_once_the_command_ends_with_0_if_everything_was_played(one: Path, asks: int, code: int) -> None:
    with command(one, "--once", "--speed", "max") as process:
        url = addresses(process)["openai-chat"]
        for _ in range(asks):
            ask(url)
        if not asks:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == code


@pytest.mark.parametrize(
    ("options", "text", "complaint"),
    [
        ((), "provider: 3\n", "one.sim.yaml:3:11: expected"),
        ((), "provider:\n  - {connection: unknown_host}\n", "simkit: `connection: unknown_host` (line 4) cannot be"),
        (("--once", "--loop"), ONE, "simkit: --once and --loop exclude each other"),
        (("--speed", "fast"), ONE, "simkit: --speed: 'fast' is no speed"),
        (("--speed", "nan"), ONE, "simkit: --speed: 'nan' is no speed"),
        (("--host", "198.51.100.1"), ONE, "simkit: cannot listen on 198.51.100.1:0: "),
        ((), "matrix: {a: [1, 2]}\n" + ONE, "means 2 cases, expected one - name a row: "),
    ],
)
def test_a_mistake_of_the_caller_is_a_sentence_and_exit_2(
    tmp_path: Path, options: tuple[str, ...], text: str, complaint: str
) -> None:
    path = tmp_path / "one.sim.yaml"
    path.write_text(f"simkit: 1\nscenario: one\n{text}")
    with command(path, *options) as process:
        out, err = process.communicate(timeout=20)
    assert (out, complaint in err, "Traceback" in err, process.returncode) == ("", True, False, 2)


def test_an_address_that_others_can_reach_is_told(one: Path) -> None:
    with command(one, "--host", "0.0.0.0") as process:
        url = addresses(process)["openai-chat"]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    told = "simkit: 0.0.0.0 can be reached from elsewhere, without TLS or a password\n"
    assert (url.startswith("http://127.0.0.1:"), err) == (True, told)


def test_the_command_ends_when_nobody_reads_its_output_any_more(one: Path) -> None:
    with command(one) as process:
        url = addresses(process)["openai-chat"]
        assert process.stdout is not None
        process.stdout.close()
        status = ask(url)
        code = process.wait(timeout=20)
    assert (status, code) == (200, 141)


def test_failures_are_red_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "one.sim.yaml"
    path.write_text("simkit: 1\nscenario: one\nprovider:\n  - {status: 503}\n")
    mine, theirs = pty.openpty()
    with command(path, "--once", stdout=theirs, env={**os.environ, "TERM": "xterm"}):
        os.close(theirs)
        with os.fdopen(mine, "rb", buffering=0) as terminal:
            text = b""
            while text.count(b"\n") < 4:
                text += terminal.read(4096)
            ask(text.split()[1].decode())
            while b"503" not in text:
                text += terminal.read(4096)
    assert (b"\x1b[31m" in text, b"POST /v1/chat/completions  gpt-test whole\r\n" in text) == (True, True)
