"""The address that the web listens on: its URL, and whether the port is free."""

import socket

from processor.errors import ConfigError

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound


def url(host: str, port: int) -> str:
    """The URL of this address on this machine."""
    reachable = WILDCARDS.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def free_port(host: str, port: int) -> int:
    """Check that the port is free; 0 chooses a free one."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web binds it
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host}:{port} ({error.strerror}): "
                "give another --port, or stop the process that uses this one"
            ) from None
        return int(probe.getsockname()[1])
