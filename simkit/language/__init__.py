"""The language: ``*.sim.yaml`` text becomes scenarios, or every mistake in it becomes a line with a caret.

The idea: one table (``spec``, made of ``shapes``) says what may stand where; ``nodes`` turns YAML into a tree with
places, ``bases`` lays it over the files that it extends, ``rows`` fills in variables and the matrix, ``walker`` holds
the tree against the table, ``defaults`` gives answers and tools what they share, ``rules`` sees to what no table can
say, ``builder`` makes the values of ``model``, and ``reader`` is the door to all of it. The constraint: a bad file
never gives a traceback, and all of its mistakes are told at once. Model classes that validate themselves were refused:
they know neither lines nor columns, and show a union of step kinds as forty errors about one typing
mistake.
"""
