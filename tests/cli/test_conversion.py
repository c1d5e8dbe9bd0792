"""Values of options: converted as Typer does, and refused with the remedy."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer

from processor.cli.conversion import convert_without_pydantic
from processor.cli.lazy_group import PLAIN

GOOD: list[tuple[list[str], tuple[Any, ...]]] = [
    (["a"], ("a", 1, 1.5, Path("p"), None, None, False)),
    (["a", "--whole", "3", "--number", "2"], ("a", 3, 2.0, Path("p"), None, None, False)),
    (["a", "--file", "x/y", "--flag"], ("a", 1, 1.5, Path("x/y"), None, None, True)),
    (["a", "--text", "1", "--text", ""], ("a", 1, 1.5, Path("p"), ["1", ""], None, False)),
    (["a", "--choice", "red"], ("a", 1, 1.5, Path("p"), None, "red", False)),
]
BAD = {
    "": "Missing argument 'NAME'",
    "a --whole x": "Invalid value for '--whole': 'x' is not a whole number at least 1 and at most 200",
    "a --whole 0": "'0' is not a whole number at least 1 and at most 200",
    "a --whole 201": "'201' is not a whole number",
    "a --number x": "Invalid value for '--number': 'x' is not a number",
    "a --choice blue": "Invalid value for '--choice': 'blue' is not known; write one of red, green",
}


def app(found: list[tuple[Any, ...]]) -> typer.Typer:
    """A command that notes its values."""
    app = typer.Typer(**PLAIN)

    @app.command()
    def command(
        name: Annotated[str, typer.Argument(metavar="NAME")],
        *,
        whole: Annotated[int, typer.Option(min=1, max=200)] = 1,
        number: float = 1.5,
        file: Path = Path("p"),
        text: Annotated[list[str] | None, typer.Option()] = None,
        choice: Annotated[Literal["red", "green"] | None, typer.Option()] = None,
        flag: Annotated[bool, typer.Option("--flag")] = False,
    ) -> None:
        found.append((name, whole, number, file, text, choice, flag))

    return app


@pytest.mark.parametrize(("words", "values"), GOOD)
def test_a_value_has_the_type_that_the_command_asks_for(
    words: list[str], values: tuple[Any, ...]
) -> None:
    found: list[tuple[Any, ...]] = []
    convert_without_pydantic()
    app(found)(args=words, standalone_mode=False)
    assert found == [values]
    assert list(map(type, found[0]))[1:4] == [int, float, type(Path())]


@pytest.mark.parametrize("words", BAD)
def test_what_is_not_valid_is_refused_with_the_name_of_the_option(words: str, capsys) -> None:
    convert_without_pydantic()
    with pytest.raises(SystemExit):
        app([])(args=words.split())
    assert BAD[words].lower() in capsys.readouterr().err.lower()
