"""HTTP libraries, websockets and MCP, unmodified, as clients and as servers inside a world."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import aiohttp
import aiohttp.web
import httpx
import httpx2
import mcp
import mcp.server
import pytest
import requests
import urllib3
import uvicorn
import websockets
import websockets.sync.client
import websockets.sync.server

from simkit.contracts import HttpRequest
from simkit.kernel.world import World
from simkit.model.duration import NS_PER_S
from tests.kernel.wire import Http, serve_http

HOST = "api.example.com"


# -- clients --------------------------------------------------------------------------------------------------------
def by_http_client(url: str) -> str:
    scheme, _, host, path = url.split("/", 3)
    make = http.client.HTTPSConnection if scheme == "https:" else http.client.HTTPConnection
    connection = make(host)
    connection.request("GET", f"/{path}")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def by_urllib(url: str) -> str:
    with urllib.request.urlopen(url) as response:
        text: str = response.read().decode()
    return text


async def by_aiohttp(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


def by_async(library: Any) -> Callable[[str], Any]:
    async def get(url: str) -> str:
        async with library.AsyncClient() as client:
            text: str = (await client.get(url)).text
        return text

    return get


BLOCKING: dict[str, Callable[[str], str]] = {
    "httpx": lambda url: httpx.get(url).text,
    "httpx2": lambda url: httpx2.get(url).text,
    "requests": lambda url: requests.get(url, timeout=5).text,
    "urllib": by_urllib,
    "http.client": by_http_client,
}
ON_ASYNCIO: dict[str, Callable[[str], Any]] = {
    "httpx async": by_async(httpx),
    "httpx2 async": by_async(httpx2),
    "aiohttp": by_aiohttp,
}


def late(world: World) -> Callable[[Http, HttpRequest], None]:
    """Answer after two seconds."""

    def answer(http: Http, request: HttpRequest) -> None:
        world.call_later_ns(2 * NS_PER_S, lambda: http.say(f"hello {request.path}"))

    return answer


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("client", BLOCKING)
def test_a_blocking_client_is_answered_in_virtual_time(client: str, scheme: str) -> None:
    world = World()
    serve_http(world, HOST, late(world))

    def main() -> tuple[str, float]:
        return BLOCKING[client](f"{scheme}://{HOST}/a"), world.now

    assert world.run(main) == ("hello /a", 2.0)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("client", ON_ASYNCIO)
def test_a_client_of_asyncio_is_answered_in_virtual_time(client: str, scheme: str) -> None:
    world = World()
    serve_http(world, HOST, late(world))

    async def main() -> tuple[list[str], float]:
        urls = (f"{scheme}://{HOST}/{path}" for path in "abc")
        return list(await asyncio.gather(*map(ON_ASYNCIO[client], urls))), world.now

    assert world.run(main) == (["hello /a", "hello /b", "hello /c"], 2.0)


def test_requests_tells_a_connect_timeout_at_its_exact_instant() -> None:
    world = World()
    serve_http(world, HOST)
    host = world.network.declare(HOST)
    host.admit = lambda port, stage: "timeout" if stage == "connect" else None

    def main() -> tuple[str, float]:
        with pytest.raises(requests.ConnectTimeout) as caught:
            requests.get(f"https://{HOST}/", timeout=(7.5, 60))
        return type(caught.value).__name__, world.now

    assert world.run(main) == ("ConnectTimeout", 7.5)


def test_urllib3_waits_between_its_retries_in_virtual_time() -> None:
    world = World()
    asked: list[float] = []

    def answer(http: Http, request: HttpRequest) -> None:
        asked.append(world.now)
        http.endpoint.send(http.connection.whole(503, {"retry-after": "30"}, b""))

    serve_http(world, HOST, answer)

    def main() -> int:
        retry = urllib3.Retry(total=2, status_forcelist=[503], raise_on_status=False)
        with requests.Session() as session:
            session.mount("https://", requests.adapters.HTTPAdapter(max_retries=retry))
            return session.get(f"https://{HOST}/", timeout=5).status_code

    assert (world.run(main), asked) == (503, [0.0, 30.0, 60.0])


# -- servers --------------------------------------------------------------------------------------------------------
class Slow(http.server.BaseHTTPRequestHandler):
    """Takes a second for every answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(1)
        body = f"hello {self.path}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's own name
        pass


def test_the_standard_librarys_server_answers_from_simulated_threads() -> None:
    world = World()

    def main() -> tuple[list[str], float]:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            url = f"http://127.0.0.1:{server.server_port}/"
            texts = [BLOCKING["requests"](url + "a"), BLOCKING["urllib"](url + "b")]
            now = world.now
            server.shutdown()
            serving.join()
        return texts, now

    assert (world.run(main), world.trace.of("orphan")) == ((["hello /a", "hello /b"], 2.0), [])


async def aiohttp_server(handle: Any) -> tuple[aiohttp.web.AppRunner, str]:
    app = aiohttp.web.Application()
    app.router.add_get("/{path}", handle)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 8080)
    await site.start()
    return runner, "http://127.0.0.1:8080"


