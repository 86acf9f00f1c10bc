"""Keeps pytest out of the folder of bad files, each of which would be a collection error."""

collect_ignore = ["errors"]
