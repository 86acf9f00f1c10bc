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
from simkit.agent.registry import Registry
from simkit.agent.session import Session
from simkit.agent.tools import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """The parts: how a client is made and with what, what a turn may spend, and the loop and registry that play it.

    ``fallback`` are the options of a second client, for when the first gives no answer. In a ``dry_run`` the model
    cannot cancel what it has parked.
    """

    connect: Callable[[ClientOptions], Client]
    options: ClientOptions
    limits: Limits
    fallback: ClientOptions | None = None
    dry_run: bool = False
    loop_class: type[Loop] = Loop
    registry_class: type[Registry] = Registry

    def session(self, tools: Mapping[str, Tool], observe: Observe) -> Session:
        """Build the session; it owns the clients that are made here."""
        return Session(
            self.connect(self.options),
            tools=tools.values(),
            limits=self.limits,
            observe=observe,
            fallback=None if self.fallback is None else self.connect(self.fallback),
            dry_run=self.dry_run,
            loop_class=self.loop_class,
            registry_class=self.registry_class,
        )
