"""Where everything of the service lies."""
import os
from typing import NamedTuple, Tuple

USER, VIDEO, JTOP = "nanoface", "video", "jtop"
SERVICE = "nanoface.service"
CLOCKS = "nanoface-clocks.service"
ARGUS_REQUESTS = "nanoface-argus.path"
UNITS = (SERVICE, CLOCKS, ARGUS_REQUESTS, "nanoface-argus.service")
ARGUS_DAEMON = "nvargus-daemon.service"
UNIT_FOLDERS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")

PROGRAMS = "/opt/nanoface"  # a folder for each version; the links `current` and `previous`
CURRENT, PREVIOUS = "current", "previous"
CONFIG = "/etc/nanoface/nanoface.yaml"
HOME = "/var/lib/nanoface"  # $NANOFACE_HOME of the service, and the home of its user
CACHE, LOGS, RUN = "/var/cache/nanoface", "/var/log/nanoface", "/run/nanoface"
STATUS = "/run/nanoface/status.jsonl"
MANAGER = "/run/systemd/system"  # is there where systemd runs
MADE = "made"  # in PROGRAMS: the user and groups that the installer made, a line each
UNIT_FOLDER = UNIT_FOLDERS[0]

SHIPPED = os.path.dirname(os.path.abspath(__file__))  # the units and the configuration of this version


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

    def version(self, link: str) -> str:
        """The version that `current` or `previous` names; "" where there is none."""
        try:
            return os.readlink(self.program(link))
        except OSError:
            return ""

    def versions(self) -> Tuple[str, ...]:
        try:
            names = os.listdir(self.at(PROGRAMS))
        except OSError:
            return ()
        folders = [n for n in names if not n.startswith(".") and not os.path.islink(self.program(n))]
        return tuple(sorted(n for n in folders if os.path.isdir(self.program(n))))

    def has_unit(self, unit: str) -> bool:
        return any(os.path.exists(self.at("{}/{}".format(folder, unit))) for folder in UNIT_FOLDERS)
