"""A command of nanoface as the reader has to type it: from a checkout, or of the program that the service runs."""
import os
import shutil
import sys
from typing import Mapping

from edge.host.process import CODE, is_tegra

DATA = "/var/lib/nanoface"  # of the service, beside its versions, so that it outlives them
PROGRAMS = "/opt/nanoface"  # below it the program of the service, a folder for each version
INSTALLED = PROGRAMS + "/current/bin/nanoface"
CONFIG = "/etc/nanoface/nanoface.yaml"  # of the service
# converts networks on a board, where .venv cannot
CONVERTER = os.path.join(CODE, ".venv-convert", "bin", "nanoface")
USER = "nanoface"  # of the service; it could not replace files of root's among its own
CONFIGURED = ("build", "bench", "doctor", "report")  # take --config


def is_installed() -> bool:
    """This is the program of the service, also where a user runs it."""
    return sys.prefix.startswith(PROGRAMS + os.sep)


def data_folder(environ: Mapping[str, str]) -> str:
    """Where what outlives the versions of the program lies: the service's, or the user's."""
    if is_installed():
        return DATA
    data = environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "nanoface")


def run(arguments: str) -> str:
    """The cure that ends an error: "run `nanoface build --only align`"."""
    where = " in the checkout" if is_installed() and arguments.startswith("models ") else ""
    return "run `{}`{}".format(command(arguments), where)


def command(arguments: str) -> str:
    """The command line for "build --only align" and the like."""
    if is_installed():
        return of_service(arguments)
    found, own = shutil.which("nanoface"), _path(arguments.startswith("models ") and os.path.exists(CONVERTER))
    if _changes_service(arguments):
        return "sudo {} {}".format(own or "nanoface", arguments)  # sudo does not look into environments
    short = not own or (found is not None and os.path.samefile(found, own))
    return "{} {}".format("nanoface" if short else own, arguments)


def of_service(arguments: str) -> str:
    """As command() has it where the service's program asks."""
    first, options = arguments.split()[0], arguments.split()[1:]
    if first == "run":
        return "sudo systemctl start nanoface"
    if first == "models":  # they are converted elsewhere; an installation brings them
        return "{}/bin/nanoface {} && sudo .venv/bin/nanoface service install".format(
            ".venv-convert" if is_tegra() else ".venv", arguments)
    if first == "service":
        return "{}{} {}".format("sudo " if _changes_service(arguments) else "", INSTALLED, arguments)
    if first == "build" and set(options[::2]) <= {"--only", "--force"}:
        return "sudo {} service rebuild{}".format(INSTALLED, " --force" if "--force" in options else "")
    line = "sudo -u {} {} {}{}".format(USER, INSTALLED, arguments, " --config " + CONFIG if first in CONFIGURED else "")
    if first == "build":
        return "sudo systemctl stop nanoface; {}; sudo systemctl start nanoface".format(line)
    return line


def _changes_service(arguments: str) -> bool:
    """What only root may do."""
    return arguments.startswith("service ") and arguments.split()[1] not in ("logs", "status")


def _path(converts: bool) -> str:
    """The command of this Python's environment or of the one that converts, from the working folder where it lies below; ""
    where there is none."""
    path = CONVERTER if converts else os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "nanoface")
    if not os.path.exists(path):
        return ""
    near = os.path.relpath(path)
    return path if near.startswith(os.pardir) else near
