"""The profiles there are: our own, and those of the user's folder, each read when it is used."""

import importlib.resources
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from processor import provider
from processor.errors import ConfigError
from processor.provider import Profile

SUFFIX = ".toml"


class ProfileRegistry(Mapping[str, Profile]):
    """Profiles by name; a file of the user's replaces the built-in one of its name."""

    def __init__(self, folder: Path | None = None) -> None:
        """List what there is; ConfigError where the folder is none."""
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"providers: {folder} is no folder; make it, or remove the key")
        built_in = importlib.resources.files("processor") / "providers"
        self.files: dict[str, Traversable] = {}
        for place in (built_in, folder):
            for file in place.iterdir() if place is not None else ():
                if file.name.endswith(SUFFIX):
                    self.files[file.name.removesuffix(SUFFIX)] = file
        self._read: dict[str, Profile] = {}

    def __getitem__(self, name: str) -> Profile:
        """Read a profile, once; ConfigError with the line that is wrong."""
        if name not in self._read:
            self._read[name] = read(name, self.files[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """Give the names in order."""
        return iter(sorted(self.files))

    def __len__(self) -> int:
        """Count them."""
        return len(self.files)

    def __contains__(self, name: object) -> bool:
        """Say whether there is one, without reading it."""
        return name in self.files


def read(name: str, file: Traversable) -> Profile:
    """Read one profile; ConfigError naming file, line, key and remedy."""
    where = f"providers/{file.name}"
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    return provider.parse(name, provider.decode_profile(raw, where), where)
