"""What can be put under test by name: simkit's own agent, and one file for each framework.

The idea: a subject is a function that takes a ``sim``; a file here adapts something that exists to that
contract. The constraint: nothing here knows the kernel, so a subject runs the same in a world and against a
fake ``sim`` in a test. A base class of subjects was refused: a plain function is already one.
"""
