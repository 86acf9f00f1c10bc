"""A draft: a template, a wire and a subject, put together as the text of a scenario file.

The idea: what was chosen is checked here, whether it came from a question or an option, and the text follows from it
alone. The constraint: what is written is read back by ``simkit run`` as it stands, whatever a title holds. Asking the
subject itself was refused: it may not be written yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simkit.authoring.template import Template
from simkit.contracts import JobDialect, Subject
from simkit.errors import UsageError
from simkit.extensions import find, names, nearest
from simkit.language.spec import FORMAT
from simkit.language.yamltext import as_text, mapping_lines
from simkit.subjects.agent import AGENT, SETTINGS

_MARKED: Final = "What is marked with <- is there to be changed."
_MUST_FAIL: Final = "With any of these faults of the agent it must fail: otherwise it would test nothing."
# Where the comments of the templates begin.
_COMMENTS_AT: Final = 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be written; ``drafted`` makes one that fits together."""

    template: Template
    dialect: str
    subject: str
    title: str

    @property
    def own(self) -> bool:
        """Whether somebody else's agent is under test, of which nobody here knows what it answers."""
        return self.subject != AGENT.name

    def text(self, schema: str) -> str:
        """Return the file, whose first line says where an editor finds the schema."""
        head = [f"# yaml-language-server: $schema={schema}", f"# {_MARKED}"]
        keys = mapping_lines({"simkit": FORMAT, "scenario": self.title})
        about = ["about: >-", *(f"  {line}" for line in self.template.about.splitlines())]
        return as_text([*head, *keys, *about, *self._under_test()]) + self._world() + self._judged()

    def _under_test(self) -> list[str]:
        (line,) = mapping_lines({"subject": self.subject})
        if ":" in self.subject:
            return [f'{line:<{_COMMENTS_AT - 1}} # its provider is at sim.base_url("{self.dialect}")']
        if not self._has_the_settings():
            return [line]
        return [line, "settings:", f"  dialect: {self.dialect}", *self.template.settings.splitlines()]

    def _has_the_settings(self) -> bool:
        """Say whether the subject is set as the built-in agent is, such as its blocking twin."""
        subject = find("subjects", self.subject)
        return isinstance(subject, Subject) and set(SETTINGS) <= set(subject.settings or ())

    def _world(self) -> str:
        return (self.own and self.template.own_world) or self.template.world

    def _judged(self) -> str:
        if self.own:
            return self.template.own_judged
        flaws = ", ".join(self.template.catches)
        return f"{self.template.judged}# {_MUST_FAIL}\ncatches: [{flaws}]\n"


def drafted(template: Template, *, dialect: str = "", subject: str = "", title: str = "") -> Draft:
    """Return a draft; what is left empty is the usual thing. Raises ``UsageError`` for what does not fit together."""
    subject = checked_subject(subject or AGENT.name)
    dialect = checked_dialect(template, subject, dialect or dialects(template, subject)[0])
    return Draft(template=template, dialect=dialect, subject=subject, title=checked_title(title) or template.title)


def dialects(template: Template, subject: str = "") -> list[str]:
    """Return the wires on which the subject, or any, can play the template; the usual one comes first."""
    spoken = list(SETTINGS["dialect"].choices) if subject == AGENT.name else names("dialects")
    return [name for name in spoken if not template.in_background or isinstance(find("dialects", name), JobDialect)]


def checked_dialect(template: Template, subject: str, name: str) -> str:
    """Return the name of a wire. Raises ``UsageError`` for one on which the subject, or none, can play the template."""
    known = dialects(template, subject)
    if name in known:
        return name
    if name not in names("dialects"):
        raise UsageError(f"no dialect is called {name!r}{nearest(name, known)}")
    if name not in dialects(template):
        raise UsageError(f"{name!r} has no answers in the background, expected one of: {', '.join(known)}")
    raise UsageError(f"subject {subject!r} does not speak {name!r}, expected one of: {', '.join(known)}")


def checked_subject(name: str) -> str:
    """Return the name of a subject. Raises ``UsageError`` for one that no scenario could name."""
    module, colon, attribute = name.partition(":")
    if colon and all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        return name
    if name in names("subjects"):
        return name
    raise UsageError(
        f"{name!r} is no subject: expected a name such as {AGENT.name}, or package.module:callable"
        + (nearest(name, names("subjects")) if not colon else "")
    )


def checked_title(title: str) -> str:
    """Return a title, which may be empty. Raises ``UsageError`` for one that is not a line of text."""
    if title and not (title.strip() and title.isprintable()):
        raise UsageError(f"{title!r} is no title: expected one line of text")
    return title
