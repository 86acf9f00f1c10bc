"""The machine: one clock, one agenda, one baton, one network, and the real code that runs on them.

The idea: agent code runs unmodified, because everything below it (event loop, threads, sockets, TLS, clocks,
chance) is replaced while a world runs, and given back afterwards. The constraint: this room knows no LLM and no
YAML, so it can be judged against code that nobody here wrote. Mocking one HTTP library was refused: SDKs change
libraries, and a mock above the socket never raises the timeouts that are under test.
"""
