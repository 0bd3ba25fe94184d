"""Where the package onnx is: not in the environment that runs a board, whose numpy it does not work with."""
import os

from edge.core import commands
from edge.errors import ModelError

_INSTALL = "pip install 'nanoface[convert]'"


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
    cure = commands.run(command) if os.path.exists(commands.CONVERTER) else \
        _INSTALL + ", on a Nano in .venv-convert (docs/jetson-nano.md, The networks)"
    return ModelError("reading a network needs the package {}: {}".format(package, cure))


def fetch_cure(name: str) -> str:
    """The command that lints a stored network, without fetching it again, where it can be run."""
    if has_onnx() or commands.is_installed() or os.path.exists(commands.CONVERTER):
        return commands.run("models fetch " + name)
    return ("run `nanoface models fetch {}` where networks are converted (.venv-convert, or a PC with this version), copy "
            "engines/onnx here, and for the service `sudo nanoface service install`".format(name))
