"""What a text for strangers must not tell: who, which host, and where on the network."""
import os
import re
from typing import Mapping, NamedTuple

NETWORK = re.compile(r"\b(rtsps?|https?|rtmp|udp|tcp)://[^\s'\"!]+")
ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b")
TELLS_NOTHING = {"", "localhost", "jetson", "nano", "ubuntu", "nvidia", "root", "user", "nanoface"}


class Privacy(NamedTuple):
    """`home`: the user's folder; `user` and `host`: names, left alone where they tell nothing."""

    home: str
    user: str
    host: str

    def hide(self, text: str) -> str:
        """Versions of four numbers look like addresses: those are hidden only where a port or a network is meant."""
        text = NETWORK.sub(r"\1://(address)", text)
        text = ADDRESS.sub(_unless_version, text)
        if len(self.home) > 1:
            text = re.sub(re.escape(self.home) + r"(?=[/\s:;,)'\"]|$)", "~", text)
        for name, instead in ((self.user, "(user)"), (self.host, "(host)")):
            if name.lower() not in TELLS_NOTHING:
                text = re.sub(r"(?<![\w.-]){}(?![\w-])".format(re.escape(name)), instead, text)
        return text


def _unless_version(found: "re.Match[str]") -> str:
    """8.2.1.8 is a version of TensorRT; 192.168.0.7 and 10.0.0.1:554 are addresses."""
    text = found.group()
    private = text.startswith(("10.", "127.", "169.254.", "172.", "192."))
    return "(address)" if ":" in text or private or all(int(n) > 20 for n in text.split(".")[:2]) else text


def of_this_user(environ: Mapping[str, str]) -> Privacy:
    home = environ.get("HOME", "") or os.path.expanduser("~")
    host = os.uname().nodename.split(".")[0] if hasattr(os, "uname") else environ.get("COMPUTERNAME", "")
    return Privacy(home.rstrip("/"), environ.get("USER", "") or os.path.basename(home), host)
