"""One project for every kind of failure that a report has to tell: agents without an SDK, and a scenario for each.

The idea: each kind is made by a run and not by hand, so what a golden text shows is what a user meets, and the commands
in it can be carried out. The constraint: the agents speak plain HTTP through the standard library, so a run costs
milliseconds. Scenario files beside the goldens were refused: pytest would collect them, and they fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AGENTS: Final = '''\
import asyncio
import http.client
import json
import threading
import time
from urllib.parse import urlsplit


def ask(sim, text="Hello?", stream=False):
    """Send one request and return the raw answer."""
    url = urlsplit(sim.base_url("openai-chat"))
    connection = http.client.HTTPConnection(url.hostname, url.port)
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}
    headers = {"content-type": "application/json", "authorization": "Bearer t"}
    connection.request("POST", url.path + "/chat/completions", json.dumps(body), headers)
    data = connection.getresponse().read()
    connection.close()
    return data


def says(data):
    return json.loads(data)["choices"][0]["message"]["content"]


def once(sim):
    for text in sim.user:
        return says(ask(sim, text))


def careless(sim):
    """Takes whatever came of a stream for the answer."""
    ask(sim, stream=True)
    return "It is about time."


def wordy(sim):
    """Says the wrong thing, and asks once too often."""
    ask(sim), ask(sim)
    return "I do not know."


def stubborn(sim):
    while b"choices" not in (data := ask(sim)):
        time.sleep(20)
    return says(data)


async def forgetful(sim):
    asyncio.create_task(watch(), name="watcher")
    return "done"


async def watch():
    await asyncio.sleep(3600)


async def waiting(sim):
    """Two tasks, each of which waits for the other."""
    first, second = asyncio.Event(), asyncio.Event()
    await asyncio.sleep(42.1)
    one = asyncio.create_task(passes(first, second), name="reader")
    await asyncio.gather(one, passes(second, first))


async def passes(mine, other):
    await other.wait()
    mine.set()


async def spinning(sim):
    while True:
        await asyncio.sleep(0)


def random_order(sim):
    for word in {"alpha", "beta", "gamma", "delta", "epsilon", "zeta"}:
        sim.note("step", word=word)
    return "done"


def greedy(sim):
    return price(json.loads(ask(sim)))


def price(answer):
    return answer["choices"][0]["price"]


async def racing(sim):
    """Says which of two tools came back first."""
    ended = []
    await asyncio.gather(runs(sim, "first", ended), runs(sim, "second", ended))
    return " before ".join(ended)


async def runs(sim, name, ended):
    await sim.tools[name]()
    ended.append(name)


def curious(sim):
    http.client.HTTPConnection("example.org").request("GET", "/")
'''

_USER: Final = "user: [{says: Tell me the topic}]\n"
_WHOLE: Final = "provider: [{stream: [{say: It is about time.}, {finish: stop}]}]\n"
_TOOLS: Final = "provider: []\ntools: {first: {takes: 1s}, second: {takes: 1s}}\n"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of failure: who fails, in what, and with which options of the command."""

    agent: str
    title: str
    keys: str
    options: tuple[str, ...] = ()

    @property
    def scenario(self) -> str:
        """The text of its file."""
        return f"simkit: 1\nscenario: {self.title}\nsubject: agents:{self.agent}\n{_USER}{self.keys}"


KINDS: Final = {
    "broken_law": Kind(
        "careless",
        "An answer that broke off is no answer",
        "provider:\n  - stream:\n      - say: It is about\n      - disconnect: eof\n",
    ),
    "expectations": Kind(
        "wordy",
        "Is the question answered?",
        "provider: [{times: 2, stream: [{say: It is about time.}, {finish: stop}]}]\n"
        "expect:\n  requests: 1\n  last_message: {contains: about time}\n  tool_calls: {look: {at_least: 1}}\n"
        "  ends_within: 5s\ntools: {look: {takes: 1s}}\n",
    ),
    "too_many_requests": Kind(
        "stubborn",
        "How often does it try again?",
        "provider:\n  - {times: 6, status: 500}\n  - stream: [{say: It is about time.}, {finish: stop}]\n"
        "always:\n  - bounded_requests: 3\n  - {off: no_repeated_request, because: retries are counted}\n",
    ),
    "stall": Kind(
        "careless",
        "Is a silent stream given up?",
        "provider:\n  - stream:\n      - say: It is\n      - stall: 181s\n      - say: about time.\n"
        "      - finish: stop\n"
        "always:\n  - bounded_silence: 90s\n",
    ),
    "orphan": Kind("forgetful", "Is anything left over?", "provider: []\n"),
    "deadlock": Kind("waiting", "Does it come to its end?", "provider: []\n"),
    "livelock": Kind(
        "spinning",
        "Does it wait?",
        "provider: []\nlimits: {steps: 30000}\nalways: [{off: no_busy_polling, because: told by its end}]\n",
    ),
    "nondeterminism": Kind("random_order", "Is its order its own?", "provider: []\n", ("--verify",)),
    "unmatched": Kind(
        "once",
        "Is the question foreseen?",
        "provider:\n  - when: {contains: weather}\n    stream: [{say: Rain.}, {finish: stop}]\n",
    ),
    "undeclared_host": Kind("curious", "Does it keep to its hosts?", "provider: []\n"),
    "raised": Kind("greedy", "What does an answer cost?", _WHOLE),
    "link_fault": Kind(
        "once",
        "Does it survive a broken link?",
        "provider: [{after: 2s, stream: [{say: It is about time.}, {finish: stop}]}]\n"
        "network:\n  api.openai.com:\n    faults: [{at: 1s, reset: true}]\n",
    ),
    "struck": Kind("careless", "Does it survive a cut?", _WHOLE, ("--plan", "seed=0,eof@answer1.frame1")),
    "deviations": Kind(
        "racing",
        "Which tool comes first?",
        _TOOLS + "expect: {last_message: first before second}\n",
        ("--plan", "seed=0,tie@0:1"),
    ),
    "xfail_passed": Kind("once", "Is it still broken?", _WHOLE + "xfail: the answer was cut\n"),
}
