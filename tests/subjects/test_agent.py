from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from simkit.agent import clients
from simkit.agent.clients import ClientOptions
from simkit.agent.decisions import Limits
from simkit.contracts import Sim
from simkit.errors import SubjectError, UsageError
from simkit.subjects.agent import AGENT, blueprint_of, imports, run
from tests.agent.wire import DONE, Move, delta, frame, part, provider, reply
from tests.subjects.fake_sim import FakeTool, fake_sim


def cost(read: int, written: int) -> bytes:
    """The chunk that tells what an answer has cost."""
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return frame({**head, "choices": [], "usage": usage})


ANSWER: list[Move] = [delta(content="hello"), delta("stop"), DONE]


def reports(
    *scripts: list[Move], texts: tuple[str, ...], tool: FakeTool | None = None, **settings: object
) -> list[tuple[object, ...]]:
    async def main() -> list[tuple[object, ...]]:
        async with provider(*scripts) as server:
            sim = fake_sim(*texts, url=server.base_url, tool=tool, **settings)
            await run(sim)
            await server.idle.wait()
        return sim.reports[1:]

    return asyncio.run(main())


def test_each_message_of_the_user_is_a_turn_of_one_session() -> None:
    assert reports(ANSWER, ANSWER, texts=("one", "two")) == [
        ("turn_started", "one"),
        ("said", "hello"),
        ("note", "usage", {"input": 0, "output": 0}),
        ("turn_ended", "finished", "hello"),
        ("turn_started", "two"),
        ("said", "hello"),
        ("note", "usage", {"input": 0, "output": 0}),
        ("turn_ended", "finished", "hello"),
    ]


def test_a_sub_agent_answers_in_a_session_of_its_own_of_which_the_user_hears_nothing() -> None:
    ask: list[Move] = [part(0, '{"task": "tidy up"}', "ask_sub_agent", "a"), delta("tool_calls"), DONE]
    tidied: list[Move] = [delta(content="tidied"), delta("stop"), DONE]
    heard = reports(ask, tidied, ANSWER, texts=("one",), sub_agent=True)
    assert [(r[0], r[1]) for r in heard if r[0] != "note"] == [
        ("turn_started", "one"),
        ("said", "hello"),
        ("turn_ended", "finished"),
    ]


def test_a_turn_says_once_what_all_its_answers_have_cost() -> None:
    call: list[Move] = [part(0, "{}", "write", "a"), delta("tool_calls"), cost(25, 15), DONE]
    heard = reports(call, [*ANSWER[:-1], cost(50, 8), DONE], texts=("one",), tool=FakeTool("write"))
    assert [r for r in heard if r[1] == "usage"] == [("note", "usage", {"input": 75, "output": 23})]


def test_the_sims_tools_run_and_what_the_loop_observes_is_noted() -> None:
    tool = FakeTool("write")
    cut: list[Move] = [part(0, '{"n"', "write", "a")]
    call: list[Move] = [part(0, '{"n": 1}', "write", "a"), delta("tool_calls"), DONE]
    heard = reports(cut, call, ANSWER, texts=("one",), tool=tool)
    assert (heard[1:3], tool.runs) == (
        [
            ("note", "partial_stub", {"finish_reason": "length", "dropped": ["write"]}),
            ("note", "continuation", {"number": 1, "form": "dropped_calls"}),
        ],
        [{"n": 1}],
    )


def test_a_turn_that_falls_short_says_why() -> None:
    heard = reports([reply("400 Bad Request", b'{"error": {"message": "no"}}')], texts=("one",))
    assert [r[1] for r in heard] == ["one", "usage", "turn_fell_short", "failed"]


def test_the_settings_become_the_blueprint() -> None:
    sim = fake_sim(stale_after=400.0, max_continuations=1, max_requests=4, max_retries=0, model="m")
    blueprint = blueprint_of(sim)
    assert (blueprint.options, blueprint.limits, sim.reports) == (
        ClientOptions(
            base_url="http://127.0.0.1:9/v1",
            api_key="sk-test-simkit",
            model="m",
            max_retries=0,
            read_timeout_s=800.0,
        ),
        Limits(stale_after_s=400.0, max_continuations=1, max_requests=4),
        [("base_url", "openai-chat")],
    )


def test_what_the_agent_may_do_when_no_answer_comes_is_a_setting_each() -> None:
    sim = fake_sim(
        dialect="openai-responses",
        fallback_model="second",
        stream=False,
        background=True,
        first_event=30.0,
        turn_deadline=600.0,
        poll_every=5.0,
        poll_deadline=90.0,
        max_own_retries=2,
    )
    blueprint = blueprint_of(sim)
    assert (blueprint.fallback, blueprint.limits) == (
        replace(blueprint.options, model="second"),
        Limits(first_event_s=30.0, turn_deadline_s=600.0, poll_every_s=5.0, poll_deadline_s=90.0, max_own_retries=2),
    )
    assert (blueprint.options.stream, blueprint.options.background, blueprint.options.model) == (
        False,
        True,
        "gpt-5-mini",
    )


def test_by_default_the_settings_change_none_of_the_sessions_limits() -> None:
    blueprint = blueprint_of(fake_sim())
    assert (blueprint.limits, blueprint.fallback) == (Limits(), None)


def test_background_over_a_wire_that_has_none_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(UsageError, match="'background' is true with dialect 'anthropic', expected one of: openai-resp"):
        blueprint_of(fake_sim(dialect="anthropic", background=True))


def test_an_answer_that_the_provider_does_not_keep_cannot_run_on_there() -> None:
    with pytest.raises(UsageError, match="'store' is false with 'background', expected true"):
        blueprint_of(fake_sim(dialect="openai-responses", background=True, store=False))


def test_only_the_sdk_of_the_dialect_is_loaded_before_a_run() -> None:
    assert {d: imports({"dialect": d})[0] for d in clients.DIALECTS} == {
        "openai-chat": "openai",
        "openai-responses": "openai",
        "anthropic": "anthropic",
    }


def test_the_sdks_own_read_timeout_is_never_shorter_than_its_default() -> None:
    assert blueprint_of(fake_sim(stale_after=1.0)).options.read_timeout_s == 600.0


def test_a_setting_that_is_no_number_is_named() -> None:
    with pytest.raises(UsageError, match="setting 'stale_after' of subject 'agent' is '180s', expected a number"):
        blueprint_of(fake_sim(stale_after="180s"))


def test_a_missing_sdk_is_told_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(clients.DIALECTS, "openai-chat", "simkit.agent.no_such_sdk:Client")
    with pytest.raises(SubjectError, match=r"install the extra, such as pytest-simkit\[openai\]"):
        asyncio.run(run(fake_sim("one")))


def test_the_table_offers_every_dialect_that_a_client_speaks() -> None:
    table = AGENT.settings or {}
    assert (AGENT.name, table["dialect"].choices) == ("agent", tuple(clients.DIALECTS))


def test_the_fake_sim_is_a_sim() -> None:
    sim: Sim = fake_sim("one")  # mypy holds it to the contract
    assert list(sim.user) == ["one"]
