"""`ringback up`: the whole of Ringback on one machine, supervised."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from processor.cli import embedded_redis, key_file, listen_address, options, output
from processor.cli.child import Command, Stage
from processor.cli.config import read
from processor.cli.exit_codes import Exit
from processor.cli.lock import lock
from processor.cli.processes import argv, environment
from processor.cli.readiness import Readiness
from processor.cli.supervisor import Signals, Supervisor
from processor.config import Settings
from processor.errors import ConfigError
from processor.service.runtime.open_files import raise_open_files

LOOK = 0.1  # seconds between two looks at /readyz
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def up(
    *,
    config: options.Config = None,
    data: Annotated[
        Path,
        typer.Option(
            envvar="RINGBACK_DATA", help="Where the embedded Redis and the API key are kept."
        ),
    ] = options.DEFAULT_DATA,
    host: Annotated[str, typer.Option(envvar="RINGBACK_HOST")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="PORT", min=0, max=65535, help="0: any free one.")
    ] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64)] = 2,
    json: options.Json = False,
) -> None:
    """Run everything: web, workers, clock and, without REDIS_URL, an embedded Redis.

    Without RINGBACK_API_KEYS it makes an API key, once, and keeps it as the file `key` in --data,
    where this machine's commands find it. Whatever ends is started again. Ctrl-C or SIGTERM
    drains within 25 seconds.
    """
    file, data = options.config_file(config), data.absolute()
    if file is None:
        output.say("no ringback.toml here: running without sources")
    _make(data)
    raise_open_files()  # Redis inherits it
    with lock(data) as held, Signals() as signals:
        port = listen_address.free_port(host, port)
        store = (
            None
            if os.environ.get("REDIS_URL")
            else embedded_redis.plan(data, embedded_redis.find_server())
        )
        environ = environment(
            os.environ,
            RINGBACK_CONFIG=str(file) if file else None,
            RINGBACK_DATA=str(data),
            RINGBACK_HOST=host,
            PORT=str(port),
            REDIS_URL=store.url if store else None,
        )
        settings = read(file, environ)  # refused here once, rather than by every process
        key = None if settings.api_keys else local_key(settings, data)
        commands = processes(environ, host, port, workers, key)
        readiness = Readiness(listen_address.url(host, port), _tell(json=json), output.say)
        code = _run(commands, store, held, signals, readiness)
    raise typer.Exit(code)


def local_key(settings: Settings, data: Path) -> str:
    """The key for callers on this machine: made by the first start, and then kept.

    ConfigError where others are to call: their key is theirs to choose.
    """
    if settings.host not in LOOPBACK:
        raise ConfigError(
            f"host {settings.host} is not loopback and no key is set: set RINGBACK_API_KEYS"
        )
    if settings.public_url:
        raise ConfigError("RINGBACK_PUBLIC_URL is set and no key is: set RINGBACK_API_KEYS")
    path = data / key_file.NAME
    if made := key_file.make(path):
        output.say(f"made an API key, which is kept in {path}: {made}")
        return made
    key = key_file.read(path)
    if key is None:
        raise ConfigError(f"{path}: went away just now: start again")
    return key


def processes(
    environ: Mapping[str, str], host: str, port: int, workers: int, key: str | None = None
) -> list[Command]:
    """Say which processes Ringback is made of, Redis apart; only the web gets the key."""
    web = argv("processor.web", "--host", host, "--port", str(port))
    guarded = environ if key is None else {**environ, "RINGBACK_API_KEYS": key}
    names = [f"worker-{number}" for number in range(1, workers + 1)]
    return [
        Command("web", web, guarded, Stage.WEB),
        *(Command(name, argv("workers"), environ, Stage.WORK) for name in names),
        Command("clock", argv("workers.clock"), environ, Stage.WORK),
    ]


def _run(
    commands: list[Command],
    store: embedded_redis.Plan | None,
    held: int,
    signals: Signals,
    readiness: Readiness,
) -> Exit:
    supervisor = Supervisor(output.say)
    try:
        if store is not None:
            _start_store(supervisor, store, held, signals)
        if not signals.stops:
            supervisor.add(commands)
            _attend(supervisor, signals, readiness)
    finally:
        supervisor.stop(signals)
    return Exit.USAGE if supervisor.refused else Exit.GOOD


def _start_store(
    supervisor: Supervisor, store: embedded_redis.Plan, held: int, signals: Signals
) -> None:
    """Start Redis; it keeps the lock of the data directory, and ends in order even if orphaned."""
    supervisor.add([store.command(held)])
    child = supervisor.children[0]
    try:
        embedded_redis.wait_until_ready(store, lambda: child.running and not signals.stops)
    except ConfigError:
        if not signals.stops:
            raise


def _attend(supervisor: Supervisor, signals: Signals, readiness: Readiness) -> None:
    """Look after the children until a signal, or a refused configuration, ends it."""
    while not signals.stops:
        supervisor.step()
        if supervisor.refused:
            return
        pauses = [supervisor.rest(), None if readiness.look() else LOOK]
        signals.wait(min((pause for pause in pauses if pause is not None), default=None))


def _tell(*, json: bool) -> Callable[[str], None]:
    if json:
        return lambda url: output.document({"ready": url})
    return lambda url: output.line(f"Ringback is ready at {url}")


def _make(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--data {data}: {error.strerror}: give a folder that can be written"
        ) from None
