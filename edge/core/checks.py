"""Values out of a record that somebody else may have written: what they must be, or one clear InputError.

`where` names the value in errors.
"""
import math
from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

import numpy as np

from edge.core.errors import InputError

SHOWN = 40  # characters of what is wrong that stand in its error
KINDS = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}


def shown(value: Any) -> str:
    try:
        return repr(value)[:SHOWN]
    except ValueError:  # Python 3.11 and later do not write out a number that is larger still
        return "a number of thousands of digits"


def wrong(where: str, expected: str, found: Any) -> InputError:
    kind = KINDS.get(type(found)) or (shown(found) if isinstance(found, (int, float)) else "something else")
    return InputError("the record: {} must be {}, it is {}".format(where, expected, kind))


def expect(value: Any, kind: type, where: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise wrong(where, expected, value)
    return value


def optional(record: Mapping[str, Any], key: str, where: str, read: Callable[[Any, str], Any]) -> Any:
    return read(record[key], where) if key in record else None


def number(value: Any, where: str) -> float:
    try:
        if type(value) in (float, int) and math.isfinite(value):  # bool is an int
            return float(value)
    except OverflowError:  # an int that no float holds
        pass
    raise wrong(where, "a finite number", value)


def whole(value: Any, where: str) -> int:
    if type(value) is not int or value < 0:
        raise wrong(where, "a whole number", value)
    return int(value)


def text(value: Any, where: str) -> str:
    return str(expect(value, str, where, "a text"))


def mapping(value: Any, where: str) -> Dict[str, Any]:
    return dict(expect(value, dict, where, "an object"))


def array(value: Any, where: str, shape: Tuple[int, ...]) -> np.ndarray:
    """float64 of just this shape; from this process's own writer it may be one already."""
    expected = "{} numbers".format(" x ".join(map(str, shape)))
    if not isinstance(value, np.ndarray) and not _has_shape(value, shape):
        raise wrong(where, expected, value)
    found = value if isinstance(value, np.ndarray) else np.array(value)
    if found.shape != shape or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise wrong(where, expected, value)
    return found.astype(np.float64, copy=False)


def _has_shape(value: Any, shape: Tuple[int, ...]) -> bool:
    """Looked at first: of rows that differ, numpy's versions make different things, and of one long text a table as wide."""
    if not isinstance(value, list) or len(value) != shape[0]:
        return False
    if len(shape) > 1:
        return all(_has_shape(row, shape[1:]) for row in value)
    return all(isinstance(one, (float, int)) and not isinstance(one, bool) for one in value)


def numbers(record: Mapping[str, Any], names: Sequence[str], where: str) -> Tuple[float, ...]:
    return tuple(number(record.get(name), "{}.{}".format(where, name)) for name in names)
