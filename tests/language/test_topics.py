"""Every key has its path and an example, and each example is a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from simkit.language import topics as tables
from simkit.language.reader import loads
from simkit.language.spec import SCENARIO
from simkit.language.topics import Topic, topics

from .laws import LAWS
from .test_schema import whole
from .test_spec import keys_below

TOPICS = {f"{topic.path} beside {','.join(topic.owners)}": topic for topic in topics()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that examples name."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "base.yaml").write_text("simkit: 1\n", encoding="utf-8")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "files.yaml").touch()
    monkeypatch.chdir(tmp_path / "scenarios")
    return tmp_path


def test_every_key_of_the_table_is_a_topic() -> None:
    known = {topic.key for topic in topics()}
    assert [key.name for key in keys_below(SCENARIO) if key not in known] == []


@pytest.mark.usefixtures("project")
def test_every_example_can_be_read() -> None:
    read = {name: loads(whole(topic.example), "a.sim.yaml", laws=LAWS) for name, topic in TOPICS.items()}
    assert (len(read) > 300, [name for name, cases in read.items() if not cases]) == (True, [])


def test_every_example_holds_its_key() -> None:
    assert [name for name, topic in TOPICS.items() if f"{topic.key.name}:" not in topic.example] == []


def test_no_value_and_no_example_is_left_of_a_key_that_is_gone() -> None:
    known = {(topic.record.called, topic.key.name) for topic in topics()}
    written = {*tables._VALUES, *tables._EXAMPLES}
    assert written - known == set()


def of(path: str) -> list[Topic]:
    return [topic for topic in topics() if topic.path == path]


def test_a_key_that_is_a_verb_and_an_extra_is_two_topics() -> None:
    assert [(topic.is_verb, topic.owners) for topic in of("provider.stream.args")] == [(False, ("call",)), (True, ())]


def test_what_several_verbs_share_is_one_topic() -> None:
    assert [topic.owners for topic in of("provider.stream.pieces")] == [("say", "think", "args")]


def test_an_example_says_what_is_required_beside_its_key_and_no_more() -> None:
    examples = [of(path)[0].example for path in ("tools.NAME.takes", "network.NAME.faults.for", "provider.times")]
    assert examples == [
        "tools:\n  write_file:\n    takes: 20ms\n",
        "network:\n  files.example:\n    faults:\n      - at: 90s\n        connection: refused\n        for: 90s\n",
        "provider:\n  - stream: [{say: Hello.}, {finish: stop}]\n    times: 3\n",
    ]
