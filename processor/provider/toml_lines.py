"""Finds the line of a key in a TOML file, for error messages; tomllib does not give it."""

import re

_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?")
_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_TEXT = re.compile(
    r"\"\"\".*?\"\"\"|'''.*?'''", re.DOTALL
)  # multi-line strings may contain lines that look like keys
_INDEX = re.compile(r"\[(?:\d+|\.{3})\]")
_CHECKED = re.compile(r"\s*checked\s*=")
_QUOTED = re.compile(r"'([^']*)'")
# Duplicate names: tomllib's message, and ours.
_DUPLICATES = (
    (
        re.compile(r"Cannot declare \((.*)\) twice"),
        "[{0}] is a duplicate table; move its keys to the first one",
    ),
    (
        re.compile(r"Cannot overwrite a value"),
        "this key is already set above; keep one of them",
    ),
    (
        re.compile(r"Duplicate inline table key '(.*)'"),
        "`{0}` is set twice in one table; keep one of them",
    ),
)
_AT_LINE = re.compile(r"\(at line (\d+)")


def line_of(text: str, table: str, key: str) -> int:
    """Return the line, from 1, of the key; else that of its table; else 1.

    A key inside an inline table has the line on which that table begins.
    """
    wanted = _steps(table) + _steps(key)
    best, nearest, at = 1, 0, list[str]()
    for number, line in enumerate(_lines(text), 1):
        if header := _HEADER.fullmatch(line):
            at = _steps(header[1])
            here = at
        elif found := _KEY.match(line):
            here = at + _steps(found[1])
        else:
            continue
        if (near := _nearness(here, wanted)) > nearest:
            best, nearest = number, near
    return best


def _nearness(here: list[str], wanted: list[str]) -> int:
    """Twice the number of shared steps; one less for a key inside the wanted one."""
    shared = min(len(here), len(wanted))
    if here[:shared] != wanted[:shared]:
        return 0
    return 2 * shared - (len(here) > len(wanted))


def line_of_error(text: str, error: ValueError) -> int:
    """Return the line, from 1, of a tomllib error: the line that it names, else the last."""
    named = _AT_LINE.search(str(error))
    return int(named[1]) if named else text.rstrip("\n").count("\n") + 1


def explain_toml_error(text: str, error: ValueError) -> str:
    """Describe a tomllib error with a remedy; `checked` is the only date in our files."""
    line = text.split("\n")[line_of_error(text, error) - 1]
    if _CHECKED.match(line):
        return "`checked` is not a date; write it without quotes, as 2026-11-22"
    for pattern, remedy in _DUPLICATES:
        if found := pattern.match(str(error)):
            return remedy.format(*map(_dotted, found.groups()))
    return f"is not TOML: {error}"


def _dotted(names: str) -> str:
    """The name of a table as written in its header: tomllib shows a tuple of words."""
    return ".".join(_QUOTED.findall(names)) or names


def _lines(text: str) -> list[str]:
    """The lines of the file, with multi-line strings blanked."""
    return _TEXT.sub(lambda found: "\n" * found[0].count("\n"), text).split("\n")


def _steps(path: str) -> list[str]:
    """The steps of a dotted path, without quotes and indexes; dots in a quoted key split it too."""
    plain = _INDEX.sub("", path).translate(str.maketrans("", "", "\"' \t"))
    return [step for step in plain.split(".") if step]
