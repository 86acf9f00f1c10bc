"""Whatever a report names can be asked about by that name."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from simkit.cli import main
from simkit.errors import UsageError
from simkit.explain import PAGES, explained, listed
from simkit.extensions import names
from simkit.subjects.flawed import FLAWS


def test_a_law_is_explained_with_its_value_and_the_flaws_that_break_it() -> None:
    assert explained("bounded_requests").splitlines() == [
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
        "  unbounded_continuations: a turn asks for the rest of a cut answer for as long as it is cut",
    ]


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
    expected = [*names("checks"), *(f"flaw:{flaw}" for flaw in FLAWS), *(page.stem for page in PAGES.glob("*.md"))]
    assert (sorted(listing), all(explained(name) for name in listing)) == (sorted(expected), True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_orphan", "nothing is called 'no_orphan' - did you mean 'no_orphans'?"),
        ("flaw:no_cancel", "nothing is called 'flaw:no_cancel' - did you mean 'flaw:no_cancel_all'?"),
        ("weather", "nothing is called 'weather' - `simkit explain` lists what there is"),
    ],
)
def test_a_name_that_nobody_has_is_told_with_a_way_on(name: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        explained(name)
    assert str(caught.value) == told


def test_the_command_prints_it_and_a_wrong_name_is_exit_2() -> None:
    runs = [CliRunner().invoke(main, ["explain", *name]) for name in (["no_orphans"], [], ["weather"])]
    assert [(run.exit_code, run.output.splitlines()[0]) for run in runs] == [
        (0, "no_orphans"),
        (0, "Laws"),
        (2, "simkit: nothing is called 'weather' - `simkit explain` lists what there is"),
    ]
