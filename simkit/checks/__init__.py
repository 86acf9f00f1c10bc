"""The laws: what must hold of every run, one file per subject of judgement.

The idea: a law is a pure function of scenario and trace that yields sentences about what is wrong; ``judge``
asks all of them and comes to a verdict. The constraint: a law reads nothing but the trace's own table of
events, so it judges a stranger's agent exactly as it judges ours, and a law that cannot look says so and
never passes. Assertions inside the agent or the network were refused: what is judged would then depend on who
is judged.
"""
