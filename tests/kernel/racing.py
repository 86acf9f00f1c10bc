"""A program full of races: its trace must be the same in every process and under every hash seed.

It takes orders from sets of tasks (``asyncio.wait``, a task group's cancellation, a set of its own), from threads, and
from chance. Run as a script it prints one line for each event.
"""

from __future__ import annotations

import asyncio
import queue
import random
import sys
import threading
import time
import uuid

from simkit.kernel.world import World
from simkit.model.trace import Trace
from tests.kernel.wire import serve_http


def trace_of(seed: int) -> Trace:
    world = World(seed=seed)
    serve_http(world, "api.example.com")

    def note(**values: object) -> None:
        world.recorder.record("subject", "note", **values)

    async def first_completed() -> None:
        tasks = {asyncio.create_task(asyncio.sleep(1), name=f"wait-{n}") for n in range(8)}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        note(done=[t.get_name() for t in done], all=[t.get_name() for t in tasks])
        note(tasks=[t.get_name() for t in asyncio.all_tasks()])

    async def group_cancels() -> None:
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

    async def threads() -> None:
        box = queue.Queue[str]()

        def worker(name: str) -> None:
            for _ in range(3):
                time.sleep(random.choice((0, 0.1, 0.2)))
                box.put(f"{name} in {threading.current_thread().name}")

        await asyncio.gather(*(asyncio.to_thread(worker, name) for name in "abc"))
        note(box=[box.get() for _ in range(9)])

    async def chance_and_wire() -> None:
        reader, writer = await asyncio.open_connection("api.example.com", 80)
        writer.write(f"GET /{uuid.uuid4()} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        note(answer=(await reader.read(1000)).decode("latin-1"), jitter=random.random())
        writer.close()

    async def main() -> None:
        for part in (first_completed, group_cancels, threads, chance_and_wire):
            await part()
        left = [asyncio.create_task(asyncio.sleep(99), name=f"left-{n}") for n in range(4)]
        note(left=len(left))

    world.run(main)
    return world.trace


if __name__ == "__main__":
    for event in trace_of(int(sys.argv[1])):
        print(event.at_ns, event.actor, event.kind, dict(event.values))
