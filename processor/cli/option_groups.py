"""Options that several commands share: they become one value, a parameter of the command."""

from collections.abc import Callable
from functools import wraps
from inspect import signature

Command = Callable[..., None]


def option_group(name: str, make: Callable[..., object]) -> Callable[[Command], Command]:
    """A decorator: its command has the options of `make`, and gets what `make` returns as `name`.

    Typer sees these options in place of the parameter `name`.
    """
    options = signature(make).parameters

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**given: object) -> None:
            value = make(**{option: given.pop(option) for option in options})
            command(**given, **{name: value})

        own = signature(command)
        parameters = [
            parameter
            for own_name, own_parameter in own.parameters.items()
            for parameter in (options.values() if own_name == name else [own_parameter])
        ]
        run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return run

    return decorate
