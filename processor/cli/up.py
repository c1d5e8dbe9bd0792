"""`ringback up`: runs all processes of Ringback on one machine, and restarts them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from socket import socket
from typing import Annotated

import typer

from processor.cli import embedded_redis, key_file, listen_address, options, output
from processor.cli.child import Command
from processor.cli.config import read
from processor.cli.exit_codes import Exit
from processor.cli.file_rewrites import LOOK_EVERY, FileRewrites
from processor.cli.lock import lock
from processor.cli.processes import argv, environment
from processor.cli.readiness import Readiness
from processor.cli.reload import Reload
from processor.cli.supervisor import Signals, Supervisor
from processor.config import Settings
from processor.errors import ConfigError
from processor.service.runtime.listening_sockets import open_sockets, variable
from processor.service.runtime.logs import ignore_write_errors
from processor.service.runtime.open_files import raise_open_files

WEB = "web"  # the name of the process that listens
CHECK_EVERY = 0.1  # seconds between two checks of /readyz
BELOW_REDIS = 5  # nice: everybody waits for Redis, so it waits for nobody
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def up(
    *,
    config: options.Config,
    data: options.Data = options.DEFAULT_DATA,
    host: Annotated[
        str, typer.Option(envvar="RINGBACK_HOST", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(envvar="PORT", min=0, max=65535, help="The port to listen on; 0: a free one."),
    ] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="The number of workers.")] = 2,
    json: options.Json = False,
) -> None:
    """Run everything: web, workers, clock and, without REDIS_URL, an embedded Redis.

    Without RINGBACK_API_KEYS, the first start makes an API key, and keeps it as the file `key` in
    --data, where commands on this machine find it. A process that ends is restarted. Ctrl-C or
    SIGTERM lets work that has begun finish, and stops everything within 25 seconds. SIGUSR1 reads
    the configuration again: if it is right, each process is replaced, and no push is refused.

    Examples: `ringback up`, `ringback up --config prod.toml --port 9000 --workers 4`.
    """
    ignore_write_errors()
    data = data.absolute()
    if config is None:
        output.notice("no ringback.toml in this folder: running without sources")
    _make_folder(data)
    raise_open_files()  # Redis inherits it
    with lock(data) as held, Signals() as signals:
        port = listen_address.free_port(host, port)
        store = None
        if not os.environ.get("REDIS_URL"):
            server = embedded_redis.find_server()
            store = embedded_redis.prepare(data, server, embedded_redis.half_of_memory())
        environ = environment(
            os.environ,
            RINGBACK_CONFIG=str(config) if config else None,
            RINGBACK_DATA=str(data),
            RINGBACK_HOST=host,
            PORT=str(port),
            REDIS_URL=store.url if store else None,
        )
        # Wrong settings are an error here once, instead of in every process.
        settings = read(config, environ)
        key = None if settings.api_keys else local_key(settings, data)
        sockets = open_sockets(host, port)
        commands = inheriting(sockets, processes(environ, host, port, workers, key))
        if store:  # else it has a machine of its own, or its own place on this one
            commands = [replace(command, nice=BELOW_REDIS) for command in commands]
        place = f"the API key in {data / key_file.NAME}" if key else "one of RINGBACK_API_KEYS"
        readiness = Readiness(listen_address.url(host, port), place, json=json)
        reload = Reload(signals, config, environ)
        code = _run(commands, store, held, reload, readiness, sockets=sockets)
    raise typer.Exit(code)


def local_key(settings: Settings, data: Path) -> str:
    """The API key for callers on this machine, made by the first start.

    ConfigError if other machines may call: their keys must be set.
    """
    if settings.host not in LOOPBACK:
        raise ConfigError(
            f"host {settings.host} is not loopback and no API key is set: set RINGBACK_API_KEYS"
        )
    if settings.public_url:
        raise ConfigError("RINGBACK_PUBLIC_URL is set without an API key: set RINGBACK_API_KEYS")
    path = data / key_file.NAME
    if made := key_file.make(path):
        output.notice(f"made an API key, which is kept in {path}: {made}")
        return made
    key = key_file.read(path)
    if key is None:
        raise ConfigError(f"{path}: was deleted just now: start again")
    return key


def processes(
    environ: Mapping[str, str], host: str, port: int, workers: int, key: str | None = None
) -> list[Command]:
    """The commands of Ringback's processes except Redis; only the web gets the API key."""
    web = argv("processor.web", "--host", host, "--port", str(port))
    with_key = environ if key is None else {**environ, "RINGBACK_API_KEYS": key}
    names = [f"worker-{number}" for number in range(1, workers + 1)]
    return [
        Command(WEB, web, with_key),
        *(Command(name, argv("workers"), environ) for name in names),
        Command("clock", argv("workers.clock"), environ),
    ]


def inheriting(sockets: Sequence[socket], commands: list[Command]) -> list[Command]:
    """The same commands; the web accepts connections from these sockets."""
    more, keeps = variable(sockets), tuple(one.fileno() for one in sockets)
    return [
        replace(command, environ={**command.environ, **more}, keeps=keeps)
        if command.name == WEB
        else command
        for command in commands
    ]


def _run(
    commands: list[Command],
    store: embedded_redis.RedisSetup | None,
    held: int,
    reload: Reload,
    readiness: Readiness,
    *,
    sockets: list[socket],
) -> Exit:
    supervisor, signals = Supervisor(output.notice), reload.signals
    try:
        if store is not None:
            _start_store(supervisor, store, held, signals)
        if not signals.stops:
            rewrites = _rewrites(supervisor, store)
            supervisor.add(commands)
            _supervise(supervisor, reload, readiness, rewrites)
    finally:
        for listening in sockets:  # nothing more waits to be accepted
            listening.close()
        supervisor.stop(signals)
    return Exit.USAGE if supervisor.refused else Exit.GOOD


def _start_store(
    supervisor: Supervisor, store: embedded_redis.RedisSetup, held: int, signals: Signals
) -> None:
    """Start Redis; it holds the lock of the data directory, and stops in order even if orphaned."""
    supervisor.add([store.command(held)])
    child = supervisor.children[0]
    try:
        embedded_redis.wait_until_ready(store, lambda: child.running and not signals.stops)
    except ConfigError:
        if not signals.stops:
            raise


def _rewrites(
    supervisor: Supervisor, store: embedded_redis.RedisSetup | None
) -> FileRewrites | None:
    """What rewrites the file of the embedded Redis, which is the first child."""
    if store is None:
        return None
    redis = supervisor.children[0]
    return FileRewrites(store, lambda: redis.pid)


def _supervise(
    supervisor: Supervisor, reload: Reload, readiness: Readiness, rewrites: FileRewrites | None
) -> None:
    """Restart children until a signal or a refused configuration; replace them to reload."""
    signals = reload.signals
    while not signals.stops:
        if reload.asked():
            supervisor.replace()
        supervisor.step()
        if supervisor.refused:
            return
        pauses = [supervisor.seconds_to_restart(), None if readiness.check() else CHECK_EVERY]
        if rewrites:
            rewrites.check()
            pauses.append(LOOK_EVERY)
        signals.wait(min((pause for pause in pauses if pause is not None), default=None))


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--data {data}: {error.strerror}: give a writable folder") from None
