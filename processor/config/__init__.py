"""ringback.toml and the environment → Settings: the only place that reads either.

What is wrong is a ConfigError: a line for each mistake, which names the file, the key and the remedy.

tables     the file and the environment, as written
mistakes   all that is wrong, told together
parsing    the text of the file, and what does not fit in it
environment  the variables, and those that look like them
secret     secrets where they are kept
redis_url  REDIS_URL: checked, and shown without its secrets
checks     one value at a time: names, words, durations, URLs
keeping    how long Redis keeps what, within bounds
mirror_root  each mirror path at the root has one source
settings   what they mean, ready for use
loading    from the one to the other
"""

from processor.config.environment import cleaned
from processor.config.loading import load, require_keys
from processor.config.settings import Settings, Source

__all__ = ["Settings", "Source", "cleaned", "load", "require_keys"]
