"""Where everything of the service lies."""
import os
import re
import sys
from contextlib import suppress
from typing import Dict, NamedTuple, Tuple

from edge.host import commands

USER, VIDEO, JTOP = commands.USER, "video", "jtop"
SERVICE = "nanoface.service"
CLOCKS = "nanoface-clocks.service"
ARGUS_REQUESTS = "nanoface-argus.path"
ENGINES, ENGINE_REQUESTS = "nanoface-engines.service", "nanoface-engines.path"
UNITS = (SERVICE, CLOCKS, ARGUS_REQUESTS, "nanoface-argus.service", ENGINE_REQUESTS, ENGINES)
ARGUS_DAEMON = "nvargus-daemon.service"
UNIT_FOLDERS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")

PROGRAMS = commands.PROGRAMS  # a folder for each version; the links `current` and `previous`
CURRENT, PREVIOUS = "current", "previous"
CONFIG = commands.CONFIG
ENVIRONMENT = "/etc/nanoface/environment"  # written by the administrator: variables of the service
HOME = "/var/lib/nanoface"  # of its user; below it a $NANOFACE_HOME for each version
HOME_LINK = "home"  # in the folder of a version: leads to its $NANOFACE_HOME
CACHE, LOGS, RUN = "/var/cache/nanoface", "/var/log/nanoface", "/run/nanoface"
STATUS = "/run/nanoface/status.jsonl"
MANAGER = "/run/systemd/system"  # is there where systemd runs
MADE = "made"  # in PROGRAMS: the user and groups that the installer made, a line each
UNIT_FOLDER = UNIT_FOLDERS[0]

SHARE = "share/nanoface"  # below a prefix: the units and the configuration of an installed version
SHIPPED = UNITS + (os.path.basename(CONFIG),)


def shipped_folder() -> str:
    """Where SHIPPED lie for this very program: in its checkout, else where it was installed to."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    checkout = os.path.join(root, "systemd")
    return checkout if os.path.exists(os.path.join(checkout, SERVICE)) else os.path.join(sys.prefix, SHARE)


class Places(NamedTuple):
    root: str = "/"

    def at(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    @property
    def live(self) -> bool:
        """This machine itself, not a tree of files."""
        return os.path.abspath(self.root) == os.path.abspath("/")

    def program(self, name: str) -> str:
        return self.at("{}/{}".format(PROGRAMS, name))

    def home(self, version: str) -> str:
        """$NANOFACE_HOME of a version."""
        return self.at("{}/{}".format(HOME, version))

    def version(self, link: str) -> str:
        """The version that `current` or `previous` names; "" where there is none."""
        try:
            return os.readlink(self.program(link))
        except OSError:
            return ""

    @property
    def before(self) -> str:
        """The version that a rollback leads to; "" where there is none."""
        named, in_use = self.version(PREVIOUS), self.version(CURRENT)
        if named != in_use or not named:
            return named
        others = [name for name in self.versions() if name != in_use and os.path.isdir(self.home(name))]
        return others[-1] if others else ""  # a power cut came between the two links

    def versions(self) -> Tuple[str, ...]:
        try:
            names = os.listdir(self.at(PROGRAMS))
        except OSError:
            return ()
        folders = [n for n in names if not n.startswith(".") and not os.path.islink(self.program(n))]
        return tuple(sorted(n for n in folders if os.path.isdir(self.program(n))))

    def environment(self) -> Dict[str, str]:
        """What ENVIRONMENT sets, as systemd reads it: a line each, quotes around the value or none."""
        text = ""
        with suppress(OSError), open(self.at(ENVIRONMENT), encoding="utf-8", errors="surrogateescape") as f:
            text = f.read()
        found = re.findall(r"^[ \t]*(\w+)=[ \t]*(?:\"(.*)\"|'(.*)'|(.*?))[ \t]*$", text, re.MULTILINE)
        return {name: "".join(values) for name, *values in found}

    def has_unit(self, unit: str) -> bool:
        return any(os.path.exists(self.at("{}/{}".format(folder, unit))) for folder in UNIT_FOLDERS)
