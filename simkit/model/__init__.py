"""The nouns: durations, timelines, scenarios, plans, traces, verdicts.

The idea: everything that passes between rooms is a frozen value made here, so a result alone is enough to report,
replay and shrink a run. The constraint: this room runs nothing and imports nothing of simkit but ``errors``. Live
objects with methods that act were refused, because a value that can act cannot be compared or stored.
"""
