"""What each SDK makes of each fault: cases, the clients that meet them, and the table of what they saw.

The idea: one list of scripts is played to every official client, in a simulated world and on real sockets, and what
the client saw of each is one line of ``fixtures/reactions.md``. The constraint: the clients are unmodified and say
only what their users see - pieces, calls, finish, exception, attempts - so a line that differs between world and
sockets is a lie of the simulation. A table written by hand was refused: it is about the versions of its day.
"""