@pytest.mark.parametrize("client", [*ON_ASYNCIO, *BLOCKING])
def test_an_aiohttp_server_inside_the_world_is_reached_by_every_client(client: str) -> None:
    world = World()

    async def handle(request: aiohttp.web.Request) -> aiohttp.web.Response:
        await asyncio.sleep(3)
        return aiohttp.web.Response(text=f"hello {request.path}")

    async def main() -> tuple[str, float]:
        runner, url = await aiohttp_server(handle)
        if client in BLOCKING:
            text = await asyncio.to_thread(BLOCKING[client], f"{url}/a")
        else:
            text = await ON_ASYNCIO[client](f"{url}/a")
        now = world.now
        await runner.cleanup()
        return text, now

    assert world.run(main) == ("hello /a", 3.0)


def test_aiohttp_speaks_websockets_with_itself_and_beats_in_virtual_time() -> None:
    world = World()

    async def handle(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse(heartbeat=10)
        await socket.prepare(request)
        async for message in socket:
            await asyncio.sleep(25)
            await socket.send_str(message.data.upper())
        return socket

    async def main() -> tuple[object, float]:
        runner, url = await aiohttp_server(handle)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/chat") as socket:
            await socket.send_str("hello")
            answer = (await socket.receive()).data
        now = world.now
        await runner.cleanup()
        return answer, now

    assert world.run(main) == ("HELLO", 25.0)


# -- websockets -----------------------------------------------------------------------------------------------------
async def shout(connection: websockets.ServerConnection) -> None:
    async for message in connection:
        await asyncio.sleep(2)
        await connection.send(str(message).upper())


def test_websockets_speak_on_asyncio() -> None:
    world = World()

    async def main() -> tuple[object, float]:
        async with (
            websockets.serve(shout, "127.0.0.1", 8765),
            websockets.connect("ws://127.0.0.1:8765", proxy=None) as socket,
        ):
            await socket.send("hello")
            return await socket.recv(), world.now

    assert world.run(main) == ("HELLO", 2.0)


def test_websockets_close_a_connection_whose_pings_are_not_answered_at_the_exact_instant() -> None:
    world = World()

    async def deaf(connection: websockets.ServerConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(1000)

    async def main() -> tuple[object, float]:
        async with websockets.serve(deaf, "127.0.0.1", 8765, ping_interval=None):
            socket = await websockets.connect("ws://127.0.0.1:8765", proxy=None, close_timeout=1)
            with pytest.raises(websockets.ConnectionClosedError) as caught:
                await socket.recv()
            return str(caught.value), world.now

    assert world.run(main) == ("sent 1011 (internal error) keepalive ping timeout; no close frame received", 40.0 + 1)


def test_websockets_speak_in_threads() -> None:
    world = World()

    def shout(connection: websockets.sync.server.ServerConnection) -> None:
        for message in connection:
            time.sleep(2)
            connection.send(str(message).upper())

    def main() -> tuple[object, float]:
        with websockets.sync.server.serve(shout, "127.0.0.1", 8765) as server:
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            with websockets.sync.client.connect("ws://127.0.0.1:8765", proxy=None) as socket:
                socket.send("hello")
                answer = socket.recv(timeout=5), world.now
            server.shutdown()
            serving.join()
        return answer

    assert world.run(main) == ("HELLO", 2.0)


# -- MCP ------------------------------------------------------------------------------------------------------------
def mcp_server() -> mcp.server.MCPServer:
    server = mcp.server.MCPServer("weather")

    @server.tool()
    async def forecast(city: str) -> str:
        """Say what the weather will be."""
        await asyncio.sleep(5)
        return f"rain in {city}"

    @server.tool()
    def measure(city: str) -> str:
        """Say what the weather is, blocking."""
        time.sleep(3)
        return f"sun in {city}"

    return server


@pytest.mark.parametrize(("tool", "text", "ends"), [("forecast", "rain in Oslo", 5.0), ("measure", "sun in Oslo", 3.0)])
def test_an_mcp_server_in_memory_answers_its_client(tool: str, text: str, ends: float) -> None:
    world = World()

    async def main() -> tuple[list[str], object, float]:
        async with mcp.Client(mcp_server()) as client:
            names = [found.name for found in (await client.list_tools()).tools]
            answer: Any = await client.call_tool(tool, {"city": "Oslo"})
            return names, answer.content[0].text, world.now

    assert world.run(main) == (["forecast", "measure"], text, ends)


def test_an_mcp_server_behind_uvicorn_answers_over_http() -> None:
    world = World()

    async def main() -> tuple[object, float]:
        app = mcp_server().streamable_http_app()
        server = uvicorn.Server(uvicorn.Config(app, port=8000, loop="asyncio", log_config=None))
        serving = asyncio.create_task(server.serve())
        await asyncio.sleep(1)
        async with mcp.Client("http://127.0.0.1:8000/mcp") as client:
            answer: Any = await client.call_tool("forecast", {"city": "Oslo"})
        now = world.now
        server.should_exit = True
        await serving
        return answer.content[0].text, now

    assert (world.run(main), world.trace.of("orphan")) == (("rain in Oslo", 6.0), [])
