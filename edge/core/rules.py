"""What a value may be: read and checked in one way, whether it is a key of the configuration or an option of an output."""
import ipaddress
import re
from typing import Any, Callable, NamedTuple, Optional, Tuple

from edge.core.parts import BOTH, IBUG
from edge.core.spelling import nearest

LOOPBACK = "127.0.0.1"
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}\Z")

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]{1,253}|\[[0-9a-f:.]+\])(:[0-9]{1,5})?\Z")
PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}\Z")  # the name of a neutral face: also that of a file


class Rule(NamedTuple):
    """`read` raises ValueError, with the reason where `allowed` alone would not explain it."""

    allowed: str  # ends the sentence "allowed: ..."
    read: Callable[[Any], Any]  # what YAML or from_text gave -> what the configuration holds
    from_text: Callable[[str], Any]  # an argument of the command line -> what YAML would have given
    choices: Tuple[str, ...] = ()  # what a shell completes


class Address(NamedTuple):
    """Of a socket. `host` is a name, an IPv4 address or an IPv6 address without brackets."""

    host: str
    port: int

    @property
    def text(self) -> str:
        return ("[{}]:{}" if ":" in self.host else "{}:{}").format(*self)


def numeral(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _expect_number(value: Any, kinds: Any, low: float, high: float) -> None:
    if isinstance(value, str) and not isinstance(numeral(value), str):
        raise ValueError("write the number without quotes" + (", as 1.0e+3" if "e" in value.lower() else ""))
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ValueError
    if not low <= value <= high:
        raise ValueError


def number(low: float, high: float, unit: str = "") -> Rule:
    def read(value: Any) -> float:
        _expect_number(value, (int, float), low, high)
        return float(value)

    return Rule("a number from {:g} to {:g}{}".format(low, high, unit and " " + unit), read, numeral)


def whole(low: int, high: int, unit: str = "") -> Rule:
    def read(value: Any) -> int:
        _expect_number(value, (int,), low, high)
        return int(value)

    return Rule("a whole number from {} to {}{}".format(low, high, unit and " " + unit), read, numeral)


def choice(*values: Any) -> Rule:
    def read(value: Any) -> Any:
        for known in values:
            if type(value) is type(known) and value == known:
                return known
        near = nearest(value, (v for v in values if isinstance(v, str))) if isinstance(value, str) else None
        raise ValueError("did you mean {}?".format(near) if near else "")

    words = tuple(str(v) for v in values)
    return Rule("one of " + ", ".join(words), read, numeral if isinstance(values[0], int) else str, words)


def matching(pattern: str, allowed: str) -> Rule:
    """All of which the pattern matches."""
    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.match("(?:{})\\Z".format(pattern), value):
            raise ValueError
        return value

    return Rule(allowed, read, str)


def flag() -> Rule:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Rule("true or false", read, lambda text: words.get(text.lower(), text), ("true", "false"))


def which_points() -> Rule:
    """True (also 468): those of the mesh; 68: those of iBUG; "all": both; False."""
    by_text, switch = {"468": True, str(IBUG): IBUG, BOTH: BOTH}, flag()

    def read(value: Any) -> Any:
        if isinstance(value, bool):
            return value
        if str(value) not in by_text:
            raise ValueError
        return by_text[str(value)]

    return Rule("true or false, 468 (as true), 68 (those of iBUG) or all", read, switch.from_text,
                tuple(by_text) + switch.choices)


def origins() -> Rule:
    """Of web pages, as a browser tells them; several with commas between. "null" is that of a page opened as a file."""

    def read(value: Any) -> Tuple[str, ...]:
        found = tuple(one.strip().rstrip("/").lower() for one in value.split(","))
        if not all(one == "null" or ORIGIN.match(one) for one in found):
            raise ValueError
        return found

    return Rule("http://HOST:PORT or https://HOST, several with commas, or null for pages opened as files", read, str)


def is_profile(name: str) -> bool:
    """"none" and "null" mean no profile."""
    return PROFILE.match(name) is not None and name.lower() not in ("none", "null")


def split_address(text: str) -> Tuple[str, str]:
    """Host and port as they are written; empty where one is not there."""
    host, colon, digits = text.strip().rpartition(":")
    if not colon and digits and not digits.isdigit() or digits.endswith("]"):  # a host alone
        return text.strip(), ""
    return host, digits


def parse_address(text: str, port: Optional[int] = None) -> Address:
    """HOST:PORT, PORT or :PORT, and where there is a usual `port` also HOST or nothing; no host is this machine alone.

    Raises ValueError with the reason.
    """
    host, digits = split_address(text)
    if digits:
        if not re.match(r"[0-9]{1,5}\Z", digits) or not 1 <= int(digits) <= 65535:
            raise ValueError("{} is no port: 1 to 65535".format(digits))
        port = int(digits)
    elif port is None:
        raise ValueError("the port is missing")
    if host.startswith("[") and host.endswith("]"):
        try:
            return Address(str(ipaddress.IPv6Address(host[1:-1])), port)
        except ValueError:
            raise ValueError("{} is no IPv6 address".format(host))
    if ":" in host:
        port_given = ":" + digits if digits and host.strip(":") else ""
        raise ValueError("an IPv6 address stands in brackets, as [::1]{}".format(port_given))
    if host and not HOST.match(host):
        raise ValueError("{} is no host".format(host))
    return Address(host or LOOPBACK, port)
