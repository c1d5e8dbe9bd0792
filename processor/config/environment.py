"""The environment variables that Ringback reads, and warnings about misspelt ones."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, get_args

import msgspec

from processor.config.problems import Problems
from processor.config.schema import Environment
from processor.text_input import decode_system_text

PREFIX = "RINGBACK_"
CONFIG = "RINGBACK_CONFIG"
OF_COMMANDS = ("RINGBACK_API_KEY", "RINGBACK_DATA", "RINGBACK_URL")
KNOWN = (CONFIG, *OF_COMMANDS, *Environment.__struct_fields__)

_KUBERNETES = re.compile(r"RINGBACK(_\w+)?_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_\w+|PORT)")
"""What Kubernetes sets in each container of a cluster with a Service of such a name."""


class VariableWarning(NamedTuple):
    """A variable that is set, and probably has no effect."""

    variable: str
    remedy: str


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, with our variables trimmed.

    Removes what no editor shows: a byte order mark, and blanks and line ends at both ends, as in
    files of secrets. A variable that is blank then counts as unset.
    """
    ours = {name: decode_system_text(environ[name]).strip() for name in KNOWN if name in environ}
    others = {name: value for name, value in environ.items() if name not in ours}
    return others | {name: value for name, value in ours.items() if value}


def read_environment(environ: Mapping[str, str], problems: Problems) -> Environment:
    """What the environment sets; a number out of range is collected as a problem."""
    given = cleaned(environ)
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(Environment):
        text = given.get(field.name)
        if text is not None:
            try:
                found[field.name] = msgspec.convert(text, field.type, strict=False)
            except msgspec.ValidationError:
                problems.add(_out_of_range(field, text))
    return msgspec.convert(found, Environment)


def _out_of_range(field: msgspec.structs.FieldInfo, text: str) -> str:
    bounds = next(part for part in get_args(field.type) if isinstance(part, msgspec.Meta))
    return (
        f"{field.name}: {text!r} is not a whole number from {bounds.ge} to {bounds.le}; "
        f"write one, such as {field.default}"
    )


def misspelt_variables(
    environ: Mapping[str, str], used: Iterable[str]
) -> tuple[VariableWarning, ...]:
    """Variables with our prefix that nothing reads; `used` are those that the file refers to."""
    given = cleaned(environ)
    found = [
        VariableWarning(name, f"nothing reads it{_did_you_mean(name)}")
        for name in sorted(given.keys() - KNOWN - set(used))
        if name.upper().startswith(PREFIX) and not _of_kubernetes(name, given[name])
    ]
    if "RINGBACK_API_KEY" in given and "RINGBACK_API_KEYS" not in given:
        remedy = (
            "commands call a server with it; the keys that a server accepts are RINGBACK_API_KEYS"
        )
        found.append(VariableWarning("RINGBACK_API_KEY", remedy))
    return tuple(found)


def _of_kubernetes(name: str, value: str) -> bool:
    address = not name.endswith("_PORT") or name.endswith("_SERVICE_PORT") or "://" in value
    return bool(_KUBERNETES.fullmatch(name)) and address


def _did_you_mean(name: str) -> str:
    """The known name that is most similar, if one is."""
    plain = name.upper().removeprefix(PREFIX)
    near = [plain] if plain in KNOWN else difflib.get_close_matches(name.upper(), KNOWN, 1, 0.75)
    return f"; did you mean {near[0]}?" if near else ""
