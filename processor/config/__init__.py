"""ringback.toml and the environment, as Settings: the only place that reads either.

What is wrong is a ConfigError: a line for each problem, with the file, the key and the remedy.

schema             the file and the environment, as written
problems           everything that is wrong, reported together
place              the file, the line and the key that a message begins with
parsing            the text of the file, and what does not fit
environment        the variables, and misspelt ones
secrets            secrets in the file, in variables and in files of their own
redis_url          REDIS_URL: checked, and shown without its secrets
checks             one value at a time: names, words, durations, filters
url_checks         URLs; no message shows a password in one
retention          how long Redis keeps what, within bounds
profiles           the provider profiles: ours, and those of the user's folder
redaction          what providers sent, without our secrets
mirror_root        each mirror path at the root has one source
settings           what the values mean, ready for use
load_context       what a table of the file is read with
load_token         from the `token` of a source to a token
load_source        from a [sources.NAME] table to a Source
load_subscription  from a [subscriptions.NAME] table to a Subscription
loading            from the file and the environment to Settings
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from processor.config.environment import cleaned
    from processor.config.loading import load, require_keys
    from processor.config.settings import Settings, Source

__all__ = ["Settings", "Source", "cleaned", "load", "require_keys"]

_MODULES = {"cleaned": "environment", "Settings": "settings", "Source": "settings"}


def __getattr__(name: str) -> Any:
    """Import these names when they are needed: commands that only ask a server need none."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'loading')}"), name)
