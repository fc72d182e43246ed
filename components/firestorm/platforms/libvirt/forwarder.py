"""The program of a loopback forwarder: run by its path, needs nothing but Python's standard library.

    python forwarder.py NETWORK_NAMESPACE ADDRESS PORT

File descriptor 3 is a listening socket. It was made in the namespace of the caller and stays there; the process then
enters NETWORK_NAMESPACE (a path), where each accepted connection gets a counterpart to ADDRESS:PORT.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import struct
import sys

_CLONE_NEWNET = 0x40000000  # setns(2)
_CONNECT_TIMEOUT = 10.0
_CHUNK = 2**16
# Ends a connection by a reset: whoever reads must not take a failure for a proper end.
_RESET = struct.pack("ii", 1, 0)


def main(argv: list[str]) -> None:
    path, address, port = argv
    listener = socket.socket(fileno=3)
    _enter(path)
    asyncio.run(_serve(listener, address, int(port)))


def _enter(path: str) -> None:
    """setns(2) to the network namespace at `path`; os.setns exists since Python 3.12 only."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)


async def _serve(listener: socket.socket, address: str, port: int) -> None:
    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                peer_reader, peer = await asyncio.open_connection(address, port, limit=_CHUNK)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, peer))
                group.create_task(_pump(peer_reader, writer))
        except* (OSError, TimeoutError) as failures:
            print(f"{address}:{port}: {failures.exceptions[0]!r}", file=sys.stderr, flush=True)
            for end in (writer, peer):
                if end is not None:
                    _reset(end)
        finally:
            for end in (writer, peer):
                if end is not None:
                    end.close()

    server = await asyncio.start_server(serve_one, sock=listener, limit=_CHUNK)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with server:
        await stop.wait()
    os._exit(0)  # open connections end with the process


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of `reader`, then end that direction only: the other may still have much to say."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


if __name__ == "__main__":
    main(sys.argv[1:])
