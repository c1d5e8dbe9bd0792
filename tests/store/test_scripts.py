"""Every Lua file documents its keys, arguments and results, names its parts, and is short."""

import importlib.resources
import re
from typing import Any

import pytest

from processor.store import Store, keys
from processor.store.script_loader import ALLOW_OOM, uses, with_parts

FOLDER = importlib.resources.files("processor.store") / "scripts"
SCRIPTS = sorted(file.name for file in FOLDER.iterdir() if file.name.endswith(".lua"))
SHARED = sorted(f"shared/{file.name}" for file in (FOLDER / "shared").iterdir())
FILES = {name: (FOLDER / name).read_text() for name in SCRIPTS + SHARED}
LONGEST = 64  # lines
WRITES = re.compile(
    r"\b(?:put|enqueue|run_now|start_next|drop|buffer|index|finish|nudge|keep_body|add_history|publish|hold)\("
    r"|redis\.call\('(?:SET|DEL|H(?:SET|DEL|INCRBY)|Z(?:ADD|REM)|RPUSH|X(?:ADD|TRIM)|P?EXPIRE)"
)


def header(name: str) -> str:
    """The comment that a file begins with."""
    lines = FILES[name].splitlines()
    end = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(line.removeprefix("--").strip() for line in lines[:end])


def functions() -> dict[str, str]:
    """The functions that parts define: each body by its name."""
    shared = "\n".join(FILES[name] for name in SHARED)
    found = re.findall(r"^local function (\w+)\(.*?\)\n(.*?)^end", shared, re.MULTILINE | re.DOTALL)
    return dict(found)


def runs(text: str) -> set[str]:
    """The commands that Lua code may run, directly or through shared functions."""
    bodies, met, todo = functions(), set(), [text]
    commands: set[str] = set()
    while todo:
        body = todo.pop()
        commands |= set(re.findall(r"(?:redis\.call|buffer)\('(\w+)'", body))
        for name in bodies.keys() & set(re.findall(r"(\w+)\(", body)) - met:
            met.add(name)
            todo.append(bodies[name])
    return commands


def proves(name: str) -> set[str]:
    """The commands that a script proves that it may run, before anything else."""
    first = re.match(r"(prove|prove_each|may)\((?:'(.*?)'|\[\[(.*?)\]\])", code(name), re.DOTALL)
    assert first, f"{name} does not begin with its proof"
    itself = set() if first[1] == "may" else {"TYPE"}  # a proof of keys needs it, and adds it
    return itself | set((first[2] or first[3] or "").split())


def text_of(script: Any) -> str:
    """A script as Redis gets it."""
    text: str | bytes = script.text if hasattr(script, "text") else script.script
    return text if isinstance(text, str) else text.decode()


def code(name: str) -> str:
    """The code after the header."""
    return "\n".join(FILES[name].splitlines()[len(header(name).splitlines()) :])


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_script_is_short(name: str):
    assert len(FILES[name].splitlines()) <= LONGEST


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_script_has_short_lines(name: str):
    assert [line for line in FILES[name].splitlines() if len(line) > 100] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_is(name: str):
    first = header(name).splitlines()[0]
    assert re.match(r"[A-Z][a-z]+s\b", first), first
    assert "KEYS" not in first


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("word", ["KEYS", "ARGV", "Returns"])
def test_a_script_says_what_it_takes_and_returns(name: str, word: str):
    if word in code(name) or word == "Returns":
        assert re.search(rf"^{word}\b", header(name), re.MULTILINE)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_writes_says_what_happens_when_it_runs_twice(name: str):
    if WRITES.search(code(name)):
        assert re.search(r"\b[Ss]afe twice: \w+", header(name))


@pytest.mark.parametrize("name", SHARED)
def test_a_part_says_what_it_is(name: str):
    assert re.match(r"[A-Z].*[.;:]", header(name).splitlines()[0])


@pytest.mark.parametrize("name", SCRIPTS + SHARED)
def test_a_script_never_makes_up_a_key(name: str):
    """Every key is passed in, so that a cluster can route the call."""
    for call in re.findall(r"redis\.call\('(?!TIME)\w+', ([^,)]+)", code(name)):
        assert not re.search(r"\.\.|^'", call), call


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_proves_each_command_that_it_runs_and_no_other(name: str):
    assert proves(name) == runs(code(name))


def test_scripts_know_the_type_of_each_key(documented_keys: Any):
    text = FILES["shared/0-key_types.lua"]
    known = dict(re.findall(r"([a-z_]+|\['[a-z:]+'\]) = '(\w+)'", text))
    names = {row.name.removeprefix("rb:"): row.type for row in documented_keys}
    for of_no_script in ("probe", "stalled", "poll_errors"):
        del names[of_no_script]
    assert {name.strip("[']"): kind for name, kind in known.items()} == {
        re.sub(r":[A-Z].*", "", name): kind for name, kind in names.items()
    }


def test_scripts_and_store_agree_on_which_keys_are_shared():
    shared = re.search(r"local SHARED = \[\[(.*?)\]\]", FILES["shared/0-key_types.lua"], re.DOTALL)
    assert shared
    assert set(shared[1].split()) == keys.SHARED


async def test_every_script_is_known_by_its_name(store: Store):
    assert set(store.connection.scripts) == {name.removesuffix(".lua") for name in SCRIPTS}


def part(name: str) -> str:
    """What a shared file is called in a line of `Uses`."""
    return name.partition("-")[2].removesuffix(".lua")


PARTS = {part(name): FILES[name] for name in SHARED}
DEFINES = re.compile(r"^local (?:(?:function (\w+))|(\w+))", re.MULTILINE)


def shared_words() -> dict[str, str]:
    """A pattern for the use of each function and value that parts define; the part by pattern."""
    return {
        rf"(?<![.\w']){function}[(,)]" if function else rf"(?<![.\w']){value}\b": name
        for name, body in PARTS.items()
        for function, value in DEFINES.findall(body)
    }


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_script_names_the_parts_that_it_uses_and_no_others(name: str):
    text = re.sub(r"--.*", "", code(name))
    used = {where for word, where in shared_words().items() if re.search(word, text)}
    assert uses(FILES[name]) == used - {part(name)}


@pytest.mark.parametrize("name", SHARED)
def test_a_part_uses_only_parts_that_are_loaded_before_it(name: str):
    names = list(PARTS)
    assert all(names.index(used) < names.index(part(name)) for used in uses(FILES[name]))


def test_no_name_is_defined_by_two_parts():
    words = [word for body in PARTS.values() for word in DEFINES.findall(body)]
    assert len(words) == len(set(words))


async def test_a_script_is_loaded_after_its_parts_and_theirs(store: Store):
    text = "-- Uses: names, time\n"
    needed = [PARTS[name] for name in ("key_types", "prove", "time", "names")]
    assert with_parts(text, PARTS) == "\n".join([*needed, text])
    for name in SCRIPTS:
        script = store.connection.scripts[name.removesuffix(".lua")]
        assert text_of(script) == f"{ALLOW_OOM}\n{with_parts(FILES[name], PARTS)}"


async def test_only_what_is_bounded_is_refused_by_a_full_redis(store: Store):
    for name, script in store.connection.scripts.items():
        bounded = store.connection.bounded_scripts[name]
        assert text_of(script) == f"{ALLOW_OOM}\n{text_of(bounded)}"
        assert bounded.sha != script.sha
