"""No file whatever gives a traceback: it is read, or it is refused with places."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simkit.language.spec import SCENARIO

from .fuzz import BASE, GOOD, PIECES, TARGETS, main, mutants, outcome, prepared, value_ends


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own, in which one mutant after the other is written over the last."""
    return prepared(tmp_path_factory.mktemp("outside"))


def files(text: str) -> dict[str, bytes]:
    return {"a.sim.yaml": text.encode("utf-8", "surrogatepass"), "base.yaml": BASE.encode()}


@given(mutants(bytes_max=700))
@settings(
    max_examples=1500,
    derandomize=True,
    deadline=None,
    database=None,
    # A mutant is drawn from many small choices, which hypothesis takes for slow.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
def test_a_mutant_of_a_good_scenario_is_read_or_refused(project: Path, mutant: dict[str, bytes]) -> None:
    assert outcome(mutant, project) in ("read", "refused")


@pytest.mark.parametrize("number", range(len(PIECES)))
def test_a_piece_in_the_place_of_a_value_is_read_or_refused(number: int, project: Path) -> None:
    # Every twelfth value, beginning elsewhere for each piece: all pairs would take minutes.
    values = value_ends(GOOD)[number % 12 :: 12]
    texts = [GOOD[:start] + PIECES[number] + GOOD[end:] for start, end in values]
    assert {outcome(files(text), project) for text in texts} <= {"read", "refused"}


@given(st.text(alphabet=st.sampled_from("ab:- \n\t'\"{}[],*&!|>%@?#$0\\"), max_size=60))
@settings(max_examples=300, derandomize=True, deadline=None, database=None)
def test_any_text_is_refused_with_a_place(project: Path, text: str) -> None:
    assert outcome(files(text), project) == "refused"


@pytest.mark.parametrize("target", TARGETS)
def test_a_scenario_that_extends_anything_is_read_or_refused(target: str, project: Path) -> None:
    good = files(GOOD.replace("extends: base.yaml", f"extends: {target}"))
    read = {"base.yaml", "sub/base.yaml"} if (project / target.strip('"')).name else set()
    came = outcome({**good, "sub/base.yaml": BASE.encode()}, project)
    assert came == ("read" if target in read else "refused")


def test_the_text_that_is_mutated_is_good_itself_and_has_every_key(project: Path) -> None:
    top = [line.partition(":")[0] for line in GOOD.splitlines() if line[:1].isalpha()]
    assert (outcome(files(GOOD), project), top) == ("read", [key.name for key in SCENARIO.keys])


def test_what_came_of_the_mutants_is_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The run changes into a folder of its own; back again when it is over.
    monkeypatch.chdir(Path.cwd())
    code = main(["--mutants", "20"])
    counts = capsys.readouterr().out.splitlines()[0].split(", ")
    assert (code, sum(int(count.split()[0]) for count in counts)) == (0, 20)


SCENARIOS: Final = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.sim.yaml"))


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=lambda number: SCENARIOS[number].name)
def test_every_scenario_of_the_corpus_cut_at_a_line_is_read_or_refused(number: int, project: Path) -> None:
    lines = SCENARIOS[number].read_text(encoding="utf-8").splitlines(keepends=True)
    # Every sixth line, beginning elsewhere for each file, and the whole.
    ends = [*range(number % 6, len(lines), 6), len(lines)]
    assert {outcome(files("".join(lines[:end])), project) for end in ends} == {"read", "refused"}
