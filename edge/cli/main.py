"""The command `nanoface`: exit codes, signals, the log, and what an error looks like.

Exit codes: 0 done (also a run that SIGINT or SIGTERM ended), 1 a bug (doctor: something stops a run or the service), 2 usage
or configuration, 3 source, 4 model or engine, 5 output, 6 engines that no restart makes better, 130 another command
interrupted. Heavy modules are imported by the command that needs them.
"""
import errno
import logging
import os
import sys
import traceback
from typing import Optional, Sequence

from edge.cli.reporter import Reporter, Warnings
from edge.cli.table import load, read_words
from edge.core import redact
from edge.core.errors import EdgeError, EngineError, OutputError
from edge.host import commands, console, packages
from edge.host.process import prepare_process
from edge.host.stop import SIGNALS, interrupted_by_signals, leave

INTERRUPTED = 130
OUR_PACKAGES = ("edge", "engines", "calibration")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; the exit code. Bad input is one line on standard error, never a trace."""
    prepare_process()
    words = list(sys.argv[1:] if argv is None else argv)
    for word in words:
        redact.learn(word)
    verbose = "--verbose" in words or os.environ.get("NANOFACE_DEBUG") == "1"
    with console.installed():
        try:
            return _dispatch(words, verbose)
        except EdgeError as e:
            return _fail(str(e), e.exit_code)
        except KeyboardInterrupt:
            console.on(sys.stderr).hush(False)
            return _fail("interrupted", INTERRUPTED)
        except Exception as e:
            return _unexpected(e, verbose)


def _dispatch(words: Sequence[str], verbose: bool) -> int:
    try:
        args = read_words(words)
    except SystemExit as e:  # --help and --version have printed
        return e.code if isinstance(e.code, int) else 0
    args.report = Reporter(getattr(args, "quiet", False))
    if verbose:
        logging.basicConfig(stream=sys.stderr, level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s")
    else:
        logging.basicConfig(handlers=[Warnings(args.report)], level=logging.WARNING)
    command = load(args.command)
    if command.takes_signals:
        return command.run(args, sys.stdout)
    with interrupted_by_signals(console.on(sys.stderr).hush):
        return command.run(args, sys.stdout)


def _unexpected(error: Exception, verbose: bool) -> int:
    """A disk that is full, a package that is not there; anything else is a bug."""
    if verbose:
        traceback.print_exc()
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _fail("cannot write {}: the disk is full".format(error.filename or "a file"), OutputError.exit_code)
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] not in OUR_PACKAGES:
        return _fail(_missing_package(error), EngineError.exit_code)
    bug = "{}: {}".format(type(error).__name__, error)
    return _fail("internal error ({}), please report it with what NANOFACE_DEBUG=1 shows".format(bug), 1)


def _missing_package(error: ImportError) -> str:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return "a package cannot be loaded, see {}: {}".format(commands.command("doctor"), error)
    package = error.name.split(".")[0]
    return "the package {} is missing: {}".format(package, packages.install(package))


def _fail(text: str, exit_code: int) -> int:
    """One line on standard error; the same code where nobody reads it."""
    sys.stderr.write("nanoface: {}\n".format(" ".join(text.split("\n"))))
    return exit_code


if __name__ == "__main__":
    SIGNALS.note()
    leave(main())
