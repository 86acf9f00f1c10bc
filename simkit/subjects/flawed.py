"""Historical faults of agents, each planted into simkit's own agent from outside: the one table of them.

The idea: a fault is a function from blueprint to blueprint that changes one limit, wraps the client, or puts a small
subclass with one overridden seam in place of the loop or the registry. The constraint it protects: nothing in
``simkit.agent`` knows of faults, so the sound agent has no switch that could be left on. A scenario that passes under
the fault it was written for is not a test; that is what these are for.

The overrides stand beside this file: ``flawed_answers``, ``flawed_client``, ``flawed_loop``, ``flawed_turns`` and
``flawed_registry``. The last are the faults that the review of a published registry found, one row of it each; it
numbers what a registry must keep.

What a flaw ``breaks`` are laws, or facts of ``expect``, that every scenario which catches it sees broken. Where no
scenario can show it, because it takes two things in one turn of the event loop, it is the row itself
(``registry-races/10``), and a test in a world sees that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from simkit.agent.clients import Client, ClientOptions
from simkit.agent.loop import Loop
from simkit.agent.registry import Registry
from simkit.agent.stream import Assembly
from simkit.contracts import Flaw
from simkit.errors import UsageError
from simkit.extensions import nearest
from simkit.subjects.blueprint import Blueprint
from simkit.subjects.flawed_answers import (
    ArgumentsToLastCall,
    CountEveryMention,
    DropEqualCalls,
    DropOrphanArguments,
    ErrorIsAnswer,
    FinishNeedsCleanEnd,
    GoOnByReason,
    IncompleteIsSuccess,
    JoinNames,
    KeepFirstName,
    ObeyFinishStop,
    RetryEveryStreamError,
    StopReadingAtFinish,
    StreamErrorIsFinal,
)
from simkit.subjects.flawed_client import (
    AskAnewWhenExpired,
    AskAnewWhenWindowClosed,
    BlockWhileWaiting,
    IgnoreRetryAfter,
    LeakStreamErrors,
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
    DeadlineForWholeAnswer,
    DemandReasonAndMarker,
    EndCallsWithTurn,
    KeepGivenIds,
    LeakContinuationToken,
    LimitDropsCalls,
    NewRegistryEachTurn,
    RefuseEmptyArguments,
    ResultsByArrival,
    RunPartialCalls,
    RunToolsTwice,
    SortCallsByIndex,
    StubFinishStop,
    TrustWholeArguments,
    UniqueIdsPerAnswer,
    WordsAreProgress,
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
    RegistryInScope,
    RegistryOfLatestSession,
    RunParkedCallAgain,
    ShareParentsRegistry,
    ToolCancelCancelsHandler,
)
from simkit.subjects.flawed_turns import (
    DropSignatures,
    LeaveCancelledUnanswered,
    NewClientEachRequest,
    PauseIsStop,
    RepeatRefused,
    SleepThroughAnyWait,
    StartOverAfterCut,
    SwallowFirstError,
    UnknownToolRaises,
)

# Hardly a wait at all, and yet one: an answer in the simulation takes no time, so without any no time would pass.
_HASTY_S: Final = 0.01

# The patience that a published agent had whatever its settings said.
_FIXED_PATIENCE_S: Final = 300.0

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


def _with_assembly(assembly_class: type[Assembly]) -> Plant:
    class Misreads(Loop):
        def assembly(self) -> Assembly:
            return assembly_class()

    return _with_loop(Misreads)


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


def _begin_deadline_late(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, first_event_s=math.inf))


def _with_fixed_patience(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, stale_after_s=_FIXED_PATIENCE_S))


def _without_bounds(blueprint: Blueprint) -> Blueprint:
    limits = replace(blueprint.limits, max_continuations=_WITHOUT_END, max_requests=_WITHOUT_END)
    return replace(blueprint, limits=limits)


def _reconnect_without_end(blueprint: Blueprint) -> Blueprint:
    limits = replace(blueprint.limits, max_resends=_WITHOUT_END, max_requests=_WITHOUT_END)
    return replace(blueprint, limits=limits)


def _fail_with_first_poll(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, poll_failures_max=0))


def _poll_without_deadline(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, poll_deadline_s=math.inf))


def _poll_too_often(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, poll_every_s=_HASTY_S))


def _wait_for_tools_forever(blueprint: Blueprint) -> Blueprint:
    return replace(blueprint, limits=replace(blueprint.limits, tool_budget_s=None))


def _with_new_clients(blueprint: Blueprint) -> Blueprint:
    def connect(options: ClientOptions) -> Client:
        return NewClientEachRequest(blueprint.connect, options)

    return replace(blueprint, connect=connect)


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
            name="deadline_from_first_content",
            says="the idle deadline begins with the first content, so an answer that never begins is waited for",
            source="microsoft/vscode issue 321432; openai/codex issue 31376",
            breaks=("bounded_silence",),
        ),
        _begin_deadline_late,
    ),
    Plantable(
        Flaw(
            name="fixed_patience",
            says="a silent stream is given up after five minutes, whatever the settings say",
            source="NousResearch/hermes-agent pull 12891; GCWing/OpenBitFun pull 527",
            breaks=("expect.continuations",),
        ),
        _with_fixed_patience,
    ),
    Plantable(
        Flaw(
            name="deadline_for_whole_answer",
            says="the idle deadline is one for the whole answer, so a long one is given up however alive it is",
            source="timothy-agent/timothy pull 163",
            breaks=("expect.continuations",),
        ),
        _with_loop(DeadlineForWholeAnswer),
    ),
    Plantable(
        Flaw(
            name="words_are_progress",
            says="only what the user is shown is progress: the pieces of a call, and thoughts, reset no deadline",
            source="timothy-agent/timothy pull 669",
            breaks=("expect.continuations",),
        ),
        _with_loop(WordsAreProgress),
    ),
    Plantable(
        Flaw(
            name="leak_stream_errors",
            says="a connection that breaks within an answer raises the HTTP library's own error, which nobody takes",
            source="strands-agents/harness-sdk issue 2771; kortix-ai/suna issue 66",
            breaks=("ends",),
        ),
        _with_client(LeakStreamErrors),
    ),
    Plantable(
        Flaw(
            name="trust_whole_arguments",
            says="a call whose arguments are valid JSON runs, though its answer broke off and nobody said it was meant",
            source="NousResearch/hermes-agent pull 100160; vercel/ai pull 16838",
            breaks=("expect.tool_calls",),
        ),
        _with_loop(TrustWholeArguments),
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
            name="demand_reason_and_marker",
            says="an answer without a finish reason, or without the closing marker, counts as cut",
            source="can1357/oh-my-pi issue 9433; openclaw/openclaw pull 98575",
            breaks=("expect.continuations",),
        ),
        _with_loop(DemandReasonAndMarker),
    ),
    Plantable(
        Flaw(
            name="limit_drops_calls",
            says="calls of an answer that ended at the output limit are dropped, also those that are whole",
            source="NousResearch/hermes-agent pull 6847",
            breaks=("expect.continuations",),
        ),
        _with_loop(LimitDropsCalls),
    ),
    Plantable(
        Flaw(
            name="unique_ids_per_answer",
            says="ids of calls are made unique within an answer, so calls of two answers share one",
            source="anthropics/claude-code issue 20693; stanfordnlp/dspy pull 9825",
            breaks=("expect.last_message",),
        ),
        _with_loop(UniqueIdsPerAnswer),
    ),
    Plantable(
        Flaw(
            name="refuse_empty_arguments",
            says="a call whose arguments are an empty text is refused, though its tool takes none",
            source="BerriAI/litellm pull 5064; microsoft/autogen pull 6979",
            breaks=("expect.tool_calls",),
        ),
        _with_loop(RefuseEmptyArguments),
    ),
    Plantable(
        Flaw(
            name="sort_calls_by_index",
            says="pieces of calls are told apart by their index alone, and a missing one is taken for the first",
            source="huggingface/smolagents pull 1958; open-webui/open-webui pull 22235; jin-bo/agentao pull 117",
            breaks=("expect.tool_calls",),
        ),
        _with_loop(SortCallsByIndex),
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
            name="ask_anew_when_expired",
            says="where the provider does not know a running answer any more, its request goes out a second time",
            source="openai/openai-python issue 2828",
            breaks=("expect.requests",),
        ),
        _with_client(AskAnewWhenExpired),
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

_OF_ANSWERS: Final = (
    Plantable(
        Flaw(
            name="drop_orphan_arguments",
            says="arguments for an index at which no call was begun are lost, and the call runs without them",
            source="dirac-run/dirac pull 215",
            breaks=("expect.events",),
        ),
        _with_assembly(DropOrphanArguments),
    ),
    Plantable(
        Flaw(
            name="arguments_to_last_call",
            says="arguments go to the call that was begun last, whatever index they carry",
            source="QwenLM/Qwen-Agent pull 943",
            breaks=("expect.tool_calls",),
        ),
        _with_assembly(ArgumentsToLastCall),
    ),
    Plantable(
        Flaw(
            name="join_names",
            says="a name that is sent again is put behind itself, and no tool is called so",
            source="NousResearch/hermes-agent pull 12230",
            breaks=("expect.tool_calls",),
        ),
        _with_assembly(JoinNames),
    ),
    Plantable(
        Flaw(
            name="keep_first_name",
            says="of a name that comes in pieces only the first one is kept",
            source="continuedev/continue pull 5849",
            breaks=("expect.tool_calls",),
        ),
        _with_assembly(KeepFirstName),
    ),
    Plantable(
        Flaw(
            name="count_every_mention",
            says="a call that is sent again is a further call",
            source="anthropics/anthropic-sdk-csharp issue 53",
            breaks=("expect.tool_calls",),
        ),
        _with_assembly(CountEveryMention),
    ),
    Plantable(
        Flaw(
            name="drop_equal_calls",
            says="of two calls with the same arguments only the first one runs",
            source="NousResearch/hermes-agent 0.14.0, which takes the second for a slip of the model",
            breaks=("expect.tool_calls",),
        ),
        _with_assembly(DropEqualCalls),
    ),
    Plantable(
        Flaw(
            name="obey_finish_stop",
            says="calls run only where the finish reason speaks of them, and are lost where it is stop",
            source="BerriAI/litellm issue 12862; ranxianglei/billion-context pull 131",
            breaks=("expect.tool_calls",),
        ),
        _with_loop(ObeyFinishStop),
    ),
    Plantable(
        Flaw(
            name="go_on_by_reason",
            says="a finish reason that speaks of calls sends the same request again, though there were none",
            source="mastra-ai/mastra pull 14187",
            breaks=("no_repeated_request",),
        ),
        _with_loop(GoOnByReason),
    ),
    Plantable(
        Flaw(
            name="stop_reading_at_finish",
            says="nothing is read behind the finish reason, so the token counts are lost",
            source="agentjido/req_llm issue 781",
            breaks=("expect.usage",),
        ),
        _with_client(StopReadingAtFinish),
    ),
    Plantable(
        Flaw(
            name="finish_needs_clean_end",
            says="an answer whose connection breaks behind its finish reason counts as cut",
            source="NousResearch/hermes-agent issue 91373",
            breaks=("expect.requests",),
        ),
        _with_client(FinishNeedsCleanEnd),
    ),
    Plantable(
        Flaw(
            name="stream_error_is_final",
            says="an error in the middle of a stream is taken for one that stays, for the status was 200",
            source="anthropics/anthropic-sdk-python issues 1258 and 1918",
            breaks=("expect.outcome",),
        ),
        _with_client(StreamErrorIsFinal),
    ),
    Plantable(
        Flaw(
            name="retry_every_stream_error",
            says="an error in the middle of a stream is taken for one that passes, whatever the provider calls it",
            source="tinyhumansai/openhuman pull 2200; QwenLM/qwen-code pull 11291",
            breaks=("expect.requests",),
        ),
        _with_client(RetryEveryStreamError),
    ),
    Plantable(
        Flaw(
            name="error_is_answer",
            says="the words of an error are shown as the model's answer, and the turn has finished",
            source="letta-ai/letta-code pull 1179",
            breaks=("expect.outcome",),
        ),
        _with_loop(ErrorIsAnswer),
    ),
    Plantable(
        Flaw(
            name="incomplete_is_success",
            says="an answer that the provider calls incomplete counts as finished",
            source="openai/openai-agents-python issue 3106; langchain-ai/langchain issue 33840",
            breaks=("expect.events",),
        ),
        _with_loop(IncompleteIsSuccess),
    ),
    Plantable(
        Flaw(
            name="reconnect_without_end",
            says="a stream that breaks before anything has come is opened again for as long as it breaks",
            source="openai/codex issue 37996",
            breaks=("bounded_requests",),
        ),
        _reconnect_without_end,
    ),
)

_OF_TURNS: Final = (
    Plantable(
        Flaw(
            name="start_over_after_cut",
            says="an answer that broke off is asked for anew, and comes behind the part of it that is shown already",
            source="HKUDS/nanobot issue 4038; aden-hive/hive pull 7265",
            breaks=("expect.events",),
        ),
        _with_loop(StartOverAfterCut),
    ),
    Plantable(
        Flaw(
            name="sleep_through_any_wait",
            says="when the provider asks to be left alone for an hour, the turn sleeps for an hour",
            source="CopilotKit/CopilotKit pull 3727",
            breaks=("expect.outcome",),
        ),
        _with_client(SleepThroughAnyWait),
    ),
    Plantable(
        Flaw(
            name="repeat_refused",
            says="a request that the provider will not have is sent again, and again",
            source="Kilo-Org/kilocode issue 13983; anomalyco/opencode issue 37871; CopilotKit/CopilotKit pull 3727",
            breaks=("bounded_requests",),
        ),
        _with_client(RepeatRefused),
    ),
    Plantable(
        Flaw(
            name="swallow_first_error",
            says="when a second model fails too, nobody hears why the first one did",
            source="BerriAI/litellm issue 19077; BerriAI/litellm pull 36267",
            breaks=("expect.events",),
        ),
        _with_loop(SwallowFirstError),
    ),
    Plantable(
        Flaw(
            name="pause_is_stop",
            says="an answer that the provider paused is taken for one that is over",
            source="gsd-build/gsd-2 pull 2870; anthropics/anthropic-sdk-csharp issue 230",
            breaks=("expect.requests",),
        ),
        _with_assembly(PauseIsStop),
    ),
    Plantable(
        Flaw(
            name="drop_signatures",
            says="the signature of a thought, and what else only its wire understands, does not go back",
            source="bitrouter/bitrouter pull 592; code-yeongyu/oh-my-openagent issue 2775",
            breaks=("expect.last_message",),
        ),
        _with_assembly(DropSignatures),
    ),
    Plantable(
        Flaw(
            name="leave_cancelled_unanswered",
            says="a call that was cancelled stands in the history without a result, so every later request is refused",
            source="anthropics/claude-code issue 3003; earendil-works/pi issue 3344",
            breaks=("history_well_formed",),
        ),
        _with_client(LeaveCancelledUnanswered),
    ),
    Plantable(
        Flaw(
            name="unknown_tool_raises",
            says="a call of a tool that does not exist ends the program instead of being answered",
            source="openai/openai-agents-python pull 3402; run-llama/llama_index issue 7170",
            breaks=("ends",),
        ),
        _with_loop(UnknownToolRaises),
    ),
    Plantable(
        Flaw(
            name="wait_for_tools_forever",
            says="a tool may keep its turn waiting for as long as it likes",
            source="strands-agents/harness-sdk issue 4403; OpenHands/OpenHands issue 9776",
            breaks=("ends",),
        ),
        _wait_for_tools_forever,
    ),
    Plantable(
        Flaw(
            name="new_client_each_request",
            says="every request has a client of its own, whose connection stays open while the next ones are made",
            source="mistralai/client-python issue 532; openai/openai-python issue 763",
            breaks=("expect.last_message",),
        ),
        _with_new_clients,
    ),
    Plantable(
        Flaw(
            name="scope_over_yields",
            says="a cancel scope is entered by one task and left by another, the one that closes a dropped generator",
            source="openai/openai-agents-python issue 840; Mng-dev-ai/agentrove pull 192",
            breaks=("no_lost_errors",),
        ),
        _with_registry(RegistryInScope),
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
        "expect.last_message",
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
        "expect.last_message",
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
            breaks=("ends",),
        ),
        _with_registry(LetExitsOut),
        28,
    ),
    _row(
        30,
        "registry_of_latest_session",
        _with_registry(RegistryOfLatestSession),
        "the end of one session cancels the calls of the session that began last",
        "expect.events",
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
        "expect.last_message",
    ),
)

FLAWS: Final[dict[str, Plantable]] = {p.flaw.name: p for p in (*_OF_LOOPS, *_OF_ANSWERS, *_OF_TURNS, *_OF_REGISTRIES)}
