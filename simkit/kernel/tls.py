"""TLS as a pass-through: ``https://`` works without certificates and without cost.

The idea: the encryption between an SDK and a simulated provider proves nothing about an agent, so the handshake
is agreed to at once and the bytes go through as they are. The constraint: the unmodified clients call
``wrap_bio`` and read from the object it gives, so the seam is exactly there, and loading trust stores (20 ms a
client) still fails where the file is missing. Real OpenSSL with a made-up authority was refused: it needs the
real clock and costs milliseconds a connection.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simkit.kernel.patches import Patches
    from simkit.kernel.threads import Threads


class PassThrough:
    """What ``SSLContext.wrap_bio`` gives inside a world: an ``SSLObject`` that encrypts nothing."""

    def __init__(
        self,
        context: ssl.SSLContext,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server: bool,
        name: str | None,
    ) -> None:
        self.context = context
        self.server_side = server
        self.server_hostname = name
        self.session = None
        self.session_reused = False
        self._incoming = incoming
        self._outgoing = outgoing

    def do_handshake(self) -> None:
        """Agree at once."""

    def read(self, size: int = 1024, buffer: bytearray | memoryview | None = None) -> bytes | int:
        """Return up to ``size`` bytes, or fill ``buffer``. Raises ``SSLWantReadError`` while nothing has come."""
        data = self._incoming.read(size)
        if not data and not self._incoming.eof:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "no data yet")
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Put bytes on the wire as they are."""
        return self._outgoing.write(data)

    def pending(self) -> int:
        """Return how many bytes can be read at once."""
        return self._incoming.pending

    def unwrap(self) -> None:
        """End the layer; there is no close notice to wait for."""

    def getpeercert(self, binary_form: bool = False) -> dict[str, object] | bytes:
        """Return an empty certificate: nobody was checked."""
        return b"" if binary_form else {}

    def cipher(self) -> tuple[str, str, int]:
        """Return what a client would log."""
        return ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)

    def version(self) -> str:
        """Return the protocol that a client would see."""
        return "TLSv1.3"

    def selected_alpn_protocol(self) -> None:
        """Return None: the client falls back to HTTP/1.1, which is what the provider speaks."""

    selected_npn_protocol = compression = selected_alpn_protocol

    def shared_ciphers(self) -> None:
        """Return None, as a client's object does."""

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None:  # ssl's own signature
        """Return None: there is no channel to bind to."""


# Methods that load trust stores, by the arguments that name a file or a folder.
_LOADERS: Final = ("load_default_certs", "set_default_verify_paths")


def install_tls(patches: Patches, threads: Threads) -> None:
    """Let TLS pass through for the threads of a world."""
    real_wrap = ssl.SSLContext.wrap_bio
    real_load = ssl.SSLContext.load_verify_locations

    def wrap_bio(
        self: ssl.SSLContext,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> object:
        if threads.here() is None:
            return real_wrap(self, incoming, outgoing, server_side, server_hostname, session)
        return PassThrough(self, incoming, outgoing, server_side, server_hostname)

    def load_verify_locations(
        self: ssl.SSLContext, cafile: object = None, capath: object = None, cadata: object = None
    ) -> None:
        named = [path for path in (cafile, capath) if isinstance(path, (str, bytes, os.PathLike))]
        if threads.here() is None or cadata is not None or not named or not all(map(os.path.exists, named)):
            real_load(self, cafile, capath, cadata)  # type: ignore[arg-type]  # the caller's own arguments

    patches.set(ssl.SSLContext, "wrap_bio", wrap_bio)
    # The rest is C; a Python method on the class shadows it and is taken away again.
    patches.add(ssl.SSLContext, "load_verify_locations", load_verify_locations)
    for name in _LOADERS:
        real = getattr(ssl.SSLContext, name)

        def load(self: ssl.SSLContext, *args: object, _real: object = real) -> None:
            if threads.here() is None:
                _real(self, *args)  # type: ignore[operator]  # a method of SSLContext

        (patches.set if name in vars(ssl.SSLContext) else patches.add)(ssl.SSLContext, name, load)
