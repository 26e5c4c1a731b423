"""Values from YAML, checked against dataclasses: every key, every type; RecipeError names the key."""

import difflib
import math
import types
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bbmr.training.errors import RecipeError


def require(condition: bool, key: str, wants: str) -> None:
    """Raise RecipeError, which names the key, unless `condition` holds."""
    if not condition:
        raise RecipeError(f"{key}: {wants}")


def near(name: Any, known: Iterable[str]) -> str:
    """Say which known names are like an unknown one; empty if none is."""
    close = difflib.get_close_matches(str(name), list(known), n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def convert(value: Any, wanted: Any, key: str) -> Any:
    """Check `value` against a type as the recipe's fields have it, and convert where nothing is lost."""
    if is_dataclass(wanted):
        return _section(value, wanted, key)
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        options = [part for part in get_args(wanted) if part is not types.NoneType]
        option = options[-1] if isinstance(value, dict) else options[0]
        return None if value is None else convert(value, option, key)
    if origin is Literal:
        choices = get_args(wanted)
        require(value in choices, key, f"{value!r} is unknown{near(value, choices)}; one of {', '.join(choices)}")
        return value
    if wanted is float:
        return _number(value, key)
    if origin is not None:  # Mapping[int, ...]
        require(isinstance(value, dict), key, f"{value!r} is no mapping of whole numbers, as in {{4: ...}}")
        number, content = get_args(wanted)
        return {convert(k, number, key): convert(v, content, f"{key}.{k}") for k, v in value.items()}
    described = {int: "whole number", str: "text", bool: "true or false"}[wanted]
    require(
        isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)),
        key,
        f"{value!r} is no {described}" if wanted is not bool else f"{value!r} is neither true nor false",
    )
    return value


def _section(values: Any, wanted: Any, key: str) -> Any:
    require(isinstance(values, dict), key or "recipe", f"{values!r} is no section of keys and values")
    known = {part.name for part in fields(wanted)}
    full = partial("{}.{}".format, key) if key else str
    for name in values:
        require(name in known, full(name), f"unknown key{near(name, known) or '; known: ' + ', '.join(sorted(known))}")
    hints = get_type_hints(wanted)
    return wanted(**{name: convert(value, hints[name], full(name)) for name, value in values.items()})


def _number(value: Any, key: str) -> float:
    # YAML 1.1 takes 2e-3, without a point, for text.
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    require(math.isfinite(number), key, f"{value!r} is no number")
    return number
