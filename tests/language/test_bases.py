"""One file over another: what merges, what replaces, what is taken away, and where each value says it stands."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from simkit.errors import ScenarioError
from simkit.language.reader import load
from simkit.model.scenario import Expectation, Matcher, Scenario
from simkit.model.timeline import CassetteReply, StatusReply, UnreachableReply

from .laws import LAWS

ENOUGH = "simkit: 1\nscenario: A title\nprovider: []\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, and the current directory in it."""
    (tmp_path / "pytest.ini").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name: str, text: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return name


def over(base: str, text: str) -> Scenario:
    """Read a text that extends another; what neither is about stands in the base."""
    put("base.yaml", ENOUGH + dedent(base))
    (scenario,) = load(put("a.sim.yaml", "extends: base.yaml\n" + dedent(text)), laws=LAWS)
    return scenario


def expected(scenario: Scenario) -> list[tuple[str, str | None, list[tuple[str, object]]]]:
    return [(one.fact, one.key, [(m.op, m.value) for m in one.matchers]) for one in scenario.expect]


# -- what merges -------------------------------------------------------------------------------------
def test_mappings_merge_key_by_key_all_the_way_down() -> None:
    scenario = over(
        "settings: {a: 1, b: {c: 2, d: {e: 3}}}",
        "settings: {b: {d: {f: 4}}, g: 5}",
    )
    assert scenario.settings == {"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}, "g": 5}


def test_lists_and_single_values_are_replaced() -> None:
    scenario = over(
        "tags: [a, b]\nsubject: one\nsettings: {list: [1, 2]}\nlimits: {time: 1h, requests: 5}\n",
        "tags: [c]\nsubject: two\nsettings: {list: [3]}\nlimits: {time: 2h}\n",
    )
    limits = scenario.limits
    assert (scenario.tags, scenario.subject, scenario.settings, limits.time_ns // 10**9, limits.requests) == (
        ("c",),
        "two",
        {"list": [3]},
        7200,
        5,
    )


def test_every_key_that_is_a_mapping_merges_by_its_names() -> None:
    scenario = over(
        """
        tools: {ls: {takes: 1s, returns: [a]}, rm: {}}
        hosts: {a.example: {status: 404}}
        network: {"*": {latency: 5ms}}
        expect: {requests: 3, tool_calls: {ls: 1}}
        vars: {one: 1}
        defaults: {tools: {takes: 9s}}
        explore: {runs: 5}
        """,
        """
        tools: {ls: {takes: 2s}, mv: {}}
        hosts: {b.example: {status: 500}}
        network: {b.example: {latency: 9ms}}
        expect: {polls: 1, tool_calls: {mv: "${one}"}}
        vars: {two: 2}
        defaults: {tools: {blocks: true}}
        explore: {heal: 60s}
        """,
    )
    assert (
        {name: (tool.takes_ns // 10**9, tool.returns, tool.blocks) for name, tool in scenario.tools.items()},
        list(scenario.hosts),
        list(scenario.network),
        [(one.fact, one.key) for one in scenario.expect],
        (scenario.explore.runs, scenario.explore.heal_ns),
    ) == (
        {"ls": (2, ["a"], True), "rm": (9, "ok", True), "mv": (9, "ok", True)},
        ["a.example", "b.example"],
        ["*", "b.example"],
        [("requests", None), ("tool_calls", "ls"), ("tool_calls", "mv"), ("polls", None)],
        (5, 60 * 10**9),
    )


def test_the_columns_of_a_matrix_merge_and_keep_their_order() -> None:
    put("base.yaml", ENOUGH + "matrix: {a: [1, 2], b: [x]}\n")
    rows = load(put("a.sim.yaml", "extends: base.yaml\nmatrix: {c: [9], b: [y, z]}\n"), laws=LAWS)
    assert [scenario.row for scenario in rows] == ["1-y-9", "1-z-9", "2-y-9", "2-z-9"]


def test_variables_of_one_file_fill_the_other() -> None:
    scenario = over('vars: {a: 1}\nsettings: {x: "${b}"}', 'vars: {b: "${a}2"}')
    assert scenario.settings == {"x": "12"}


# -- what replaces -----------------------------------------------------------------------------------
def test_another_verb_replaces_the_whole_record() -> None:
    scenario = over(
        "hosts: {a: {status: 500, body: no}, b: {status: 500, body: no}}",
        "hosts: {a: {connection: refused}, b: {status: 404}}",
    )
    assert scenario.hosts == {"a": UnreachableReply(how="refused"), "b": StatusReply(status=404, body="no")}


def test_a_comparison_is_replaced_and_parts_of_a_fact_merge() -> None:
    scenario = over(
        "expect: {polls: {at_most: 3}, requests: {post: 1, get: 2}, usage: {input: 1}, tool_calls: {ls: {at_most: 1}}}",
        "expect: {polls: {at_least: 1}, requests: {get: {not: 5}}, usage: {output: 2}, tool_calls: {ls: {not: 1}}}",
    )
    assert expected(scenario) == [
        ("polls", None, [("at_least", 1)]),
        ("requests", "post", [("exactly", 1)]),
        ("requests", "get", [("not", 5)]),
        ("usage", "input", [("exactly", 1)]),
        ("usage", "output", [("exactly", 2)]),
        ("tool_calls", "ls", [("not", 1)]),
    ]


def test_a_comparison_and_the_parts_of_a_fact_never_mix() -> None:
    first = over("expect: {requests: {post: 1}}", "expect: {requests: {at_most: 3}}")
    second = over("expect: {requests: {at_most: 3}}", "expect: {requests: {post: 1}}")
    assert [expected(first), expected(second)] == [
        [("requests", None, [("at_most", 3)])],
        [("requests", "post", [("exactly", 1)])],
    ]


def test_a_key_takes_the_place_of_those_that_exclude_it() -> None:
    scenario = over(
        "tools: {ls: {takes: 1s, returns: a}, rm: {raises: a, raises_as: TimeoutError}, mv: {ignores_cancel: true}}",
        "tools: {ls: {fails: b}, rm: {raises: b}, mv: {cancel_takes: 5s}}",
    )
    tools = [(t.returns, t.raises, t.raises_as, t.fails, t.ignores_cancel) for t in scenario.tools.values()]
    assert tools == [
        ("ok", None, None, "b", False),
        ("ok", "b", "TimeoutError", None, False),
        ("ok", None, None, None, False),
    ]


# -- what is taken away ------------------------------------------------------------------------------
def test_a_key_with_nothing_behind_it_takes_the_bases_key_away() -> None:
    scenario = over(
        "tools: {ls: {takes: 1s}, rm: {}}\nexpect: {requests: 3, polls: 1}\nlimits: {time: 1h}\nskip: not yet\n",
        "tools: {ls: {takes: }, rm: }\nexpect: {requests: }\nlimits:\nskip: ~\n",
    )
    assert (list(scenario.tools), scenario.tools["ls"].takes_ns, expected(scenario), scenario.skip) == (
        ["ls"],
        0,
        [("polls", None, [("exactly", 1)])],
        "",
    )


def test_nothing_is_a_value_where_any_value_can_stand() -> None:
    scenario = over("settings: {a: 1}\ntools: {ls: {returns: a}}", "settings: {a: }\ntools: {ls: {returns: null}}")
    assert (scenario.settings, scenario.tools["ls"].returns) == ({"a": None}, None)


# -- files -------------------------------------------------------------------------------------------
def test_a_file_can_extend_a_file_that_extends_another() -> None:
    put("common/base.yaml", ENOUGH + "settings: {a: 1, b: 1, c: 1}\n")
    put("common/middle.yaml", "extends: base.yaml\nsettings: {b: 2, c: 2}\n")
    (scenario,) = load(put("deep/a.sim.yaml", "extends: ../common/middle.yaml\nsettings: {c: 3}\n"), laws=LAWS)
    assert (scenario.settings, list(scenario.bases)) == (
        {"a": 1, "b": 2, "c": 3},
        ["common/middle.yaml", "common/base.yaml"],
    )


def test_a_whole_scenario_can_be_extended_and_still_runs_by_itself() -> None:
    put("a.sim.yaml", ENOUGH + "settings: {a: 1}\n")
    put("b.sim.yaml", "extends: a.sim.yaml\nscenario: Another title\n")
    read = [load(name, laws=LAWS)[0] for name in ("a.sim.yaml", "b.sim.yaml")]
    assert [(one.title, one.settings) for one in read] == [("A title", {"a": 1}), ("Another title", {"a": 1})]


def test_every_value_says_in_which_file_it_stands(project: Path) -> None:
    put("base.yaml", ENOUGH + "settings: {a: 1, b: {c: 1}}\ntools: {ls: {}}\nexpect: {polls: 1, requests: 1}\n")
    text = "extends: ../base.yaml\nsettings: {b: {d: 2}}\nprovider: [{stream: [{say: hi}]}]\nexpect: {polls: 2}\n"
    (scenario,) = load(put("sub/a.sim.yaml", text), laws=LAWS)
    assert (
        {name: str(place) for name, place in scenario.settings_places.items()},
        [str(tool.place) for tool in scenario.tools.values()],
        [str(answer.place) for answer in scenario.provider],
        [str(one.place) for one in scenario.expect],
    ) == (
        {"a": "base.yaml:4", "b": "sub/a.sim.yaml:2"},
        ["base.yaml:5"],
        ["sub/a.sim.yaml:3"],
        ["sub/a.sim.yaml:4", "base.yaml:6"],
    )


def test_a_scenario_gives_the_line_of_every_place(project: Path) -> None:
    scenario = over("settings: {a: 1}", "tools: {ls: {}}")
    places = (scenario.settings_places["a"], scenario.tools["ls"].place)
    assert [scenario.line(place) for place in places if place] == ["settings: {a: 1}", "tools: {ls: {}}"]


def test_a_cassette_of_a_base_is_looked_for_beside_the_base() -> None:
    put("common/tape.yaml", "interactions: []\n")
    put("common/base.yaml", ENOUGH + "hosts: {a: {cassette: tape.yaml}}\n")
    (scenario,) = load(put("sub/a.sim.yaml", "extends: ../common/base.yaml\n"), laws=LAWS)
    assert scenario.hosts == {"a": CassetteReply(path="common/tape.yaml")}


def test_without_a_mark_the_project_is_the_folder_of_the_file(project: Path) -> None:
    (project / "pytest.ini").unlink()
    put("base.yaml", ENOUGH)
    inside = load(put("a.sim.yaml", "extends: base.yaml\n"), laws=LAWS)
    with pytest.raises(ScenarioError, match=r"'\.\./base\.yaml' leads out of the project"):
        load(put("sub/b.sim.yaml", "extends: ../base.yaml\n"), laws=LAWS)
    assert [scenario.title for scenario in inside] == ["A title"]


@pytest.mark.parametrize("mark", ["pyproject.toml", "setup.cfg", "pytest.ini", "tox.ini", ".git"])
def test_the_nearest_folder_with_a_mark_is_the_project(project: Path, mark: str) -> None:
    (project / "pytest.ini").unlink()
    put(f"one/{mark}", "")
    put("one/base.yaml", ENOUGH)
    (scenario,) = load(put("one/two/three/a.sim.yaml", "extends: ../../base.yaml\n"), laws=LAWS)
    with pytest.raises(ScenarioError, match="leads out of the project"):
        load(put("one/two/b.sim.yaml", "extends: ../../base.yaml\n"), laws=LAWS)
    assert scenario.title == "A title"


def test_a_link_inside_the_project_is_followed(project: Path) -> None:
    put("common/base.yaml", ENOUGH)
    (project / "link.yaml").symlink_to(project / "common" / "base.yaml")
    (scenario,) = load(put("a.sim.yaml", "extends: link.yaml\n"), laws=LAWS)
    assert scenario.title == "A title"


def test_a_circle_through_a_link_is_a_circle(project: Path) -> None:
    put("a.sim.yaml", "extends: link.yaml\n")
    (project / "link.yaml").symlink_to(project / "a.sim.yaml")
    with pytest.raises(ScenarioError, match=r"a file cannot extend itself: a\.sim\.yaml -> a\.sim\.yaml"):
        load("a.sim.yaml", laws=LAWS)


def test_a_byte_order_mark_of_a_base_is_no_part_of_its_text() -> None:
    Path("base.yaml").write_bytes(b"\xef\xbb\xbf" + ENOUGH.encode())
    (scenario,) = load(put("a.sim.yaml", "extends: base.yaml\n"), laws=LAWS)
    assert scenario.title == "A title"


def test_an_answer_that_a_base_captures_fills_the_answers_of_the_file() -> None:
    scenario = over(
        "defaults: {provider: {capture: {job: 'id (\\w+)'}}}",
        'provider: [{stream: [{say: "${job} is done"}]}]',
    )
    assert [answer.capture for answer in scenario.provider] == [{"job": "id (\\w+)"}]


def test_expectations_of_both_files_are_judged_as_one() -> None:
    scenario = over("expect: {polls: 1}", "expect: {parked: 2}")
    one, two = (Matcher(op="exactly", value=value) for value in (1, 2))
    assert scenario.expect == (
        Expectation(fact="polls", matchers=(one,)),
        Expectation(fact="parked", matchers=(two,)),
    )
