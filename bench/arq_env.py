"""The arq baseline's own environment, made on first use: arq wants redis < 6."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".venv-arq"
REQUIREMENTS = Path(__file__).with_name("arq-requirements.txt")


def python() -> str:
    """Return the environment's interpreter; install what is pinned unless that is done."""
    interpreter, done = FOLDER / "bin" / "python", FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not done.exists() or done.read_text() != wanted:
        sys.stderr.write(f"making {FOLDER} for the arq baseline\n")
        run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
        run(str(interpreter), "-m", "pip", "install", "-r", str(REQUIREMENTS))
        done.write_text(wanted)
    return str(interpreter)


def run(*argv: str) -> None:
    """Run a command quietly; show what it said only if it failed."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed:\n{done.stderr[-2000:]}")
