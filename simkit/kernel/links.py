"""Links: what the way to a host does to everything that goes over it, and when.

The idea: a fault of a link is an event of the agenda like any other from outside, so a plan may let it come just before
or just behind what it meets; from then on the link itself knows until when it holds bytes back or lets nobody in. The
constraint: no byte is lost and none overtakes another, since TCP hides both from whoever reads; what the wire can do to
a program is to be late, to break, and to be out of reach. Dropping packets was refused: a program sees only the delay.

Every fault is in the trace when it begins, and at the end of the run those that struck nothing: a scenario whose faults
meet nobody tests nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from simkit.kernel.network import LOOPBACK_NAMES, Trouble, host_key
from simkit.kernel.network import Link as Wire
from simkit.model.scenario import Link, LinkDown, LinkFault, LinkHeld, LinkReset

if TYPE_CHECKING:
    from simkit.kernel.network import Endpoint
    from simkit.kernel.world import World

# The link to every host that has none of its own; never to this machine.
EVERY: Final = "*"


def lay(world: World, links: Mapping[str, Link]) -> None:
    """Lay the links to the hosts that the network has by now, and arm what goes wrong on them."""
    wires = {host_key(name): _armed(world, name, link) for name, link in links.items()}
    network = world.network
    for key, host in network.hosts.items():
        host.link = wires.get(key) or wires.get(EVERY) or host.link
    for name in LOOPBACK_NAMES:
        if name in wires:
            network.loopback.link = wires[name]


def _armed(world: World, name: str, link: Link) -> Wire:
    wire = Wire(latency_ns=link.latency_ns)
    for fault in link.faults:
        armed = _Fault(world, name, wire, fault)
        world.call_at_ns(fault.at_ns, armed.strike, label=armed.label)
        world.network.census.append(armed.tell_unused)
    return wire


class _Fault:
    """One fault of a link, from when it is armed to the end of the run."""

    __slots__ = ("_came", "_fault", "_name", "_trouble", "_wire", "_world", "label")

    def __init__(self, world: World, name: str, wire: Wire, fault: LinkFault) -> None:
        self._world = world
        self._name = name
        self._wire = wire
        self._fault = fault
        self._came = False
        self._trouble = Trouble()
        self.label = f"the link to {name}: {_word(fault)}"

    def strike(self) -> None:
        """Let it happen."""
        self._came = True
        network, now_ns = self._world.network, self._world.clock.now_ns
        clients = network.clients_over(self._wire)
        match self._fault:
            case LinkReset():
                self._trouble.struck = bool(clients)
                for host in dict.fromkeys(client.host.name for client in clients) or (self._name,):
                    self._record(host, [client for client in clients if client.host.name == host])
                network.break_off(clients)
            case LinkHeld(for_ns=for_ns):
                self._record(self._name, clients, ns=for_ns)
                self._trouble.until_ns = now_ns + for_ns
                network.hold(self._wire, self._trouble)
            case LinkDown(for_ns=for_ns, how=how):
                self._record(self._name, [], ns=for_ns, how=how)
                self._trouble.until_ns, self._trouble.how = now_ns + for_ns, how
                self._wire.down = self._trouble

    def _record(self, host: str, clients: list[Endpoint], *, ns: int | None = None, how: str | None = None) -> None:
        values = {"fault": _word(self._fault), "ns": ns, "how": how, "connections": len(clients), "line": self._line}
        self._world.recorder.record("network", "link.fault", host=host, **values)

    def tell_unused(self) -> None:
        """The run is over: say of a fault that it struck nothing, or that its instant never came."""
        if not self._trouble.struck:
            values = {"fault": _word(self._fault), "came": self._came, "line": self._line}
            self._world.recorder.record("network", "link.unused", host=self._name, **values)

    @property
    def _line(self) -> int | None:
        return self._fault.place.line if self._fault.place else None


def _word(fault: LinkFault) -> str:
    """Return the word of the language for a fault."""
    match fault:
        case LinkReset():
            return "reset"
        case LinkHeld():
            return "hold"
        case LinkDown():
            return "connection"
