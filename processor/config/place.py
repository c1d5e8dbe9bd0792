"""The place of a key in ringback.toml, for messages: FILE:LINE: KEY."""

from pathlib import Path
from typing import NamedTuple

from processor import provider
from processor.text_input import decode_text


class Place(NamedTuple):
    """A key of the file; its line is looked for only when the text is needed."""

    file: str
    text: str  # of the file
    key: str  # dotted, as in `sources.NAME.token`

    def __str__(self) -> str:
        """FILE:LINE: KEY; the line is that of the key, else of its table."""
        return f"{self.file}:{provider.line_of(self.text, '', self.key)}: {self.key}"


At = Place | str
"""What a message begins with: a key of the file, or the name of a variable."""


def place_in(file: Path | None, key: str) -> At:
    """The same of a file that was read before; without its line if it is gone since."""
    try:
        return Place(str(file), decode_text(file.read_bytes()) if file else "", key)
    except (OSError, UnicodeDecodeError):
        return f"{file}: {key}"
