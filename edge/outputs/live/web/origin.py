"""Whose web pages may speak to a server on this machine."""
import ipaddress
import re
from typing import Any, Iterable, Mapping, Optional

LOCAL_ORIGIN = re.compile(r"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?\Z", re.IGNORECASE)


def host_is_ours(header: Optional[str], own: Iterable[str]) -> bool:
    """Whether the Host of a request names this machine: loopback, one of `own` names and addresses. A page whose name was
    made to lead here sends its own name."""
    host = re.sub(r":\d*\Z", "", header or "").lower().rstrip(".")
    names = {name.lower() for name in own}
    if host == "localhost" or host in names:
        return True
    try:
        address: Any = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return bool(address.is_loopback) or str(mapped or address) in names


def origin_is_allowed(headers: Mapping[str, str], named: Iterable[str]) -> bool:
    """A page says its Origin, but for pictures and the like, which browsers mark; it is one of this machine, or was named by
    the user. Programs say none."""
    origin = headers.get("Origin")
    if origin is None:
        return headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin") or headers.get("Sec-Fetch-Mode") == "navigate"
    return LOCAL_ORIGIN.match(origin) is not None or origin.lower() in {name.lower() for name in named}
