"""The provider profiles: ours, and those of the user's folder; each is read when it is used."""

import importlib.resources
import re
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from processor import provider
from processor.errors import ConfigError
from processor.provider import Profile

SUFFIX = ".toml"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


class ProfileRegistry(Mapping[str, Profile]):
    """Profiles by name; a user's file replaces the built-in one of the same name."""

    def __init__(self, folder: Path | None = None) -> None:
        """List the files; ConfigError if the folder does not exist."""
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder; create it, or remove the key")
        built_in = importlib.resources.files("processor") / "providers"
        self.files: dict[str, Traversable] = {}
        for place in (built_in, folder):
            for file in place.iterdir() if place is not None else ():
                if file.name.endswith(SUFFIX):
                    self.files[file.name.removesuffix(SUFFIX)] = file
        self._read: dict[str, Profile] = {}

    def __getitem__(self, name: str) -> Profile:
        """The profile, read once; ConfigError with the wrong line."""
        if name not in self._read:
            self._read[name] = read(name, self.files[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """The names in alphabetical order."""
        return iter(sorted(self.files))

    def __len__(self) -> int:
        """The number of profiles."""
        return len(self.files)

    def __contains__(self, name: object) -> bool:
        """Whether there is a profile of this name; it is not read."""
        return name in self.files


def read(name: str, file: Traversable) -> Profile:
    """Read one profile; ConfigError naming file, line, key and remedy."""
    where = f"providers/{file.name}"
    check_name(where, name)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    return provider.parse(name, provider.decode_profile(raw, where), where)


def check_name(where: str, name: str) -> None:
    """Refuse a name that is not one of a provider."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: a provider's name has 1 to 63 of a-z 0-9 . _ - and starts and ends with a "
            "letter or digit"
        )
