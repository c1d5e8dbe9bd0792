"""The tree of errors: the drawing in the docstring agrees with the classes."""

import inspect
import re

import pytest

from processor import errors
from processor.errors import RequestError, RingbackError, Unauthorized

LINE = re.compile(r"^([│ ]*[├└]── )(\w+)\s+(.*?)\s*((?:exit 2)|(?:[45]xx)|(?:\d{3}(?:, \d{3})*))?$")


def drawn() -> dict[str, tuple[str, str]]:
    """Each class of the drawing: its base, and the code at the end of its line."""
    found, above = {}, {0: "RingbackError"}
    for line in (errors.__doc__ or "").splitlines():
        if match := LINE.match(line):
            depth = len(match[1]) // 4
            above[depth] = match[2]
            found[match[2]] = (above[depth - 1], match[4] or "")
    return found


def classes() -> dict[str, type[RingbackError]]:
    members = inspect.getmembers(errors, inspect.isclass)
    return {n: c for n, c in members if issubclass(c, RingbackError) and c is not RingbackError}


def test_the_drawing_is_the_tree():
    assert {name: base for name, (base, _) in drawn().items()} == {
        name: cls.__bases__[0].__name__ for name, cls in classes().items()
    }


@pytest.mark.parametrize("name", [n for n, c in classes().items() if issubclass(c, RequestError)])
def test_the_drawing_says_the_status(name: str):
    status, drawn_status = getattr(errors, name).status, drawn()[name][1]
    assert (
        drawn_status == "4xx" if name == "RequestError" else str(status) in drawn_status.split(", ")
    )


def test_every_request_error_has_a_4xx_status():
    for cls in classes().values():
        if issubclass(cls, RequestError):
            assert 400 <= cls.status < 500
            assert cls.title


def test_a_call_without_a_key_is_401():
    assert Unauthorized("who are you?").status == 401
