"""What a template is: one situation, told once for simkit's own agent and once for an agent that nobody here knows.

The idea: who speaks and what the provider does is the same for both; the settings, the exact expectations and the
flaws belong to the built-in agent, and a stranger's gets bounds that a sensible one keeps. The constraint: the
parts are text that stands in the file as it stands here, comments included, so a template reads like what it makes.
Values that ``language.writer`` puts on lines were refused: it writes no comments, and those are half of a template.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A situation: its name, its sentence for a list, and the parts of the file, each a run of whole lines.

    ``about`` is prose that is folded where it stands in the file.
    ``settings`` stands below the dialect of the built-in agent. ``world`` is what happens (user, provider, tools), and
    ``own_world`` the same for one's own agent where that differs. ``judged`` and ``own_judged`` say what is right;
    ``catches`` names the flaws of the built-in agent that must make it fail.
    ``in_background`` is for wires whose answers can run on without their client.
    """

    name: str
    says: str
    title: str
    about: str
    world: str
    judged: str
    own_judged: str
    catches: tuple[str, ...]
    settings: str = ""
    own_world: str = ""
    in_background: bool = False
