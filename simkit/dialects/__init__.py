"""Dialects: the wire formats of providers, bytes to values and back.

The idea: one answer is written once, in logical steps, and each file here knows how one provider puts it on
the wire; ``http``, ``sse``, ``jsontext`` and ``turn`` are what they share. The constraint: nothing here
waits, reads a clock or knows who is listening, so a dialect is tested with bytes alone and a cut, a stall or
a reset is somebody else's move. A server framework with a route for each API was refused: it decides itself
when and how its bytes leave.
"""
