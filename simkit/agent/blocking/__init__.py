"""The agent for blocking programs: the same loop, with the SDKs' sync clients, and with threads instead of tasks.

The idea: nothing is decided here. ``threads`` is a second driver for the coroutines of ``simkit.agent``, in ``reader``
a thread reads what a sync SDK streams, and ``session`` is the door; each wire is a page that asks a sync SDK and leaves
the reading of its answers to the asynchronous twin. The constraint it protects: what holds for one twin holds for the
other. An event loop in a thread of its own was refused: it would be the asynchronous agent behind a queue, with its
clients and tools, and none of what goes wrong with blocking ones would ever be met.
"""
