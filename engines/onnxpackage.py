"""Where the package onnx is: not in the environment that runs a board, whose numpy it does not work with."""
import os

from edge.core.errors import ModelError
from edge.host import commands, packages
from edge.host.process import is_tegra

_BOARDS = "on a Nano that is done in .venv-convert (docs/jetson-nano.md, The networks)"


def has_onnx() -> bool:
    try:
        import onnx  # noqa: F401
    except (ImportError, AttributeError):  # the latter: onnx beside JetPack's numpy
        return False
    return True


def need_onnx(command: str) -> None:
    """Raises ModelError that names the environment in which `nanoface COMMAND` works, with an ImportError as its cause."""
    try:
        import onnx  # noqa: F401
    except (ImportError, AttributeError) as e:
        raise missing(getattr(e, "name", None) or "onnx", command) from ImportError(str(e))


def missing(package: str, command: str) -> ModelError:
    """A package that converting and linting need is not in this environment."""
    if os.path.exists(commands.CONVERTER):
        cure = commands.run(command)
    else:
        cure = _BOARDS if is_tegra() else packages.install(package)
    return ModelError("reading a network needs the package {}: {}".format(package, cure))


def need_converters(name: str) -> None:
    """Before anything of a network is fetched. Raises ModelError that names all that is missing, here and to run it."""
    lacking = packages.absent(packages.CONVERTERS)
    if not lacking:
        return
    if os.path.exists(commands.CONVERTER) or is_tegra():
        raise missing(lacking[0], "models fetch " + name)
    wanted = lacking + packages.absent_runtime()
    raise ModelError("converting and running networks needs the package{} {}: {}".format(
        "s" if len(wanted) > 1 else "", ", ".join(wanted), packages.install(*wanted)))


def fetch_cure(name: str) -> str:
    """The command that lints a stored network, without fetching it again, where it can be run."""
    if has_onnx() or commands.is_installed() or os.path.exists(commands.CONVERTER):
        return commands.run("models fetch " + name)
    return ("run `nanoface models fetch {}` where networks are converted (.venv-convert, or a PC with this version), copy "
            "engines/onnx here, and for the service `sudo nanoface service install`".format(name))
