"""Converts the values of options and arguments, so that a command need not import pydantic.

Typer converts with pydantic, which takes longer to import than most commands run. Values of the
few types that commands have are converted here; what is not valid is left to Typer, which says so.
"""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperArgument, TyperOption

_typers_own = TyperOption.process_value


def convert_without_pydantic() -> None:
    """Have the values of all commands converted here."""
    for kind in (TyperOption, TyperArgument):
        setattr(kind, "process_value", _process)  # noqa: B010 - Typer has no setting for its classes


def _process(parameter: Any, context: Any, value: Any) -> Any:
    """The converted value of a parameter; by Typer if it is missing or not valid."""
    try:
        found = _valid(parameter, value)
    except ValueError:
        return _typers_own(parameter, context, value)
    return parameter.callback(context, parameter, found) if parameter.callback else found


def _valid(parameter: Any, value: Any) -> Any:
    """The converted value, None for none; ValueError if it is missing, not valid or out of range."""
    if value in (None, (), []):
        if parameter.required:
            raise ValueError
        return None
    found = _converted(parameter.type_descriptor.annotation, value)
    least, most = parameter.min, parameter.max
    if (least is not None and found < least) or (most is not None and found > most):
        raise ValueError
    return found


def _converted(annotation: Any, value: Any) -> Any:
    """The value in this type; ValueError if it is not valid, or the type is none of ours."""
    if get_origin(annotation) is list:
        (of_one,) = get_args(annotation)
        return [_converted(of_one, one) for one in value]
    if get_origin(annotation) is Literal and value in get_args(annotation):
        return value
    if isinstance(annotation, type) and isinstance(value, annotation):
        return value
    if annotation in (int, float, Path) and isinstance(value, str):
        return annotation(value)
    raise ValueError
