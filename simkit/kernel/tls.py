"""TLS as a pass-through: ``https://`` works without certificates and without cost.

The idea: the encryption between an SDK and a simulated provider proves nothing about an agent, so the handshake
is agreed to at once and the bytes go through as they are. The constraint: the unmodified clients call
``wrap_bio`` and read from the object it gives, so the seam is exactly there, and loading trust stores (20 ms a
client) still fails where the file is missing. Real OpenSSL with a made-up authority was refused: it needs the
real clock and costs milliseconds a connection.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from simkit.kernel.sockets import SimSocket
from simkit.kernel.threads import here, running_world

if TYPE_CHECKING:
    from simkit.kernel.patches import Patches


class Facts:
    """What a client may ask of a TLS connection after the handshake, whatever carries it."""

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

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None:
        """Return None: there is no channel to bind to."""


class PassThrough(Facts):
    """What ``SSLContext.wrap_bio`` gives inside a world: an ``SSLObject`` that encrypts nothing."""

    def __init__(
        self, context: ssl.SSLContext, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server: bool, name: str | None
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


class SimTLSSocket(Facts, SimSocket, ssl.SSLSocket):  # type: ignore[misc]  # the simulated methods hide the real ones
    """What ``SSLContext.wrap_socket`` gives inside a world: the same connection under another class."""

    # Plain values, in place of properties that would ask OpenSSL.
    context: Any = None
    server_side: bool = False
    server_hostname: str | None = None
    session = None
    session_reused = False

    @property
    def _sslobj(self) -> SimTLSSocket:
        """HTTP clients look below the socket for what was agreed; it answers that itself."""
        return self

    def do_handshake(self, block: bool = False) -> None:
        """Agree at once."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002  # ssl's own name
        """Read as from the socket."""
        return self.recv(len) if buffer is None else self.recv_into(buffer, len)

    def write(self, data: Any) -> int:
        """Write as to the socket."""
        return self.send(data)

    @property
    def _sends_all(self) -> bool:
        """OpenSSL comes back when a record is on its way as a whole, with a timeout too."""
        return self.gettimeout() != 0

    def pending(self) -> int:
        """Return 0: nothing is held between the connection and the reader."""
        return 0

    def unwrap(self) -> socket.socket:
        """Return the plain connection, which is the same object as in ssl; there is no close notice to wait for."""
        return self


_real_wrap_bio: Final = ssl.SSLContext.wrap_bio
_real_wrap_socket: Final = ssl.SSLContext.wrap_socket
_real_load: Final = ssl.SSLContext.load_verify_locations


def _wrap_bio(
    self: ssl.SSLContext,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    server_side: bool = False,
    server_hostname: str | None = None,
    session: ssl.SSLSession | None = None,
) -> object:
    if here() is None:
        return _real_wrap_bio(self, incoming, outgoing, server_side, server_hostname, session)
    return PassThrough(self, incoming, outgoing, server_side, server_hostname)


def _wrap_socket(
    self: ssl.SSLContext,
    sock: socket.socket,
    server_side: bool = False,
    do_handshake_on_connect: bool = True,
    suppress_ragged_eofs: bool = True,
    server_hostname: str | None = None,
    session: ssl.SSLSession | None = None,
) -> socket.socket:
    connection = _connection_of(sock)
    if connection is None:
        return _real_wrap_socket(
            self, sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
        )
    if self.check_hostname and not server_hostname and not server_side:
        raise ValueError("check_hostname requires server_hostname")
    wrapped: SimTLSSocket = connection.reborn(SimTLSSocket)
    wrapped.context, wrapped.server_side, wrapped.server_hostname = self, server_side, server_hostname
    connection.let_go()
    return wrapped


def _connection_of(sock: socket.socket) -> SimSocket | None:
    """Return the simulated socket, also behind an object that only stands for one: ssl goes by the descriptor."""
    if isinstance(sock, SimSocket):
        return sock
    world = running_world()
    return None if world is None else world.network.sockets.get(sock.fileno())


def _load_verify_locations(
    self: ssl.SSLContext, cafile: object = None, capath: object = None, cadata: object = None
) -> None:
    """Load nothing where the files are there: 20 ms of every client. A missing file still fails as it would."""
    named = [path for path in (cafile, capath) if isinstance(path, (str, bytes, os.PathLike))]
    if here() is None or cadata is not None or not named or not all(map(os.path.exists, named)):
        _real_load(self, cafile, capath, cadata)  # type: ignore[arg-type]  # the caller's own arguments


def _loading(real: Callable[..., None]) -> Callable[..., None]:
    def load(self: ssl.SSLContext, *args: object) -> None:
        if here() is None:
            real(self, *args)

    return load


def install(patches: Patches) -> None:
    """Let TLS pass through for the threads of a world."""
    patches.set(ssl.SSLContext, "wrap_bio", _wrap_bio)
    patches.set(ssl.SSLContext, "wrap_socket", _wrap_socket)
    # The rest is C; a Python method on the class shadows it and is taken away again.
    patches.add(ssl.SSLContext, "load_verify_locations", _load_verify_locations)
    for name in ("load_default_certs", "set_default_verify_paths"):
        place = patches.set if name in vars(ssl.SSLContext) else patches.add
        place(ssl.SSLContext, name, _loading(getattr(ssl.SSLContext, name)))
