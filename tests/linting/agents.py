"""Subjects without an SDK: what they do wrong is a setting, as with simkit's own agent."""

from __future__ import annotations

from typing import Final

from simkit.contracts import Setting, Sim, Subject

_SPIN: Final = 8_000


async def _shy(sim: Sim) -> None:
    """Greet whoever speaks; with a flaw, say something else, say it twice, raise, or look at the clock for ages."""
    flaw = str(sim.settings.get("flaw", ""))
    async for _ in sim.user:
        if flaw == "spins":
            await _spin()
        if flaw == "raises":
            raise RuntimeError("out of words")
        sim.said("bye" if flaw in ("rude", "spins") else "hello")


async def _spin() -> None:
    # As an agent without the machine below it: importing asyncio is what every agent does.
    import asyncio

    for _ in range(_SPIN):
        await asyncio.sleep(0.001)


async def free(sim: Sim) -> None:
    """Do as the one above, without a table of settings."""
    await _shy(sim)


async def uses_a_tool(sim: Sim) -> None:
    """Run a tool that no answer calls, as a workflow does."""
    async for _ in sim.user:
        sim.said(str(await sim.tools["look_up"]()))


FLAWS: Final = ("harmless", "rude", "spins", "raises")
SHY: Final = Subject(
    name="shy",
    start=_shy,
    settings={
        "flaw": Setting(kind="choice", default="", says="what it does wrong", choices=("", *FLAWS)),
        "patience": Setting(kind="duration", default="1s", says="how long it waits"),
    },
)
