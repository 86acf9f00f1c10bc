"""Whatever a report names can be asked about by that name."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace

import pytest
from click.testing import CliRunner

from simkit.cli import main
from simkit.errors import UsageError
from simkit.explain import PAGES, explained, listed
from simkit.extensions import BUILT_IN, names
from simkit.language.reference import CONCEPTS
from simkit.language.shapes import OPERATORS
from simkit.language.spec import SCENARIO
from simkit.language.topics import topics
from simkit.model.plan import FAULT_KINDS, Plan
from simkit.run import load, run_once
from simkit.subjects.flawed import FLAWS

from .conftest import Folder


def test_a_law_is_explained_with_its_value_the_flaws_that_break_it_and_a_failure() -> None:
    text = explained("bounded_requests")
    head, scenario, command = re.split(r"\n\n(?:A scenario that|Saved under) .*:\n\n", text)
    assert (head.splitlines()[:11], scenario.splitlines()[0], command) == (
        [
            "bounded_requests",
            "",
            "  One message of the user causes a bounded number of completion requests.",
            "",
            "Its value is a count; without one it is 20.",
            "It holds for every scenario, unless one switches it off and says why:",
            "",
            "  always:",
            "    - {off: bounded_requests, because: ...}",
            "",
            "Flaws of the built-in agent that break it:",
        ],
        "  simkit: 1",
        "  simkit run bounded_requests.sim.yaml --set flaw=unbounded_continuations",
    )


@pytest.mark.parametrize("law", BUILT_IN["checks"])
def test_the_failure_of_a_law_is_one_that_runs(law: str, folder: Folder) -> None:
    scenario, command = re.split(r"\n\n(?:A scenario that|Saved under) .*:\n\n", explained(law))[1:]
    flaw = re.findall(r"--set flaw=(\w+)", command.partition("\n\n")[0])
    name = folder.file(f"{law}.sim.yaml", textwrap.dedent(scenario))
    cases = [replace(c, settings={**c.settings, "flaw": planted}) for planted in ("", *flaw) for c in load(name)]
    results = [run_once(case, Plan()) for case in cases]
    assert (len(flaw), [law in {f.law for f in result.findings} for result in results]) == (1, [False, True])


def test_a_key_is_explained_with_what_it_takes_and_an_example() -> None:
    assert explained("provider.stream.call").splitlines() == [
        "provider.stream.call",
        "(also provider.background.stream.call)",
        "",
        "  The model begins a call of this tool.",
        "",
        "It takes text.",
        "A step has exactly one of its verbs, and this is one. Beside it may stand: args, id, index.",
        "",
        "Example:",
        "",
        "  provider:",
        "    - stream:",
        "        - call: write_file",
    ]


def test_a_key_that_holds_keys_lists_them() -> None:
    assert explained("limits").splitlines()[6:12] == [
        "Keys of limits:",
        "",
        "  time: Virtual time after which the run is stopped.",
        "  requests: Completion requests after which the run is stopped.",
        "  steps: Steps of the world after which the run is stopped.",
        "",
    ]


def test_a_name_of_several_keys_lists_them_with_their_paths() -> None:
    assert explained("steps").splitlines() == [
        "'steps' is the name of several things:",
        "",
        "  expect.events.spin.steps (also sometimes.spin.steps)",
        "      How many steps it was so far.",
        "  limits.steps",
        "      Steps of the world after which the run is stopped.",
    ]


def test_what_else_is_called_so_stands_below() -> None:
    texts = [explained(name).partition("Also called so:\n\n") for name in ("ends", "stall", "fault:stall")]
    found = [(head.splitlines()[0], re.findall(r"^  (\S+)$", also, re.MULTILINE)) for head, _, also in texts]
    assert found == [
        ("ends", ["provider.background.ends"]),
        ("provider.stream.stall", ["fault:stall"]),
        ("fault:stall", []),
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("at_most", "    requests: {at_most: 5}"),
        ("contains", "    last_message: {contains: index.html}"),
        ("exit-codes", "  2    a scenario or an option is wrong"),
        ("stale_after", "    stale_after: 180s"),
        ("fault:cut", "    faults: [cut]"),
        ("tools.write_file.takes", "Without it: 0s."),
        ("tool.start", "    events:"),
        ("reference", "## Durations"),
    ],
)
def test_whatever_a_scenario_or_a_report_names_is_explained(name: str, line: str) -> None:
    assert line in explained(name).splitlines()


def test_durations_and_variables_are_explained_in_the_words_of_the_page() -> None:
    assert [explained(name) for name in CONCEPTS] == [f"{name}\n\n{text.strip()}" for name, text in CONCEPTS.items()]


def test_every_key_can_be_explained_by_its_path() -> None:
    assert [topic.path for topic in topics() if topic.key.says not in flat(explained(topic.path))] == []


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_flaw_is_explained_with_where_it_was_seen_and_how_to_switch_it_on() -> None:
    assert explained("flaw:stub_finish_stop").splitlines() == [
        "stub_finish_stop",
        "",
        "  a cut answer gets the finish reason stop, so the turn counts as finished",
        "",
        "Seen in: NousResearch/hermes-agent 0.14.0, issue 31998",
        "It breaks: partial_is_not_success",
        "",
        "Switch it on for any scenario of the built-in agent:",
        "",
        "  simkit run scenarios/ --set flaw=stub_finish_stop",
    ]


def test_everything_that_is_listed_can_be_explained() -> None:
    listing = [line.strip() for line in listed().splitlines() if line.startswith("  ") and not line.startswith("   ")]
    words = {*names("checks"), *CONCEPTS, *(operator.name for operator in OPERATORS)}
    marked = {*(f"flaw:{flaw}" for flaw in FLAWS), *(f"fault:{fault}" for fault in FAULT_KINDS)}
    pages = {page.stem for page in PAGES.glob("*.md")}
    expected = words | marked | pages | {key.name for key in SCENARIO.keys}
    assert (sorted(listing), all(explained(name) for name in listing)) == (sorted(expected), True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_orphan", "nothing is called 'no_orphan' - did you mean 'no_orphans'?"),
        ("flaw:no_cancel", "nothing is called 'flaw:no_cancel' - did you mean 'flaw:no_cancel_all'?"),
        ("stal", "nothing is called 'stal' - did you mean 'stall'?"),
        ("expect.request", "nothing is called 'expect.request' - did you mean 'expect.requests'?"),
        ("flaw:", "nothing is called 'flaw:' - `simkit explain` lists what there is"),
        ("xylophone", "nothing is called 'xylophone' - `simkit explain` lists what there is"),
    ],
)
def test_a_name_that_nobody_has_is_told_with_a_way_on(name: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        explained(name)
    assert str(caught.value) == told


def test_the_command_prints_it_and_a_wrong_name_is_exit_2() -> None:
    runs = [CliRunner().invoke(main, ["explain", *name]) for name in (["no_orphans"], [], ["xylophone"])]
    assert [(run.exit_code, run.output.splitlines()[0]) for run in runs] == [
        (0, "no_orphans"),
        (0, "Laws"),
        (2, "simkit: nothing is called 'xylophone' - `simkit explain` lists what there is"),
    ]
