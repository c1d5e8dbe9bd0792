"""Converts the values of options and arguments, so that a command need not import pydantic.

Typer converts with pydantic, which takes longer to import than most commands run. Values of the
few types that commands have are converted here.
"""

from typing import Any, Literal, get_args, get_origin

from typer import BadParameter
from typer.core import TyperArgument, TyperOption

_typers_own = TyperOption.process_value


def convert_without_pydantic() -> None:
    """Have the values of all commands converted here."""
    for kind in (TyperOption, TyperArgument):
        setattr(kind, "process_value", _process)  # noqa: B010 - Typer has no setting for its classes


def _process(parameter: Any, context: Any, value: Any) -> Any:
    """The converted value of a parameter; BadParameter, or from Typer an error if it is missing."""
    if value in (None, (), []):
        if parameter.required:
            return _typers_own(parameter, context, value)
        found = None
    else:
        try:
            found = _converted(parameter.type_descriptor.annotation, value, parameter)
        except ValueError as error:
            raise BadParameter(str(error), context, parameter) from None
    return parameter.callback(context, parameter, found) if parameter.callback else found


def _converted(annotation: Any, value: Any, parameter: Any) -> Any:
    """The value in this type; ValueError with the remedy if it is not valid."""
    if get_origin(annotation) is list:
        (of_one,) = get_args(annotation)
        return [_converted(of_one, one, parameter) for one in value]
    if get_origin(annotation) is Literal:
        return _one_of(get_args(annotation), value)
    if annotation in (int, float):
        return _number(annotation, value, parameter.min, parameter.max)
    return value if isinstance(value, annotation) else annotation(value)


def _one_of(choices: tuple[Any, ...], value: Any) -> Any:
    if value not in choices:
        raise ValueError(f"{value!r} is not known; write one of {', '.join(choices)}")
    return value


def _number(kind: type, value: Any, least: float | None, most: float | None) -> Any:
    try:
        found = kind(value)
    except ValueError:
        found = None
    too_small = found is not None and least is not None and found < least
    too_large = found is not None and most is not None and found > most
    if found is None or too_small or too_large:
        limits = [(f"at least {least}", least), (f"at most {most}", most)]
        bounds = " and ".join(words for words, limit in limits if limit is not None)
        name = "whole number" if kind is int else "number"
        raise ValueError(f"{value!r} is not a {name} {bounds}".rstrip())
    return found
