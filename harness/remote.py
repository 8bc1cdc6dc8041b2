"""Connect workers on other machines to the driver, by TCP.

The driver opens a door and starts :func:`serve` on other machines, in any way. Both sides prove that they know the key. The
content is not encrypted: this is for the network inside a cluster. Keepalive tells both sides within two minutes that the
other machine is gone.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any

from harness.engine import DEATHS, Surroundings, start

HANDSHAKE_S = 10
"""Seconds that the other side may take to answer, until it counts as a stranger."""


@dataclass(frozen=True)
class Address:
    """Where the driver listens, and the key of its workers. It is a secret, and is never printed."""

    hosts: tuple[str, ...]
    """Names and numbers of the driver's machine; the first one that answers is used."""
    port: int
    key: bytes = field(repr=False)


class Door:
    """The driver's listening socket."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("", 0), backlog=1024)
        self._socket.setblocking(False)
        self.address = Address(tuple(_hosts()), self._socket.getsockname()[1], secrets.token_bytes(32))

    def fileno(self) -> int:
        """Return the descriptor, for :func:`multiprocessing.connection.wait`."""
        return self._socket.fileno()

    def admit(self) -> tuple[int, Connection[Any, Any]] | None:
        """Accept a waiting worker. Return its number and its connection; None for a stranger, who is sent away."""
        try:
            accepted, _ = self._socket.accept()
        except OSError:
            return None
        accepted.setblocking(True)
        pipe = _pipe(accepted)
        try:
            deliver_challenge(pipe, self.address.key)
            answer_challenge(pipe, self.address.key)
            number = int(pipe.recv_bytes(16))
        except (OSError, EOFError, AuthenticationError, ValueError):
            pipe.close()
            return None
        _patient(pipe)
        return number, pipe

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close()


def serve(address: Address, number: int, workers: int, around: Surroundings) -> None:
    """Keep workers on this machine until the driver dismisses them or is gone.

    Args:
        number: what :meth:`Door.admit` returns for each of them.
        workers: how many at a time. One that dies is replaced at once, up to ``DEATHS`` times.
    """
    slots = [threading.Thread(target=_slot, args=(address, number, around.on_this_node())) for _ in range(workers)]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.join()


def _slot(address: Address, number: int, around: Surroundings) -> None:
    for _ in range(DEATHS):
        pipe = _connect(address, number)
        if pipe is None:
            return
        with pipe:
            process = start(pipe.fileno(), around.variables(), around.folder)
        if process.wait() == 0:  # dismissed, or the driver is gone
            return
        time.sleep(1.0)


def _connect(address: Address, number: int) -> Connection[Any, Any] | None:
    """Return a connection to the driver; None if it is gone."""
    for host in address.hosts:
        with contextlib.suppress(OSError, EOFError, AuthenticationError):
            pipe = _pipe(socket.create_connection((host, address.port), timeout=HANDSHAKE_S))
            answer_challenge(pipe, address.key)
            deliver_challenge(pipe, address.key)
            pipe.send_bytes(str(number).encode())
            _patient(pipe)
            return pipe
    return None


def _hosts() -> Iterator[str]:
    """Yield this machine's names and addresses, those that other machines can use first."""
    name = socket.gethostname()
    numbers: Sequence[str] = []
    with contextlib.suppress(OSError):
        numbers = socket.gethostbyname_ex(name)[2]
    yield from dict.fromkeys(
        sorted([name, socket.getfqdn(), *numbers], key=lambda host: host.startswith(("127.", "localhost")))
    )


def _pipe(connected: socket.socket) -> Connection[Any, Any]:
    """Return a socket as a connection that gives up after ``HANDSHAKE_S`` of silence, and notices a machine that is gone."""
    connected.settimeout(None)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):  # not on every system
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", HANDSHAKE_S, 0))
    return Connection(connected.detach())


def _patient(pipe: Connection[Any, Any]) -> None:
    """Let a connection wait for ever again."""
    with socket.socket(fileno=pipe.fileno()) as connected:
        try:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
        finally:
            connected.detach()
