"""The address that the web listens on: its URL, whether the port is free, and its sockets."""

import socket

from processor.errors import ConfigError
from processor.service.runtime.listening_sockets import open_sockets

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound


def url(host: str, port: int) -> str:
    """The URL of this address on this machine."""
    reachable = WILDCARDS.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def listen(host: str, port: int) -> list[socket.socket]:
    """Open the sockets that each receiver inherits."""
    try:
        return open_sockets(host, port)
    except OSError as error:
        raise _refused(host, port, error) from None


def free_port(host: str, port: int) -> int:
    """Check that the port is free; 0 chooses a free one."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web binds it
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _refused(host, port, error) from None
        return int(probe.getsockname()[1])


def _refused(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot listen on {host}:{port} ({error.strerror}): "
        "give another --port, or stop the process that uses this one"
    )
