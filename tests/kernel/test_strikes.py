"""The faults of a plan: each strikes at its site, once, is in the trace, and is missed where its site never comes."""

from __future__ import annotations

import pytest

from simkit.errors import RunEndedError
from simkit.kernel.clock import Clock
from simkit.kernel.recorder import Recorder
from simkit.kernel.strikes import Strikes
from simkit.kernel.world import World
from simkit.model.plan import Plan, Strike

CUT = Strike("answer1.frame2", "cut")
CANCEL = Strike("tool1.start", "cancel")


def strikes_of(*strikes: Strike, seen: list[str] | None = None) -> tuple[Strikes, Recorder]:
    recorder = Recorder(Clock())
    return Strikes(recorder, strikes, seen=seen), recorder


def test_a_fault_strikes_at_its_site_and_only_once() -> None:
    strikes, _ = strikes_of(CUT)
    assert [strikes.at(site) for site in ("answer1", CUT.site, CUT.site)] == ["", "cut", ""]


def test_a_fault_that_struck_is_in_the_trace() -> None:
    strikes, recorder = strikes_of(CUT)
    strikes.at(CUT.site)
    assert [(e.actor, e.kind, e.values) for e in recorder.trace] == [
        ("world", "fault", {"site": "answer1.frame2", "fault": "cut"})
    ]


def test_a_cancellation_is_the_users_and_does_nothing_to_the_site() -> None:
    strikes, _ = strikes_of(CANCEL)
    heard: list[str] = []
    strikes.cancels = lambda: heard.append("cancelled")
    assert (strikes.at(CANCEL.site), heard) == ("", ["cancelled"])


def test_every_site_is_seen_in_order_where_somebody_wants_to_know() -> None:
    seen: list[str] = []
    strikes, _ = strikes_of(CUT, seen=seen)
    for site in ("user1", "answer1", CUT.site):
        strikes.at(site)
    assert seen == ["user1", "answer1", "answer1.frame2"]


@pytest.mark.parametrize(("plan", "seen", "asked"), [((), None, False), ((), [], True), ((CUT,), None, True)])
def test_nobody_is_asked_where_nothing_can_strike(
    plan: tuple[Strike, ...], seen: list[str] | None, asked: bool
) -> None:
    assert strikes_of(*plan, seen=seen)[0].asked is asked


def test_a_run_has_faults_also_after_they_struck() -> None:
    strikes, _ = strikes_of(CUT)
    strikes.at(CUT.site)
    assert (strikes.some, strikes.asked, strikes.unreached()) == (True, False, [])


# -- in a world -------------------------------------------------------------------------------------------------------
async def nothing() -> None:
    """Reach no site."""


def test_a_fault_whose_site_never_came_ends_the_run_by_name() -> None:
    with pytest.raises(RunEndedError, match=r"the plan's cut@answer1\.frame2 never struck: its site was not reached"):
        World(plan=Plan(strikes=(CUT,))).run(nothing)


def test_a_lenient_run_leaves_it_out_of_the_plan_that_it_took() -> None:
    world = World(plan=Plan(strikes=(CUT,)), lenient=True)
    world.run(nothing)
    assert world.taken == Plan()


def test_a_fault_that_struck_is_part_of_the_plan_that_was_taken() -> None:
    world = World(plan=Plan(strikes=(CUT,)))

    async def main() -> str:
        return world.strikes.at(CUT.site)

    assert (world.run(main), world.taken) == ("cut", Plan(strikes=(CUT,)))
