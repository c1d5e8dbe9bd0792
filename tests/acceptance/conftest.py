"""Fixtures: a Ringback that all quiet tests share, and the parts to make one of one's own."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from .feed import SECRET, Caller
from .processes import free_port
from .system import System

EGRESS = '[egress]\nallow = ["127.0.0.1/32"]\n'


def standard(name: str, port: int | None = None) -> str:
    """A source of the `standard` provider, pollable where there is a port."""
    status = f'status_url = "http://127.0.0.1:{port}/{{id}}"\n' if port else ""
    return f'[sources.{name}]\nprovider = "standard"\nwebhook_secret = "{SECRET}"\n{status}'


def hosted(name: str, provider: str, port: int, path: str = "") -> str:
    """A source of a hosted provider, simulated on a port."""
    return (
        f'[sources.{name}]\nprovider = "{provider}"\n'
        f'base_url = "http://127.0.0.1:{port}{path}"\ntoken = "made-up"\n'
        + ('webhook_secret = "made-up"\n' if provider == "wistia" else "")
    )


class Shared:
    """The shared Ringback, with a source for every test that asks for one."""

    def __init__(self, system: System, ports: dict[str, int]) -> None:
        """Take what runs, and the ports that its sources are configured with."""
        self.system = system
        self.ports = ports
        self.unused = (f"s{number}" for number in count(1))  # s0 is for those who break things


SOURCES = 40  # of the shared Ringback
HOSTED = {"bluesky": "", "bluesky-walk": "", "wistia": "/modern", "wistia-bad": "/modern"}


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    ports = {name: free_port() for name in HOSTED}
    config = EGRESS + "".join(standard(f"s{n}") for n in range(SOURCES))
    for name, path in HOSTED.items():
        config += hosted(name, name.partition("-")[0], ports[name], path)
    with System(tmp_path_factory.mktemp("shared"), config) as system:
        yield Shared(system.start_all(), ports)


@pytest.fixture
def source(shared: Shared) -> str:
    """A source of the shared Ringback that no other test uses."""
    return next(shared.unused)


@pytest.fixture
async def caller(shared: Shared) -> AsyncIterator[Caller]:
    """Speaks to the shared Ringback."""
    async with Caller(shared.system.url) as caller:
        yield caller


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Makes a Ringback of one's own, with Redis running; it ends with the test."""
    made: list[System] = []

    def make(config: str, **environ: str) -> System:
        system = System(tmp_path, EGRESS + config, **environ)
        made.append(system)
        return system.__enter__()

    yield make
    for system in made:
        system.__exit__(None, None, None)
