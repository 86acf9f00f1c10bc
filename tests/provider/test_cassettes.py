from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from simkit.contracts import Sim
from simkit.errors import UsageError
from simkit.model.plan import Plan
from simkit.model.scenario import Scenario
from simkit.model.timeline import CassetteReply
from simkit.model.verdict import Result
from simkit.run import run_once
from tests.provider.played import events, last_word, told

Interaction = dict[str, Any]


def interaction(uri: str, body: object, method: str = "GET", **headers: str) -> Interaction:
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {name.replace("_", "-"): [value] for name, value in headers.items()},
        "body": {"string": body},
    }
    return {"request": {"method": method, "uri": uri, "body": None, "headers": {}}, "response": response}


def write(path: Path, *interactions: Interaction) -> Path:
    content = {"interactions": list(interactions), "version": 1}
    path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content), "utf-8")
    return path


def play(path: Path, *urls: str, method: str = "GET") -> Result:
    """Let an agent get these from a.test, which plays the cassette."""

    async def agent(sim: Sim) -> None:
        async with httpx2.AsyncClient() as http:
            for url in urls:
                answer = await http.request(method, url, headers={"authorization": "Bearer abcdef123456"})
                sim.note("over", how=(answer.status_code, answer.text))

    scenario = Scenario(title="a case", provider=(), hosts={"a.test": CassetteReply(path=str(path))})
    return run_once(scenario, Plan(), subject=agent)


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_a_host_answers_what_its_cassette_recorded_and_the_trace_says_that_it_was_asked(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / name, interaction("https://a.test/x?b=2&a=1", "hello"), interaction("http://a.test/y", "y"))
    result = play(path, "https://a.test/x?a=1&b=2", "http://a.test/y")
    assert (told(result), events(result, other_request="method host path status")) == (
        [(0.0, (200, "hello")), (0.0, (200, "y"))],
        [(0.0, "other.request", "GET", "a.test", "/x", 200), (0.0, "other.request", "GET", "a.test", "/y", 200)],
    )


@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        ("text", {}, "text"),
        (b"bytes", {}, "bytes"),
        ("wörld", {"content_type": "text/plain; charset=utf-8"}, "wörld"),
        (gzip.compress(b"packed", mtime=0), {"content_encoding": "gzip"}, "packed"),
        ("was packed", {"content_encoding": "gzip", "content_length": "3"}, "was packed"),
        ("in chunks", {"transfer_encoding": "chunked"}, "in chunks"),
        (None, {}, ""),
    ],
)
def test_a_body_is_played_as_vcr_keeps_it(tmp_path: Path, body: object, headers: dict[str, str], text: str) -> None:
    path = write(tmp_path / "c.yaml", interaction("https://a.test/", body, **headers))
    assert told(play(path, "https://a.test/")) == [(0.0, (200, text))]


def test_a_cassette_of_the_old_form_of_httpx_is_played(tmp_path: Path) -> None:
    old = interaction("https://a.test/", None)
    old["response"] = {"status_code": 201, "http_version": "HTTP/1.1", "headers": {"x": ["1", "2"]}, "content": "old"}
    assert told(play(write(tmp_path / "c.yaml", old), "https://a.test/")) == [(0.0, (201, "old"))]


def test_cookies_are_set_by_as_many_headers_as_were_recorded(tmp_path: Path) -> None:
    recorded = interaction("https://a.test/", "a")
    recorded["response"]["headers"]["Set-Cookie"] = ["a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT", "b=2"]
    cookies = list[str]()

    async def agent(sim: Sim) -> None:
        async with httpx2.AsyncClient() as http:
            cookies.extend((await http.get("https://a.test/")).headers.get_list("set-cookie"))

    path = write(tmp_path / "c.yaml", recorded)
    run_once(
        Scenario(title="a case", provider=(), hosts={"a.test": CassetteReply(path=str(path))}), Plan(), subject=agent
    )
    assert cookies == recorded["response"]["headers"]["Set-Cookie"]


def test_each_interaction_is_played_once_and_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", *[interaction("https://a.test/x", text) for text in ("first", "second")])
    result = play(path, *["https://a.test/x"] * 3)
    assert (told(result), last_word(result)[0], result.verdict.name) == (
        [(0.0, (200, "first")), (0.0, (200, "second"))],
        "unmatched",
        "FAIL",
    )
    assert "(2 recorded, 2 played). Nearest: GET https://a.test/x (played already)" in str(last_word(result)[1])


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://a.test/y", "GET https://a.test/x (path: /y != /x, query: differs in 'key'); "),
        ("https://a.test/x?key=other", "GET https://a.test/x (query: differs in 'key'); "),
        ("http://a.test/x?key=hidden-value", "GET https://a.test/x (scheme: http != https, port: 80 != 443)."),
    ],
)
def test_a_request_that_was_not_recorded_ends_the_run_with_what_differs(tmp_path: Path, url: str, why: str) -> None:
    held = [interaction("https://a.test/x?key=hidden-value", "a"), interaction("https://a.test/x?key=hidden-2", "b")]
    result = play(write(tmp_path / "c.yaml", *(held if why.endswith("; ") else held[:1])), url)
    reason, text = last_word(result)
    assert (reason, f"Nearest: {why}" in str(text), "hidden" in str(text), told(result)) == (
        "unmatched",
        True,
        False,
        [],
    )


def test_another_port_is_asked_for_under_both_schemes(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", interaction("https://a.test:8443/", "a"), interaction("http://a.test:8080/", "b"))
    assert told(play(path, "https://a.test:8443/", "http://a.test:8080/")) == [(0.0, (200, "a")), (0.0, (200, "b"))]


def test_nothing_that_a_cassette_holds_but_method_and_path_is_in_the_trace(tmp_path: Path) -> None:
    secret = interaction("https://a.test/x?key=hidden", "hidden body", "POST", set_cookie="hidden")
    result = play(write(tmp_path / "c.yaml", secret), "https://a.test/x?key=hidden", method="POST")
    asked = [event for event in result.trace if event.kind != "note"]
    assert (len(result.trace.of("note")), "hidden" in repr(asked), "abcdef" in repr(asked)) == (1, False, False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is no file - expected one that vcrpy recorded"),
        ("- 1", "cannot be read: "),
        ("interactions: 7", "cannot be read: "),
        ("{", "cannot be read: "),
    ],
)
def test_what_is_no_cassette_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(UsageError) as error:
        play(path, "https://a.test/")
    assert (str(path) in str(error.value), said in str(error.value)) == (True, True)
