"""The options of `ringback subscriptions add` and `set` for the settings of a subscription."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from typer import Option

from processor.cli import options
from processor.cli.option_groups import option_group

Texts = list[str] | None
ReadPairs = Callable[[str, Texts], dict[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class SettingOptions:
    """The settings by their names in the API; None if an option was not given."""

    events: Annotated[
        Texts,
        Option("--event", help="An event type; may be repeated. New subscriptions: job.completed."),
    ] = None
    sources: Annotated[
        Texts,
        Option(
            "--source",
            help='Only events of this source; may be repeated. New subscriptions and "": all.',
        ),
    ] = None
    providers: Annotated[
        Texts,
        Option(
            "--provider",
            help='Only events of this provider; may be repeated. New subscriptions and "": all.',
        ),
    ] = None
    metadata: Annotated[
        Texts, Option(metavar="NAME=VALUE", help=f'May be repeated; "" for none. {options.TYPED}')
    ] = None
    format: Annotated[str | None, Option(help="standard, or one of the cloudevents formats.")] = (
        None
    )
    headers: Annotated[
        Texts,
        Option(
            "--header",
            metavar="NAME=VALUE",
            help='A header to send; may be repeated; "" for none.',
        ),
    ] = None
    concurrency: Annotated[
        int | None,
        Option(min=1, help="How many deliveries run at the same time."),
    ] = None
    rate: Annotated[
        str | None,
        Option(help='The most deliveries: 100/1m. New subscriptions and "": no limit.'),
    ] = None
    ordered: Annotated[
        bool | None,
        Option(help="Deliver the events of a job in order, one after the other."),
    ] = None
    auto_disable: Annotated[
        bool | None,
        Option(help="Disable it after five days of consecutive failures. New subscriptions: yes."),
    ] = None
    handshake: Annotated[
        bool | None, Option(help="Ask the URL for permission first (CloudEvents' OPTIONS).")
    ] = None

    def body(self) -> dict[str, Any]:
        """The given settings, as the body of a request."""
        read = {
            "sources": _values(self.sources),
            "providers": _values(self.providers),
            "metadata": _pairs(options.typed_pairs, "--metadata", self.metadata),
            "headers": _pairs(options.pairs, "--header", self.headers),
        }
        body = options.given(**vars(self) | read)
        return body | {"rate": None} if self.rate == "" else body


settings = option_group("settings", SettingOptions)


def _values(texts: Texts) -> Texts:
    """The values; `""` alone gives an empty list."""
    return None if texts is None else [text for text in texts if text]


def _pairs(read: ReadPairs, option: str, texts: Texts) -> dict[str, Any] | None:
    """The same for NAME=VALUE options."""
    return None if texts is None else read(option, _values(texts)) or {}
