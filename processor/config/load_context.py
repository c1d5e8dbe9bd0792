"""What a table of the configuration file is read with."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from processor.config.place import Place
from processor.config.problems import Problems
from processor.config.schema import File
from processor.config.secrets import SecretResolver
from processor.provider import Profile


class LoadContext(NamedTuple):
    """What a table of the file is read with; its problems are collected."""

    name: str  # the file's, for messages
    text: str  # of the file, for the lines of its keys
    file: File
    source_names: Sequence[str]  # of all tables, also those that do not fit
    profiles: Mapping[str, Profile]
    secret: SecretResolver
    problems: Problems

    def at(self, key: str) -> Place:
        """The place of a key, for messages."""
        return Place(self.name, self.text, key)
