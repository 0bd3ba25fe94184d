"""Run by the program that was just installed: whether all that it imports is there. Prints one line on what is missing.

With a path, whether that configuration is valid. Exit codes as those of the command line.
"""
import os
import sys
from importlib.util import find_spec
from typing import List, Optional

from edge.core.errors import ConfigError, EngineError
from edge.host import commands
from edge.host.process import is_tegra, prepare_process


def missing() -> Optional[str]:
    """Why nothing can be tracked here; None where it can."""
    try:
        from edge.app import run
    except ImportError as e:
        return "{} (see {})".format(e, commands.command("doctor"))
    return unusable() if run.__file__ else "the package edge has no files"


def unusable() -> Optional[str]:
    """What TensorRT lacks: on a Jetson whatever is missing, elsewhere only a package that is installed and does not load."""
    from edge.runtimes.gpu import context
    from edge.runtimes.gpu.plan import PACKAGE, package

    for name, load in ((PACKAGE, package), (context.PYCUDA, context.driver)):
        if is_tegra() or find_spec(name) is not None:
            try:
                load()
            except EngineError as e:
                return str(e)
    return None


def wrong(path: str) -> Optional[str]:
    """What is wrong with a configuration; None where nothing is."""
    from edge.config.load import load_config

    try:
        load_config(path, {}, os.environ)
    except ConfigError as e:
        return str(e)
    return None


def main(argv: List[str]) -> int:
    prepare_process()
    reason, code = missing(), EngineError.exit_code
    if reason is None and argv:
        reason, code = wrong(argv[0]), ConfigError.exit_code
    if reason is None:
        return 0
    sys.stderr.write(" ".join(reason.split("\n")) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
