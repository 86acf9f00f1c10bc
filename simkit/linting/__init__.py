"""What can be said of a scenario before anybody relies on it: warnings, and the mending of what is mechanical.

The idea: the language refuses what has no meaning, and this room doubts what has one that its author can hardly want:
an answer that no request can get, a law with nothing to judge, a case that no faulty agent would fail. The
constraint: a doubt is told only where it is sure, or where a run has shown it, because a linter that is wrong once is
switched off for good. Putting these rules into the language was refused: a scenario that is being written would
not run until it is finished.
"""
