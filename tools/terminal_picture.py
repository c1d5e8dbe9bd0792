"""Makes docs/terminal.svg: what a terminal shows of real commands, at a server of its own.

`make docs`. With --text it prints the lines instead, which a test compares with the picture.
"""

import argparse
import base64
import fcntl
import hashlib
import hmac
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "terminal.svg"
WIDTH, HEIGHT = 84, 24  # characters
CHAR, LINE, MARGIN = 8.43, 19, 18  # pixels
FONT = "ui-monospace, Menlo, Consolas, monospace"
RINGBACK = [sys.executable, "-P", "-m", "processor.cli"]
SECRET = b"a secret that was made up"
CONFIG = f"""
[sources.encoder]
provider = "standard"
webhook_secret = "whsec_{base64.b64encode(SECRET).decode()}"
"""
TIMEOUT = 30.0  # seconds
CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b.|[\r\n]|.", re.DOTALL)

Row = list[tuple[str, str]]
"""A line of the terminal: characters with the escape sequence of their style."""


class Screen:
    """As much of a terminal as commands need: lines, styles, and a cursor that moves up."""

    def __init__(self) -> None:
        self.rows: list[Row] = [[]]
        self._line, self._column, self._style = 0, 0, ""

    def feed(self, text: str) -> None:
        """Write what a program has printed."""
        for found in CONTROL.finditer(text):
            value, action = found[1] or "", found[2]
            if action == "A":
                self._line = max(self._line - int(value or 1), 0)
            elif action == "K":
                self.rows[self._line] = []
            elif action == "m":
                self._style = "" if value in ("", "0") else f"{self._style}{found[0]}"
            elif found[0] == "\r":
                self._column = 0
            elif found[0] == "\n":
                self._line, self._column = self._line + 1, 0
                self.rows += [[]] if self._line == len(self.rows) else []
            elif not found[0].startswith("\x1b"):
                self._put(found[0])

    def _put(self, char: str) -> None:
        row = self.rows[self._line]
        row += [("", " ")] * (self._column + 1 - len(row))
        row[self._column] = (self._style, char)
        self._column += 1

    def lines(self) -> list[str]:
        """The text of the lines."""
        return ["".join(char for _, char in row).rstrip() for row in self.rows]


def show(screen: Screen, folder: Path, url: str, command: str, *until: str) -> None:
    """Run a command to its end, or until all of these are on the screen, and then stop it."""
    screen.feed(f"\x1b[32m$\x1b[0m \x1b[1mringback {command}\x1b[0m\n")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")}
    environ = plain | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "RINGBACK_URL": url}
    argv, ends = [*RINGBACK, *command.split()], time.monotonic() + TIMEOUT
    running = subprocess.Popen(  # noqa: S603 -- our own commands
        argv, cwd=folder, env=environ, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    while printed := _read(ours):
        screen.feed(printed)
        shown = "\n".join(screen.lines())
        if until and all(one in shown for one in until):
            break
        if time.monotonic() > ends:
            sys.exit(f"waited in vain for {until}:\n{shown}")
    running.kill()
    running.wait()
    os.close(ours)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65_536).decode()
    except OSError:  # the command has ended
        return ""


def push(url: str, job: str, status: str, progress: float) -> None:
    """Send a signed push about a job."""
    body = json.dumps({"id": job, "status": status, "progress": progress}).encode()
    name, now = f"msg_{time.time_ns()}", str(int(time.time()))
    digest = hmac.digest(SECRET, f"{name}.{now}.".encode() + body, hashlib.sha256)
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    request = urllib.request.Request(f"{url}/hooks/encoder", body, headers)  # noqa: S310 -- ours
    urllib.request.urlopen(request).close()  # noqa: S310 -- ours


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A running `ringback up` in this folder; gives its URL."""
    (folder / "ringback.toml").write_text(CONFIG)
    others = ("RINGBACK_", "REDIS_URL", "PORT")
    clean = {name: one for name, one in os.environ.items() if not name.startswith(others)}
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(  # noqa: S603 -- our own command
            [*RINGBACK, "up", "--port", "0", "--json"],
            cwd=folder, env=clean, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            line = running.stdout.readline() if running.stdout else ""
            yield json.loads(line or "{}").get("ready") or sys.exit((folder / "log").read_text())
        finally:
            running.terminate()
            running.communicate()


def session() -> list[Row]:
    """The lines of the session."""
    screen = Screen()
    with tempfile.TemporaryDirectory() as name, server(folder := Path(name)) as url:
        run = partial(show, screen, folder, url)
        push(url, "teaser", "succeeded", 1.0)
        run("watch encoder teaser trailer film --no-wait --metadata order=42")
        push(url, "trailer", "running", 0.72)
        push(url, "film", "running", 0.31)
        screen.feed("\n")
        run("watch encoder teaser trailer film", "100% succeeded", "72% running", "31% running")
        push(url, "trailer", "succeeded", 1.0)
        push(url, "film", "failed", 0.31)
        screen.feed("\n\n")
        run("wait encoder teaser trailer film --quiet")
    while not screen.lines()[-1]:
        screen.rows.pop()
    return screen.rows


def svg(rows: list[Row]) -> str:
    """The picture of these lines."""
    width, height = round(WIDTH * CHAR + 2 * MARGIN), len(rows) * LINE + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>ringback watch and wait in a terminal</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b1f24"/>',
        f'<g font-family="{FONT}" font-size="14" fill="#d5dae0">',
    ]
    for number, row in enumerate(rows):
        y = MARGIN + number * LINE + 14
        lines += [_words(x, y, word, style) for x, word, style in _runs(row)]
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _runs(row: Row) -> Iterator[tuple[int, str, str]]:
    """Words of one style, with the column where they begin."""
    begun = 0
    for column in range(1, len(row) + 1):
        if column == len(row) or row[column][0] != row[begun][0]:
            yield begun, "".join(char for _, char in row[begun:column]), row[begun][0]
            begun = column


def _words(column: int, y: int, words: str, style: str) -> str:
    found = Text.from_ansi(f"{style}x").get_style_at_offset(Console(), 0)
    color = found.color and found.color.get_truecolor(SVG_EXPORT_THEME).hex
    fill = f' fill="{color}"' if color else ""
    bold = ' font-weight="bold"' if found.bold else ""
    place = f'x="{MARGIN + column * CHAR:.1f}" y="{y}" textLength="{len(words) * CHAR:.1f}"'
    text = escape(words).replace(" ", "\u00a0")  # blanks are kept, and so is the place of the rest
    return f'<text {place} lengthAdjust="spacingAndGlyphs"{fill}{bold}>{text}</text>'


def main() -> None:
    """Write the picture, or print the text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", action="store_true", help="print the lines")
    rows = session()
    if parser.parse_args().text:
        print("\n".join("".join(char for _, char in row).rstrip() for row in rows))
    else:
        PICTURE.write_text(svg(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
