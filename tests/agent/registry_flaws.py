"""The registry's planted faults, by the invariant that each one breaks.

The idea: the faults stand in the one table of ``simkit.subjects.flawed``, and what each puts in place of the sound
parts is taken from the blueprint that it makes. The constraint: a fault that is proved here is the one that scenarios
are run under. A second set of overrides for the tests was refused: the two would drift.
"""

from __future__ import annotations

from simkit.agent.clients import ClientOptions
from simkit.agent.decisions import Limits
from simkit.subjects.blueprint import Blueprint
from simkit.subjects.flawed import FLAWS as ALL
from simkit.subjects.flawed import Plantable
from tests.agent.parking import Parts
from tests.agent.scripted import ScriptedClient


def parts_of(fault: Plantable) -> Parts:
    """What a session under this fault is made of."""
    options = ClientOptions(base_url="", api_key="", model="")
    blueprint = fault.plant(Blueprint(connect=lambda _: ScriptedClient(), options=options, limits=Limits()))
    return Parts(registry_class=blueprint.registry_class, loop_class=blueprint.loop_class)


FLAWS: dict[int, Parts] = {fault.row: parts_of(fault) for fault in ALL.values() if fault.row is not None}
