"""Loads the Lua scripts of the folder `scripts`, each with the shared parts that it uses.

A file names in header lines `-- Uses: prove, lanes` the parts whose functions it calls. A part is
a file `N-NAME.lua` of `scripts/shared`. Parts use parts as well, and all are loaded in the order of
their file names.
"""

import hashlib
import importlib.resources
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources.abc import Traversable

ALLOW_OOM = "#!lua flags=allow-oom"
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)


class Script:
    """A script, and the name that Redis gives it.

    Redis runs it beyond `maxmemory` too, unless it is `bounded`: work in hand is what frees
    memory, and only what brings more may be refused.
    """

    def __init__(self, text: str, first: str = f"{ALLOW_OOM}\n") -> None:
        self._text = text
        self.text = first + text
        self.sha = hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324 -- Redis' choice

    def bounded(self) -> "Script":
        """The same script, as Redis refuses it when it is out of memory."""
        return Script(self._text, "")


@cache
def scripts() -> dict[str, Script]:
    """All scripts by name."""
    folder = importlib.resources.files("processor.store") / "scripts"
    shared = {
        name.partition("-")[2]: text for name, text in sorted(_lua(folder / "shared").items())
    }
    return {name: Script(with_parts(text, shared)) for name, text in _lua(folder).items()}


@cache
def bounded_scripts() -> dict[str, Script]:
    """The same scripts, as Redis refuses them when it is out of memory."""
    return {name: script.bounded() for name, script in scripts().items()}


def with_parts(text: str, shared: Mapping[str, str]) -> str:
    """A script after the parts that it uses, and those that they use; `shared` is in order."""
    used, unread = set[str](), uses(text)
    while unread:
        used |= unread
        unread = {name for part in unread for name in uses(shared[part])} - used
    return "\n".join([*(part for name, part in shared.items() if name in used), text])


def uses(text: str) -> set[str]:
    """The parts that a Lua file names."""
    return {part for line in _USES.findall(text) for part in line.split(", ")}


def _lua(folder: Traversable) -> dict[str, str]:
    return {f.name[:-4]: f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".lua")}
