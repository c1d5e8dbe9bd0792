"""No code interprets a time without a zone as local time."""

import ast
from pathlib import Path

import pytest

import processor
import workers

FILES = [
    path for package in (processor, workers) for path in Path(package.__file__).parent.rglob("*.py")
]
LOCAL = {"localtime", "mktime", "ctime", "utcnow", "utcfromtimestamp", "today", "astimezone"}
AWARE = {  # calls of `.timestamp()`, each on a time that has a zone
    "signing/schemes/sns_certificate.py": 2,  # cryptography's `…_utc`
    "signing/parse/timestamp.py": 1,  # its pattern demands the Z
    "http_time.py": 1,  # made UTC there
    "tokens/printed_token.py": 1,  # RFC 3339, whose pattern demands a zone
    "web/query_params.py": 1,  # what `payload.utc` made
    "web/jobs.py": 1,  # the same
    "service/replay/replay.py": 1,  # refused there without a zone
}


def calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def test_nothing_reads_local_time() -> None:
    found = [
        f"{path.name}:{call.lineno}"
        for path in FILES
        for call in calls(path)
        if name_of(call) in LOCAL
    ]
    assert found == []


@pytest.mark.parametrize("method", ["fromtimestamp", "now"])
def test_a_datetime_is_made_with_its_zone(method: str) -> None:
    """`datetime.now()` and `fromtimestamp(seconds)` alone give the machine's zone."""
    needs = {"fromtimestamp": 2, "now": 1}[method]
    found = [
        f"{path.name}:{call.lineno}"
        for path in FILES
        for call in calls(path)
        if name_of(call) == method
        and isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value) in {"datetime", "datetime.datetime"}
        and len(call.args) + len(call.keywords) < needs
    ]
    assert found == []


def test_each_timestamp_is_taken_from_a_time_with_a_zone() -> None:
    """Whoever adds a call looks where its time comes from, and then adds it here."""
    found: dict[str, int] = {}
    for path in FILES:
        count = sum(name_of(c) == "timestamp" and not c.args for c in calls(path))
        if count:
            found["/".join(path.parts[path.parts.index("processor") + 1 :])] = count
    assert found == AWARE
