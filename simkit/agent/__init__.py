"""A small agent runtime: sessions of bounded turns over the official SDKs, built for providers that fail.

The idea: pieces of a stream are assembled into an answer, a pure decision says what follows from it, and a
thin loop does that; every wire format is one adapter file behind ``clients.Client``. The constraint: this is
production code that happens to live in a test kit, so it imports nothing else of simkit and knows neither
worlds nor scenarios; what stands here is its public face. An agent written for the simulation was refused:
what passes there must be what a user would run.
"""

from simkit.agent.clients import ClientOptions, connect
from simkit.agent.decisions import Limits
from simkit.agent.loop import Turn
from simkit.agent.session import Session
from simkit.agent.tools import FunctionTool, Tool

__all__ = ["ClientOptions", "FunctionTool", "Limits", "Session", "Tool", "Turn", "connect"]
