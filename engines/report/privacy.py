"""Hides what a text for strangers must not have: user, host, addresses, serial numbers and passwords."""
import ipaddress
import os
import re
from functools import partial
from typing import Mapping, NamedTuple

from edge.core.redact import hide

ADDRESS = "(address)"
NETWORK = re.compile(r"\b(?!csi:|file:)([A-Za-z][A-Za-z0-9+.-]{0,30})://[^\s'\"!]+")
IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(:\d+)?(?![\w.]*\w)")
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})(?:%[\w.-]+)?(?![\w:])")
MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4,6}(?![\w:-])|"
                 r"(?<![\w.])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?![\w.])|(?<=\b(?:wlx|enx))[0-9A-Fa-f]{12}\b")
SERIAL = re.compile(r"(/by-id/)[^\s'\",;)]+")  # the name of a device there ends in its serial number
VERSIONED = re.compile(r"tensorrt|cudnn|cuda|opencv|cv2|openvino|onnx|version|libnv|python|numpy|plan", re.IGNORECASE)
LARGEST_OF_VERSIONS = 20  # of the first two numbers
COMMON_NAMES = {"", "localhost", "jetson", "nano", "ubuntu", "nvidia", "root", "user", "nanoface"}


class Privacy(NamedTuple):
    """`home`: the user's folder; `user` and `host`: names, left alone where they are common ones."""

    home: str
    user: str
    host: str

    def hide(self, text: str) -> str:
        text = NETWORK.sub(r"\1://" + ADDRESS, hide(text))
        text = SERIAL.sub(r"\1(camera)", text)
        text = MAC.sub(ADDRESS, text)
        text = IPV6.sub(_unless_loopback, text)
        text = IPV4.sub(partial(_unless_version, VERSIONED.search(text) is not None), text)
        if len(self.home) > 1:
            text = re.sub(re.escape(self.home) + r"(?=[/\s:;,)'\"]|$)", "~", text)
        for name, instead in ((self.user, "(user)"), (self.host, "(host)")):
            if name.lower() not in COMMON_NAMES:
                text = re.sub(r"(?<![\w.-]){}(?![\w-])".format(re.escape(name)), instead, text)
        return text


def _unless_loopback(found: "re.Match[str]") -> str:
    """Times of day and ratios have colons, too."""
    try:
        address = ipaddress.IPv6Address(found.group().partition("%")[0])
    except ValueError:
        return found.group()
    return found.group() if address.is_loopback or address.is_unspecified else ADDRESS


def _unless_version(of_versions: bool, found: "re.Match[str]") -> str:
    """8.2.1.8 is a version of TensorRT where the text is about such; 192.168.0.7 and 9.9.9.9 are addresses."""
    text = found.group()
    numbers = [int(n) for n in text.partition(":")[0].split(".")]
    version = of_versions and not found.group(1) and max(numbers[:2]) <= LARGEST_OF_VERSIONS
    return text if (version and numbers[0] != 10) or max(numbers) > 255 else ADDRESS


def of_this_user(environ: Mapping[str, str]) -> Privacy:
    home = environ.get("HOME", "") or os.path.expanduser("~")
    host = os.uname().nodename.split(".")[0] if hasattr(os, "uname") else environ.get("COMPUTERNAME", "")
    return Privacy(home.rstrip("/"), environ.get("USER", "") or os.path.basename(home), host)
