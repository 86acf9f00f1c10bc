"""The program of the determinism exam: everything that gives one order here and another one there.

The idea: each part takes an order or a number from something that production leaves to chance (sets of tasks, a
group's cancellation, an SDK's retry jitter, uuid, threads), and writes down identities and bytes. The constraint:
nothing is written that a world does not promise, so two runs of one plan that differ anywhere are a fault of simkit.
Run as a script it prints one line for each event.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import openai

from simkit.contracts import HttpRequest
from simkit.kernel.world import World
from simkit.model.trace import Trace
from tests.kernel.wire import Http, serve_http

Note = Callable[..., None]
BUSY_ANSWERS = 3


class Listening(Http):
    """A server's connection that writes down every byte it gets."""

    note: Note

    def received(self, data: bytes) -> None:
        self.note(bytes=data.decode("latin-1"))
        super().received(data)


def serve_busy(world: World, note: Note) -> None:
    """A provider that has an error for the first requests, and an answer for the next."""
    answers = iter([500] * BUSY_ANSWERS + [200] * 100)

    def answer(http: Http, request: HttpRequest) -> None:
        status = next(answers)
        body = b'{"id": "1", "object": "chat.completion", "choices": []}' if status == 200 else b"{}"
        http.endpoint.send(http.connection.whole(status, {"content-type": "application/json"}, body))

    def accept(endpoint: Any) -> Http:
        connection = Listening(endpoint, answer)
        connection.note = note
        return connection

    world.network.declare("api.openai.com").serve(accept)


async def waits_for_the_first(note: Note) -> None:
    tasks = {asyncio.create_task(asyncio.sleep(1), name=f"wait-{n}") for n in range(8)}
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    note(done=[t.get_name() for t in done], all=[t.get_name() for t in tasks])
    note(tasks=[t.get_name() for t in asyncio.all_tasks()])


async def cancels_a_group(note: Note) -> None:
    async def child(name: int) -> None:
        try:
            await asyncio.sleep(9)
        finally:
            note(cancelled=name)

    async def fails() -> None:
        await asyncio.sleep(0.5)
        raise ValueError

    try:
        async with asyncio.TaskGroup() as group:
            for name in range(8):
                group.create_task(child(name))
            group.create_task(fails())
    except* ValueError:
        note(group="failed")


async def keeps_futures_in_sets(note: Note) -> None:
    loop = asyncio.get_running_loop()
    futures = {loop.create_future(): n for n in range(8)}
    note(set=[futures[f] for f in set(futures)], dict=list(futures.values()), left=[futures[f] for f in {*futures}])
    for future in futures:
        future.cancel()


async def retries(note: Note) -> None:
    async with openai.AsyncOpenAI(api_key="none", max_retries=BUSY_ANSWERS) as client:
        started = time.monotonic()
        await client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "hello"}])
        note(took=time.monotonic() - started)


async def takes_chances(note: Note) -> None:
    note(uuids=[str(uuid.uuid1()), str(uuid.uuid4())], token=secrets.token_hex(), jitter=random.random())
    note(own=random.Random().random(), system=random.SystemRandom().random(), hidden=secrets.randbelow(10**9))


async def races_threads(note: Note) -> None:
    lock, order = threading.Lock(), list[str]()

    def work(name: str) -> None:
        for _ in range(3):
            time.sleep(random.choice((0, 0.1, 0.2)))
            with lock:
                order.append(f"{name} in {threading.current_thread().name}")

    await asyncio.gather(*(asyncio.to_thread(work, name) for name in "abcd"))
    note(order=order)


async def leaves_tasks_behind(note: Note) -> None:
    left = [asyncio.create_task(asyncio.sleep(99), name=f"left-{n}") for n in range(4)]
    note(left=len(left))


PARTS: tuple[Callable[[Note], Awaitable[None]], ...] = (
    waits_for_the_first,
    cancels_a_group,
    keeps_futures_in_sets,
    retries,
    takes_chances,
    races_threads,
    leaves_tasks_behind,
)


def sit(**keywords: Any) -> tuple[Trace, World]:
    """Run the program in a world made with these keywords."""
    world = World(**keywords)

    def note(**values: object) -> None:
        world.recorder.record("subject", "note", **values)

    serve_http(world, "api.example.com")
    serve_busy(world, note)

    async def main() -> None:
        for part in PARTS:
            await part(note)

    world.run(main)
    return world.trace, world


def told(trace: Trace) -> str:
    """A trace as text, one event a line."""
    return "".join(f"{e.at_ns} {e.actor} {e.kind} {dict(e.values)}\n" for e in trace)


if __name__ == "__main__":
    print(told(sit(seed=int(sys.argv[1]), strategy=sys.argv[2])[0]), end="")
