"""The fake provider: plays the scripted answers of a scenario on the simulated network, on whichever wire is asked
for.

The idea: a script of logical answers, a player that gives every frame its instant, and connections that speak
real HTTP. The constraint: a request that the script did not foresee ends the run as the scenario's failure; it
is never answered with something made up, since a fake that always answers hides the loop that asks too often.
"""
