"""On which line of a TOML file a key stands, for messages; tomllib does not tell."""

import re

_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?")
_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_TEXT = re.compile(r"\"\"\".*?\"\"\"|'''.*?'''", re.DOTALL)  # may hold lines that look like keys
_INDEX = re.compile(r"\[(?:\d+|\.{3})\]")
_CHECKED = re.compile(r"\s*checked\s*=")
_QUOTED = re.compile(r"'([^']*)'")
# Names that stand twice: as tomllib words it, and as we do.
_DUPLICATES = (
    (
        re.compile(r"Cannot declare \((.*)\) twice"),
        "[{0}] stands here a second time; put its keys under the first one",
    ),
    (
        re.compile(r"Cannot overwrite a value"),
        "what stands here was already said above; keep one of the two",
    ),
    (
        re.compile(r"Duplicate inline table key '(.*)'"),
        "`{0}` stands twice in one table; keep one of the two",
    ),
)
_AT_LINE = re.compile(r"\(at line (\d+)")


def line_of(text: str, table: str, key: str) -> int:
    """Return the line, from 1, of the key or of what comes nearest: its table, the first line.

    A key inside an inline table is found where that begins.
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
    """How many steps lead there, doubled; a key inside what is wanted comes after it itself."""
    shared = min(len(here), len(wanted))
    if here[:shared] != wanted[:shared]:
        return 0
    return 2 * shared - (len(here) > len(wanted))


def line_of_error(text: str, error: ValueError) -> int:
    """Return the line, from 1, that tomllib complains of: the one it names, else the last."""
    named = _AT_LINE.search(str(error))
    return int(named[1]) if named else text.rstrip("\n").count("\n") + 1


def explain_toml_error(text: str, error: ValueError) -> str:
    """What tomllib complains of, with the remedy; `checked` is the one date that there is."""
    line = text.split("\n")[line_of_error(text, error) - 1]
    if _CHECKED.match(line):
        return "`checked` is no date; write it without quotes, as 2026-11-22"
    for pattern, remedy in _DUPLICATES:
        if found := pattern.match(str(error)):
            return remedy.format(*map(_dotted, found.groups()))
    return f"is not TOML: {error}"


def _dotted(names: str) -> str:
    """Write the name of a table as in its head: tomllib shows a tuple of its words."""
    return ".".join(_QUOTED.findall(names)) or names


def _lines(text: str) -> list[str]:
    """The lines as TOML counts them, nothing left of texts over several of them."""
    return _TEXT.sub(lambda found: "\n" * found[0].count("\n"), text).split("\n")


def _steps(path: str) -> list[str]:
    """The words of a dotted path, without quotes and indexes; a quoted key may hold dots too."""
    plain = _INDEX.sub("", path).translate(str.maketrans("", "", "\"' \t"))
    return [step for step in plain.split(".") if step]
