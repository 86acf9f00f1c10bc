"""The verbs of the command line: one file for each, loaded when its verb is called.

The idea: a file here holds one ``click`` command called ``command``, and ``simkit.cli`` names it in its table; what
several say or refuse alike stands in ``terminal`` and ``files``. The constraint: a mistyped option and the help of a
verb load no kernel, no YAML and no loop. One module with all verbs was refused: it had 770 lines when there were six.
"""
