"""Listening sockets: opened by the process that accepts, or inherited from `ringback up`.

`up` opens them once, and each receiver that it starts inherits them. While one receiver takes the
place of another, connections wait in the kernel's queue; none is refused.
"""

import errno
import os
import socket
from collections.abc import Mapping, Sequence

from processor.errors import ConfigError

INHERITED = "LISTENING_SOCKETS"  # the variable with their file descriptors
BACKLOG = 2048  # connections that wait to be accepted, at most
NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
REMEDIES: dict[int | None, str] = {
    errno.EADDRINUSE: "give another --port (PORT), or stop the process that uses this one",
    errno.EACCES: "give a --port (PORT) from 1024 on",
}
OTHER_REMEDY = "correct --host (RINGBACK_HOST)"


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listen at all addresses of a host; ConfigError if that is not possible."""
    try:
        return _open(host, port)
    except (OSError, UnicodeError) as error:
        raise cannot_listen(host, port, error) from None


def cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> ConfigError:
    """Why no process can listen there, and the remedy."""
    number = error.errno if isinstance(error, OSError) else None
    match error:
        case socket.gaierror():
            reason = error.strerror
        case OSError(errno=int(known)):
            reason = os.strerror(known)  # its own text repeats the address
        case _:
            reason = str(error)
    remedy = REMEDIES.get(number, OTHER_REMEDY)
    return ConfigError(f"cannot listen on {host}:{port} ({reason}): {remedy}")


def _open(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    for family, address in dict.fromkeys((f, a) for f, _, _, _, a in found):
        try:
            listening = socket.create_server(address, family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno not in NOT_HERE or len(found) == 1:
                for one in opened:
                    one.close()
                raise
            continue  # `localhost` without IPv6
        listening.settimeout(0.0)
        opened.append(listening)
    return opened


def variable(sockets: Sequence[socket.socket]) -> dict[str, str]:
    """The variable by which a process finds the sockets that it inherits."""
    return {INHERITED: ",".join(str(one.fileno()) for one in sockets)}


def inherited_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that this process has inherited."""
    return [socket.socket(fileno=int(fd)) for fd in environ.get(INHERITED, "").split(",") if fd]


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """The inherited sockets, else new ones at all addresses of a host; or ConfigError."""
    return inherited_sockets(os.environ) or open_sockets(host, port)
