"""``simkit record``: a proxy that writes a scenario of what a real provider said.

The idea: names are refused before the proxy starts, since what it records costs money. Writing once at the end was
refused: a recording that is killed would be lost.
"""

from __future__ import annotations

import sys

import click

from simkit.commands.files import EPILOG_OF_FILES, LOOPBACK, read_again, refuse_file, refuse_there
from simkit.commands.terminal import counted, say
from simkit.errors import UsageError
from simkit.options import SUFFIX


@click.command("record", epilog=EPILOG_OF_FILES)
@click.option("--upstream", required=True, metavar="URL", help="The real provider, such as https://api.openai.com.")
@click.option("--host", default=LOOPBACK, show_default=True, help="The address to listen on.")
@click.option("--port", default=0, metavar="N", type=click.IntRange(0, 65535), help="The port; a free one without it.")
@click.option(
    "-o",
    "--output",
    default=f"recorded{SUFFIX}",
    metavar="FILE",
    show_default=True,
    help="The scenario, a new file; its cassette goes beside it.",
)
@click.option(
    "--redact",
    multiple=True,
    metavar="FIELD",
    help="Mask this header, key of the query, or key of JSON at any depth, beside those that are masked anyway.",
)
@click.option("--requests", metavar="N", type=click.IntRange(1), help="Stop after so many requests.")
def command(upstream: str, host: str, port: int, output: str, redact: tuple[str, ...], requests: int | None) -> None:
    """Record a real provider: a proxy that writes down what was said, in which pieces, and when.

    Give its address to your SDK as base_url, run your agent, and press Ctrl-C. The scenario plays the same pieces with
    the same gaps (rounded to 1 ms) and the same end, also of a stream that broke off. The cassette beside it loads with
    vcrpy. Both are written anew after each request, with keys and authorization masked.

    \b
    Examples:
      simkit record --upstream https://api.openai.com
      simkit record --upstream https://api.openai.com/v1 --port 8080 -o chat.sim.yaml --redact user_id
    """
    import asyncio  # lazy: reading a cassette, or help, needs no loop

    from simkit.provider.masking import Masking  # lazy: as above
    from simkit.provider.proxy import Proxy, Upstream  # lazy: as above
    from simkit.provider.proxy import record as record_until_done  # lazy: as above
    from simkit.provider.recorder import Recording, cassette_beside  # lazy: as above

    server = Upstream.parse(upstream)
    cassette = cassette_beside(output, SUFFIX)
    refuse_file(output)
    refuse_there(cassette)
    recording = Recording(output, cassette, Masking.of(redact))

    def ready(address: str) -> None:
        say(sys.stdout, f"recording {upstream}; give your SDK base_url {address}{_base_path(server.path)}")
        say(sys.stdout, "press Ctrl-C to stop")

    async def serve() -> None:
        proxy = Proxy(server, recording, lambda line: say(sys.stdout, line), requests)
        await record_until_done(proxy, host, port, ready)

    try:
        asyncio.run(serve())
    except OSError as error:
        raise UsageError(f"the recording cannot be written to {output!r}: {error.strerror or error}") from error
    finally:
        if len(recording):
            say(sys.stdout, f"\n{output} and {cassette}: {counted(len(recording), 'request')}")
    if len(recording):
        read_again(output)


def _base_path(path: str) -> str:
    """Return what an SDK's base URL has behind the address of the proxy, if the upstream was given without it."""
    return "" if path else "/v1 (or what your provider's has behind its host)"
