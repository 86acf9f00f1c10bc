"""The reporters: what happened, as people and machines read it.

The idea: a reporter turns judged results into text and computes nothing about a run; whatever it says is
already in the result. The constraint: no secret and no value of the real machine leaves here, whoever wrote
it into the trace. Printing from where things happen was refused: a report must be the same for a replay, a
worker and a stored result.
"""
