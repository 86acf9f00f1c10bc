"""Scenarios for those who have none yet: templates, and the file that is drafted from one.

The idea: a template is a whole scenario that runs as it stands, so the first thing that a newcomer sees is a pass, and
what they change is a line and not a blank page. The constraint: a draft holds only what follows from the template
itself; what somebody else's agent must answer stands in it as a comment, since nobody here can know it. A wizard that
asks for every key was refused: it would teach the wizard.
"""
