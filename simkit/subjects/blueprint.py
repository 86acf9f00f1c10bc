"""What a session of simkit's own agent is built from, before it is built.

The idea: the parts of a session as one frozen value, so that a planted fault is a function from blueprint to
blueprint. The constraint it protects: a faulty session differs from the sound one in exactly the parts that
the fault names. Building the sound session and patching it was refused: a patch reaches into names that are
not public.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simkit.agent.clients import Client, ClientOptions
from simkit.agent.decisions import Limits
from simkit.agent.facts import Observe
from simkit.agent.loop import Loop
from simkit.agent.session import Session
from simkit.agent.tools import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """The parts: how the client is made and with what, what a turn may spend, and the loop that plays it."""

    connect: Callable[[ClientOptions], Client]
    options: ClientOptions
    limits: Limits
    loop_class: type[Loop] = Loop

    def session(self, tools: Mapping[str, Tool], observe: Observe) -> Session:
        """Build the session; it owns the client that is made here."""
        return Session(
            self.connect(self.options),
            tools=tools.values(),
            limits=self.limits,
            observe=observe,
            loop_class=self.loop_class,
        )
