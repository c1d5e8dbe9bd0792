"""The address that the web listens on: its URL, and whether the port is free."""

import socket

from processor.service.runtime.listening_sockets import cannot_listen

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound


def url(host: str, port: int) -> str:
    """The URL of this address on this machine."""
    reachable = WILDCARDS.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def free_port(host: str, port: int) -> int:
    """Check that the port is free; 0 chooses a free one. ConfigError if nobody can listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web binds it
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError) as error:
            raise cannot_listen(host, port, error) from None
        return int(probe.getsockname()[1])
