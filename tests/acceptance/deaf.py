"""Runs a process that loses some replies of Redis: of each script its first, and its fifth.

Redis has run the script; only its answer is lost, as when a connection breaks in between. Each loss
is noted in the file $LOST.
"""

import os
import runpy
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from redis.exceptions import ConnectionError as Broken

from processor.store.connection import Connection
from processor.store.script_loader import bounded_scripts, scripts

LOSES = (1, 5)  # which calls of each script


def lose(log: Path) -> None:
    """Let every connection of this process lose replies."""
    every = [row for of in (scripts(), bounded_scripts()) for row in of.items()]
    names = {word: name for name, script in every for word in (script.sha, script.text)}
    calls: Counter[str] = Counter()
    send = Connection._send

    async def sends(self: Connection, *commands: tuple[Any, ...]) -> list[Any]:
        answers = await send(self, *commands)
        if commands[0][0] not in ("EVALSHA", "EVAL"):
            return answers
        name = names[commands[0][1]]
        calls[name] += 1
        if calls[name] in LOSES:
            with log.open("a") as file:
                file.write(f"{name}\n")
            raise Broken("the answer was lost")
        return answers

    Connection._send = sends  # type: ignore[method-assign]


if __name__ == "__main__":
    lose(Path(os.environ["LOST"]))
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
