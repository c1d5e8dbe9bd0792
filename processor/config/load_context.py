"""What a table of the configuration file is read with."""

from collections.abc import Mapping
from typing import NamedTuple

from processor.config.problems import Problems
from processor.config.schema import File
from processor.config.secrets import SecretResolver
from processor.provider import Profile


class LoadContext(NamedTuple):
    """What a table of the file is read with; its problems are collected."""

    where: str  # the file's name, for messages
    file: File
    profiles: Mapping[str, Profile]
    secret: SecretResolver
    problems: Problems
