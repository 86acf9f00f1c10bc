"""Other hosts: what an agent's tools talk to that is not the provider.

The idea: a host gives the same answer to every request, cannot be reached, or plays a cassette. The constraint: each
request is in the trace by method, host, path and status, and nothing else of it, because what tools exchange with
other hosts is full of secrets. Scripts for other hosts were refused: what a tool gives is said under ``tools:``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simkit.contracts import HttpRequest
from simkit.model.timeline import CassetteReply, HostReply, StatusReply, UnreachableReply
from simkit.provider.conversation import Conversation
from simkit.provider.exchange import Run

# Status, headers and body of an answer; or, where there is none, why.
Answer = tuple[int, Mapping[str, str], bytes] | str


def serve_host(run: Run, name: str, reply: HostReply) -> None:
    """Make a host known that is not the provider. Raises ``UsageError`` when its cassette cannot be read."""
    answer_of = _answerer(name, reply)

    def answer(conversation: Conversation, request: HttpRequest) -> None:
        line = conversation.line
        played = answer_of(line.port, request)
        if isinstance(played, str):
            raise run.end("unmatched", played)
        status, headers, body = played
        run.stage.record(
            "provider",
            "other.request",
            connection=line.connection,
            method=request.method,
            host=name,
            path=request.path,
            status=status,
        )
        conversation.send_whole(status, headers, body)

    def admit(port: int, stage: str) -> str | None:
        how = reply.how if isinstance(reply, UnreachableReply) else None
        return how if (how == "unknown_host") == (stage == "name") else None

    run.stage.serve(name, lambda line: Conversation(run.stage, line, answer), admit)


def _answerer(name: str, reply: HostReply) -> Callable[[int, HttpRequest], Answer]:
    if not isinstance(reply, CassetteReply):
        return lambda port, request: _fixed(reply)
    # Lazy: vcrpy looks for every HTTP library there is, half a second that only its users should pay.
    from simkit.provider.cassettes import Cassette

    cassette = Cassette(reply.path)
    return lambda port, request: cassette.play(name, port, request)


def _fixed(reply: StatusReply | UnreachableReply) -> Answer:
    assert isinstance(reply, StatusReply), f"a request came to a host that is {reply}"
    headers = {"content-type": "text/plain; charset=utf-8"}
    if reply.retry_after is not None:
        headers["retry-after"] = reply.retry_after
    headers.update((name.lower(), value) for name, value in reply.headers.items())
    return reply.status, headers, (reply.body or reply.error or "").encode()
