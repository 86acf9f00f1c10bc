"""Historical faults of agents, each planted into simkit's own agent from outside: the one table of them.

The idea: a fault is a function from blueprint to blueprint that changes one limit, wraps the client, or puts a small
subclass with one overridden seam in place of the loop or the registry. The constraint it protects: nothing in
``simkit.agent`` knows of faults, so the sound agent has no switch that could be left on. A scenario that passes under
the fault it was written for is not a test; that is what these are for.

The overrides stand beside this file: ``flawed_client``, ``flawed_loop`` and ``flawed_registry``. The last are the
faults that the review of a published registry found, one row of it each; it numbers what a registry must keep.

What a flaw ``breaks`` are laws, or facts of ``expect``, that every scenario which catches it sees broken. Where no
scenario can show it, because it takes two sessions in one process or a tool that does what no scenario's tool can, it
is the row itself (``registry-races/3``), and a test in a world sees that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from simkit.agent.clients import Client, ClientOptions
from simkit.agent.loop import Loop
from simkit.agent.registry import Registry
from simkit.contracts import Flaw
from simkit.errors import UsageError
from simkit.extensions import nearest
from simkit.subjects.blueprint import Blueprint
from simkit.subjects.flawed_client import (
    AskAnewWhenWindowClosed,
    BlockWhileWaiting,
    IgnoreRetryAfter,
    LeaveAnswerRunning,
    LeaveReaderRunning,
    LoseParallelResult,
    OwnRetries,
    ResumeFromStart,
)
from simkit.subjects.flawed_loop import (
    AddUpUsage,
    AskAgainWhenEmpty,
    CancelIsToolError,
    EndCallsWithTurn,
    KeepGivenIds,
    LeakContinuationToken,
    NewRegistryEachTurn,
    ResultsByArrival,
    RunPartialCalls,
    RunToolsTwice,
    StubFinishStop,
)
from simkit.subjects.flawed_registry import (
    BlameAgentForCancel,
    BusyWait,
    CancelledTooSoon,
    CancelOverResult,
    CancelWithoutWaiting,
    CloseOnlyParked,
    CompareAnyWait,
    DeliverToAllWaiters,
    DryRunSaysCancelled,
    EvictOldest,
    EvictWithoutWaiting,
    ExpectResultType,
    ForgetDelivered,
    ForgetEvicted,
    LetExitsOut,
    LetGoOfAbandoned,
    ListAllAsRunning,
    NeverReadParkedErrors,
    NoCancelAll,
    RegistryInContext,
    RegistryOfLatestSession,
    RunParkedCallAgain,
    ShareParentsRegistry,
    ToolCancelCancelsHandler,
)

# Hardly a wait at all, and yet one: an answer in the simulation takes no time, so without any no time would pass.
_HASTY_S: Final = 0.01

# More than any script answers: the fault is that nothing of ours ends the turn.
_WITHOUT_END: Final = 1_000_000

# Where the registry was published whose review found the rows.
_REGISTRY: Final = "Significant-Gravitas/AutoGPT pull 12841, registry-races row"

Plant = Callable[[Blueprint], Blueprint]


@dataclass(frozen=True, slots=True)
class Plantable:
    """A flaw and the function that plants it; ``row`` is the invariant of the registry that it breaks."""

    flaw: Flaw
    plant: Plant
    row: int | None = None


def planted(name: str, blueprint: Blueprint) -> Blueprint:
    """Return the blueprint with this flaw, or as it is for an empty name; else raise ``UsageError``."""
    if not name:
        return blueprint
    if name not in FLAWS:
        raise UsageError(f"no flaw of subject 'agent' is called {name!r}{nearest(name, FLAWS)}")
    return FLAWS[name].plant(blueprint)


# -- how they are planted --------------------------------------------------------------------------------------------
def _with_loop(loop_class: type[Loop]) -> Plant:
    return lambda blueprint: replace(blueprint, loop_class=loop_class)


def _with_registry(registry_class: type[Registry]) -> Plant:
    return lambda blueprint: replace(blueprint, registry_class=registry_class)


def _with_client(wrap: Callable[[Client], Client]) -> Plant:
    def plant(blueprint: Blueprint) -> Blueprint:
        def connect(options: ClientOptions) -> Client:
            return wrap(blueprint.connect(options))

        return replace(blueprint, connect=connect)

    return plant


def _leave_deadline_to_sdk(blueprint: Blueprint) -> Blueprint:
    options = replace(blueprint.options, read_timeout_s=blueprint.limits.stale_after_s)
    return replace(blueprint, options=options, limits=replace(blueprint.limits, stale_after_s=math.inf))


def _without_bounds(blueprint: Blueprint) -> Blueprint:
    limits = replace(blueprint.limits, max_continuations=_WITHOUT_END, max_requests=_WITHOUT_END)
    return replace(blueprint, limits=limits)


def _fail_with_first_poll(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, poll_failures_max=0))


def _poll_without_deadline(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, poll_deadline_s=math.inf))


def _poll_too_often(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, poll_every_s=_HASTY_S))


def _with_own_retries(wrap: type[OwnRetries]) -> Plant:
    def plant(blueprint: Blueprint) -> Blueprint:
        own = replace(blueprint, options=replace(blueprint.options, max_retries=0))
        return _with_client(wrap)(own)

    return plant


def _row(number: int, name: str, plant: Plant, says: str, *breaks: str) -> Plantable:
    """Return a fault of the published registry."""
    return Plantable(Flaw(name=name, says=says, source=f"{_REGISTRY} {number}", breaks=breaks), plant, number)


# -- the table -------------------------------------------------------------------------------------------------------
_OF_LOOPS: Final = (
    Plantable(
        Flaw(
            name="stub_finish_stop",
            says="a cut answer gets the finish reason stop, so the turn counts as finished",
            source="NousResearch/hermes-agent 0.14.0, issue 31998",
            breaks=("partial_is_not_success",),
        ),
        _with_loop(StubFinishStop),
    ),
    Plantable(
        Flaw(
            name="keepalive_is_progress",
            says="the idle deadline is left to the HTTP client's read timeout, which any byte resets",
            source="anthropics/anthropic-sdk-typescript issue 998; anthony-chaudhary/fak issue 5486",
            breaks=("bounded_silence",),
        ),
        _leave_deadline_to_sdk,
    ),
    Plantable(
        Flaw(
            name="run_partial_calls",
            says="arguments that were cut off are mended into valid JSON, and the call runs",
            source="langchain-ai/langchainjs pull 11471; NousResearch/hermes-agent pull 7693",
            breaks=("no_partial_tool_call_runs",),
        ),
        _with_loop(RunPartialCalls),
    ),
    Plantable(
        Flaw(
            name="unbounded_continuations",
            says="a turn asks for the rest of a cut answer for as long as it is cut",
            source="openai/codex issue 3229",
            breaks=("bounded_requests",),
        ),
        _without_bounds,
    ),
    Plantable(
        Flaw(
            name="leave_reader_running",
            says="a stream that was given up is still read by a task of its own, on an open connection",
            source="strands-agents/harness-sdk issue 2266; HKUDS/nanobot pull 2765",
            breaks=("no_orphans",),
        ),
        _with_client(LeaveReaderRunning),
    ),
    Plantable(
        Flaw(
            name="lose_parallel_result",
            says="of several calls that ran side by side, only the first result is sent back",
            source="openai/openai-agents-python pull 2584",
            breaks=("results_pair_with_calls", "history_well_formed"),
        ),
        _with_client(LoseParallelResult),
    ),
    Plantable(
        Flaw(
            name="ignore_retry_after",
            says="a request that was turned away is repeated at once, whatever retry-after says",
            source="github/copilot-cli issue 2760",
            breaks=("backoff_respects_retry_after",),
        ),
        _with_own_retries(IgnoreRetryAfter),
    ),
    Plantable(
        Flaw(
            name="block_while_waiting",
            says="the wait before a further attempt is a sleep of the thread that the event loop runs in",
            source="run-llama/llama_index issue 20763; langroid/langroid pull 1112",
            breaks=("loop_not_blocked",),
        ),
        _with_own_retries(BlockWhileWaiting),
    ),
    Plantable(
        Flaw(
            name="ask_again_when_empty",
            says="an empty answer is asked for again with the same request, and the model hears nothing of it",
            source="NousResearch/hermes-agent pull 6900",
            breaks=("no_repeated_request",),
        ),
        _with_loop(AskAgainWhenEmpty),
    ),
    Plantable(
        Flaw(
            name="add_up_usage",
            says="the token counts that come with one answer are added up, though each repeats the one before",
            source="microsoft/agent-framework issue 7143; tensorzero/tensorzero issue 5481",
            breaks=("usage_counted_once",),
        ),
        _with_loop(AddUpUsage),
    ),
    Plantable(
        Flaw(
            name="keep_given_ids",
            says="calls keep the ids that the provider gave them, also where two of one answer share an id",
            source="can1357/oh-my-pi issue 2055; HKUDS/nanobot pull 3932",
            breaks=("history_well_formed",),
        ),
        _with_loop(KeepGivenIds),
    ),
    Plantable(
        Flaw(
            name="results_by_arrival",
            says="results are given to the calls of an answer in the order in which they came",
            source="router-for-me/CLIProxyAPI issue 5199; token-js/token.js pull 36",
            breaks=("results_pair_with_calls",),
        ),
        _with_loop(ResultsByArrival),
    ),
    Plantable(
        Flaw(
            name="cancel_is_tool_error",
            says="a cancellation that meets a running tool is an error of that tool, and the turn goes on",
            source="langchain-ai/open-swe pull 2782",
            breaks=("nothing_after_cancel",),
        ),
        _with_loop(CancelIsToolError),
    ),
    Plantable(
        Flaw(
            name="busy_wait",
            says="whoever waits for a tool looks again and again whether it has ended",
            source="microsoft/autogen issue 4773",
            breaks=("no_busy_polling",),
        ),
        _with_registry(BusyWait),
    ),
    Plantable(
        Flaw(
            name="run_tools_twice",
            says="every call runs a second time, as after a retry that forgot what had run",
            source="MervinPraison/PraisonAI issue 4256; crewAIInc/crewAI issue 5802",
            breaks=("tools_run_once",),
        ),
        _with_loop(RunToolsTwice),
    ),
    Plantable(
        Flaw(
            name="leak_continuation_token",
            says="the token of an answer that is over goes with every further request of the turn, so that answer is "
            "fetched again and its call runs again",
            source="microsoft/agent-framework 1.1.0, issue 5394, and pull 8358",
            breaks=("no_fetch_after_terminal",),
        ),
        _with_loop(LeakContinuationToken),
    ),
    Plantable(
        Flaw(
            name="failed_poll_ends_turn",
            says="one failed question about a running answer ends the turn, and the answer is lost",
            source="xorbitsai/xagent pull 2014; UKGovernmentBEIS/inspect_ai pull 4900",
            breaks=("expect.outcome",),
        ),
        _fail_with_first_poll,
    ),
    Plantable(
        Flaw(
            name="poll_without_deadline",
            says="a running answer is asked for without end",
            source="LionSR/TeXRA pulls 9566 and 9567",
            breaks=("ends",),
        ),
        _poll_without_deadline,
    ),
    Plantable(
        Flaw(
            name="poll_too_often",
            says="a running answer is asked for again at once, a hundred times a second",
            source="longsizhuo/BossZhiPin_Job_Search pull 9",
            breaks=("polls_respect_interval",),
        ),
        _poll_too_often,
    ),
    Plantable(
        Flaw(
            name="leave_answer_running",
            says="an answer that is given up runs on at the provider, for nobody told it to stop",
            source="xorbitsai/xagent pull 2014",
            breaks=("give_up_cancels_job",),
        ),
        _with_client(LeaveAnswerRunning),
    ),
    Plantable(
        Flaw(
            name="ask_anew_when_window_closed",
            says="where a running answer can be streamed no more, its request goes out a second time",
            source="openai/openai-python issue 2828",
            breaks=("expect.requests",),
        ),
        _with_client(AskAnewWhenWindowClosed),
    ),
    Plantable(
        Flaw(
            name="resume_from_start",
            says="a broken stream is taken up without a cursor, so what had come comes once more",
            source="openai/openai-node pull 2671; openai/openai-node issue 1983",
            breaks=("expect.last_message",),
        ),
        _with_client(ResumeFromStart),
    ),
)

_OF_REGISTRIES: Final = (
    _row(
        1,
        "registry_in_context",
        _with_registry(RegistryInContext),
        "the registry is made in the context of the call that first asks for it, so no other call finds what is there",
        "expect.last_message",
    ),
    _row(
        2,
        "no_cancel_all",
        _with_registry(NoCancelAll),
        "the end of the session finds nothing to cancel, and what was parked runs on",
        "no_orphans",
    ),
    _row(
        3,
        "share_parents_registry",
        _with_registry(ShareParentsRegistry),
        "a sub-agent finds its parent's registry in its context, and can cancel what is in it",
        "registry-races/3",
    ),
    _row(
        4,
        "new_registry_each_turn",
        _with_loop(NewRegistryEachTurn),
        "each turn begins with an empty registry, and nobody knows what the one before had parked",
        "no_orphans",
    ),
    _row(
        5,
        "evict_without_waiting",
        _with_registry(EvictWithoutWaiting),
        "a call that has to make room still runs when its place is taken",
        "background_cap",
    ),
    _row(
        6,
        "evict_oldest",
        _with_registry(EvictOldest),
        "the oldest call has to make room, although it runs and others have ended",
        "expect.last_message",
    ),
    _row(
        7,
        "forget_evicted",
        _with_registry(ForgetEvicted),
        "a result that had to make room is forgotten, as if its call had never been",
        "parked_ends_once",
    ),
    _row(
        9,
        "cancelled_too_soon",
        _with_registry(CancelledTooSoon),
        "a call counts as cancelled as soon as it was asked to stop, and does its work after that",
        "cancelled_means_stopped",
    ),
    _row(
        10,
        "cancel_over_result",
        _with_registry(CancelOverResult),
        "a cancel that meets a result in the same instant loses it",
        "registry-races/10",
    ),
    _row(
        11,
        "deliver_to_all_waiters",
        _with_registry(DeliverToAllWaiters),
        "of two checks that wait for one call, both are given its result",
        "parked_ends_once",
    ),
    _row(
        12,
        "forget_delivered",
        _with_registry(ForgetDelivered),
        "an id whose result was given out is answered like one that never was",
        "parked_ends_once",
    ),
    _row(
        14,
        "list_all_as_running",
        _with_registry(ListAllAsRunning),
        "the list counts calls that have ended as active",
        "expect.last_message",
    ),
    _row(
        15,
        "cancel_without_waiting",
        _with_registry(CancelWithoutWaiting),
        "the end of the session asks its calls to stop, and is over before they have",
        "no_orphans",
    ),
    _row(
        16,
        "never_read_parked_errors",
        _with_registry(NeverReadParkedErrors),
        "what a parked call raises is read only when somebody asks for it",
        "no_lost_errors",
    ),
    _row(
        17,
        "tool_cancel_cancels_handler",
        _with_registry(ToolCancelCancelsHandler),
        "a tool that cancels itself cancels whoever called it",
        "registry-races/17",
    ),
    _row(
        18,
        "let_go_of_abandoned",
        _with_registry(LetGoOfAbandoned),
        "a call whose turn is cancelled is asked to stop and forgotten before it has",
        "no_orphans",
    ),
    _row(
        22,
        "compare_any_wait",
        _with_registry(CompareAnyWait),
        "a wait that is a word is compared with a number, which raises",
        "expect.last_message",
    ),
    _row(
        25,
        "dry_run_says_cancelled",
        _with_registry(DryRunSaysCancelled),
        "a cancel in a dry run says that it has happened, and the next check says that it has not",
        "cancelled_means_stopped",
        "expect.last_message",
    ),
    _row(
        26,
        "run_parked_call_again",
        _with_registry(RunParkedCallAgain),
        "a call that is in the background already is run a second time",
        "parked_is_not_rerun",
    ),
    _row(
        27,
        "expect_result_type",
        _with_registry(ExpectResultType),
        "the result of a parked call is taken for an object of one type, and lost where it is another",
        "expect.last_message",
    ),
    Plantable(
        Flaw(
            name="let_exits_out",
            says="a tool that exits the program while it is parked takes the event loop down",
            source=f"{_REGISTRY} 28 (asked by the review, and not tried on the published code)",
            breaks=("registry-races/28",),
        ),
        _with_registry(LetExitsOut),
        28,
    ),
    _row(
        30,
        "registry_of_latest_session",
        _with_registry(RegistryOfLatestSession),
        "the end of one session cancels the calls of the session that began last",
        "registry-races/30",
    ),
    _row(
        31,
        "end_calls_with_turn",
        _with_loop(EndCallsWithTurn),
        "what is in the background is cancelled when its turn ends, though the model holds its id",
        "expect.last_message",
    ),
    _row(
        32,
        "close_only_parked",
        _with_registry(CloseOnlyParked),
        "the end of the session waits for parked calls only, and leaves those in the foreground running",
        "no_orphans",
    ),
    _row(
        33,
        "blame_agent_for_cancel",
        _with_registry(BlameAgentForCancel),
        "a parked call that was cancelled from inside is reported as cancelled by the agent",
        "registry-races/33",
    ),
)

FLAWS: Final[dict[str, Plantable]] = {p.flaw.name: p for p in (*_OF_LOOPS, *_OF_REGISTRIES)}
