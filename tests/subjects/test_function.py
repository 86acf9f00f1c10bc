from __future__ import annotations

from pathlib import Path

import pytest

from simkit.contracts import Setting, Sim, Subject
from simkit.errors import SubjectError
from simkit.subjects.function import function_subject


async def agent(sim: Sim) -> str:
    return "hello"


class Agents:
    @staticmethod
    def second(sim: Sim) -> str:
        return "hello"


number = 3
with_settings = Subject(
    name="mine", start=agent, settings={"greeting": Setting(kind="text", default="hello", says="what it says")}
)
HERE = "tests.subjects.test_function"


def test_a_function_is_found_by_module_and_name() -> None:
    found = function_subject(f"{HERE}:agent")
    assert (found.name, found.start, found.settings, found.imports) == (f"{HERE}:agent", agent, None, ())


def test_a_function_is_found_inside_a_class() -> None:
    assert function_subject(f"{HERE}:Agents.second").start is Agents.second


def test_a_subject_with_settings_of_its_own_is_found_like_a_function_and_called_as_it_was_named() -> None:
    found = function_subject(f"{HERE}:with_settings")
    assert (found.name, found.start, found.settings) == (f"{HERE}:with_settings", agent, with_settings.settings)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("agent:", "'agent:' is not a subject: expected package.module:callable"),
        (":agent", "':agent' is not a subject: expected package.module:callable"),
        ("nowhere.at_all:agent", "no module is called 'nowhere' - run simkit from the folder that holds it"),
        (f"{HERE}:agnet", f"{HERE} has no 'agnet' - did you mean 'agent'"),
        (f"{HERE}:Agents.secnd", "has no 'Agents.secnd' - did you mean 'second'"),
        (f"{HERE}:number", "number is a int, expected a function"),
    ],
)
def test_a_subject_that_is_not_there_is_told_with_what_was_looked_for(target: str, said: str) -> None:
    with pytest.raises(SubjectError) as caught:
        function_subject(target)
    assert said in str(caught.value)


def test_a_module_that_is_missing_is_told_with_the_folder_in_which_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SubjectError) as caught:
        function_subject("nowhere:agent")
    assert f"looked for in the current folder, {str(tmp_path)!r}, and on Python's path" in str(caught.value)


def test_a_module_that_breaks_while_it_is_imported_is_told_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_agent_module.py").write_text("raise ValueError('not today')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SubjectError, match="cannot be imported: ValueError: not today"):
        function_subject("broken_agent_module:agent")


def test_a_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agent_of_this_folder.py").write_text("def agent(sim):\n    return 'hello'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["elsewhere"])
    assert function_subject("agent_of_this_folder:agent").start.__name__ == "agent"
