"""The lifecycle of a process: settings, signals, exit codes, and the context of its use cases."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import structlog
import uvloop

from processor import vault
from processor.config import Settings, load
from processor.config.place import place_in
from processor.config.problems import Problems
from processor.egress import Egress, NetworkScope, Policy, check_url
from processor.errors import BlockedTarget, ConfigError
from processor.service.runtime.context import Context
from processor.service.runtime.logs import configure_logging
from processor.service.runtime.metrics import Metrics
from processor.service.runtime.open_files import raise_open_files
from processor.service.runtime.open_tracer import open_tracer
from processor.service.runtime.replaced_process import end_replaced_process
from processor.store import Store
from processor.vault import Vault

GC = (20_000, 20, 50)  # our values are frozen and make no cycles: collect them less often

log = structlog.get_logger()


def main(process: Callable[[Settings], Coroutine[object, object, None]]) -> None:
    """Run a process until SIGTERM or SIGINT; exit 2 if the configuration is wrong."""
    settings = settings_or_exit()
    warn_about_settings(settings)
    with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as r:
        r.run(_until_signal(process(settings)))


def settings_or_exit() -> Settings:
    """The settings; error lines and exit 2 if they are wrong."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it is for `up`, and would end us
    configure_logging()
    raise_open_files()
    gc.freeze()  # what was imported stays
    gc.set_threshold(*GC)
    try:
        settings = load()
        egress_policy(settings)
    except ConfigError as error:
        exit_with(error)
    end_replaced_process()
    return settings


def warn_about_settings(settings: Settings) -> None:
    """Log variables that have no effect, and secrets that are stored unencrypted."""
    for warning in settings.warnings:
        log.warning("variable_ignored", variable=warning.variable, remedy=warning.remedy)
    if settings.api_keys and not settings.master_keys:
        log.warning("secrets_unencrypted", remedy=f"set {vault.NAME}; {vault.REMEDY}")


def exit_with(error: ConfigError) -> NoReturn:
    """Print what is wrong with the configuration, and exit 2."""
    print(error_lines(error), file=sys.stderr)  # noqa: T201 -- for the person who started it
    raise SystemExit(2) from None


def error_lines(error: ConfigError) -> str:
    """What is wrong with the configuration, one problem a line."""
    return "\n".join(f"ringback: {line}" for line in str(error).splitlines())


async def _until_signal(process: Coroutine[object, object, None]) -> None:
    task = asyncio.ensure_future(process)
    for number in (signal.SIGTERM, signal.SIGINT):  # the second one does not cut the drain short
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: task.cancelling() or task.cancel()
        )
    try:
        await task
    except ConfigError as error:
        exit_with(error)


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Context]:
    """Everything that the use cases need, in the running loop."""
    tracer = open_tracer(os.environ)
    store = Store(
        settings.redis_url,
        shards=settings.shards,
        lease=settings.lease,
        keep=settings.keep,
        static=settings.subscriptions,
        vault=Vault(settings.master_keys),
    )
    try:
        async with Egress(egress_policy(settings)) as egress:
            yield Context(settings, store, egress, Metrics(), tracer)
    finally:
        await store.close()
        await asyncio.to_thread(tracer.close)


def egress_policy(settings: Settings) -> Policy:
    """Which hosts URLs from the API may reach; ConfigError if the setting cannot be parsed, or if a
    URL of the file could never be reached.
    """
    try:
        policy = Policy.parse(settings.egress_allow)
    except ValueError as error:
        place, lines = place_in(settings.file, "egress.allow"), str(error).splitlines()
        raise ConfigError("\n".join(f"{place}: {line}" for line in lines)) from error
    problems = Problems()
    for key, url in _urls(settings):
        try:
            check_url(url, policy, NetworkScope.CONFIGURED)
        except BlockedTarget as error:
            problems.add(f"{place_in(settings.file, key)}: {error}")
    problems.raise_if_any()
    return policy


def _urls(settings: Settings) -> Iterator[tuple[str, str]]:
    """The URLs of the file, with their keys."""
    for name, source in settings.sources.items():
        if source.account.base_url:
            yield f"sources.{name}.base_url", source.account.base_url
        if status_url := source.account.params.get("status_url"):
            yield f"sources.{name}.status_url", status_url
    for id_, subscription in settings.subscriptions.items():
        yield f"subscriptions.{id_.removeprefix('sub_')}.url", subscription.url
