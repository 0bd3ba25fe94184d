"""The command `nanoface`: its commands, exit codes, and the only prints.

Exit codes: 0 done (also a run that SIGINT or SIGTERM ended), 1 a bug (doctor: something stops a run or the service), 2 usage
or configuration, 3 source, 4 model or engine, 5 output, 6 engines that no restart makes better, 130 another command
interrupted. Whatever is heavy is imported by the command that needs it.
"""
import errno
import json
import logging
import os
import sys
import traceback
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, TextIO

from edge.cli.parser import overrides_of
from edge.cli.table import read_words
from edge.core import clock, redact
from edge.core.errors import ConfigError, EdgeError, EngineError, OutputError, SourceError
from edge.host import commands, console, packages
from edge.host.process import prepare_process
from edge.host.stop import SIGNALS, Stop, interrupted_by_signals, leave, stopped_by_signals

INTERRUPTED = 130
UNFIT = 1  # the doctor's: something stops a run or the service
FRESH_S = 20.0  # an older status record says how old it is
AHEAD = "ahead of this machine's clock, which was set back since"
QUIET_PROGRESS_S = 10.0  # between progress lines where there is no terminal
OUR_PACKAGES = ("edge", "engines", "calibration")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; the exit code. Bad input is one line on standard error, never a trace."""
    prepare_process()
    words = list(sys.argv[1:] if argv is None else argv)
    for word in words:
        redact.learn(word)
    loud = "--verbose" in words or os.environ.get("NANOFACE_DEBUG") == "1"
    with console.installed():
        try:
            return _dispatch(words, loud)
        except EdgeError as e:
            return _fail(str(e), e.exit_code)
        except KeyboardInterrupt:
            console.on(sys.stderr).hush(False)
            return _fail("interrupted", INTERRUPTED)
        except Exception as e:
            return _unforeseen(e, loud)


def _unforeseen(error: Exception, loud: bool) -> int:
    """A disk that is full, a package that is not there; anything else is a bug."""
    if loud:
        traceback.print_exc()
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _fail("cannot write {}: the disk is full".format(error.filename or "a file"), OutputError.exit_code)
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] not in OUR_PACKAGES:
        return _fail(_missing_package(error), EngineError.exit_code)
    bug = "{}: {}".format(type(error).__name__, error)
    return _fail("internal error ({}), please report it with what NANOFACE_DEBUG=1 shows".format(bug), 1)


def _dispatch(words: Sequence[str], loud: bool) -> int:
    try:
        args = read_words(words)
    except SystemExit as e:  # --help and --version have printed
        return e.code if isinstance(e.code, int) else 0
    args.report = _Reporter(getattr(args, "quiet", False))
    if loud:
        logging.basicConfig(stream=sys.stderr, level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s")
    else:
        logging.basicConfig(handlers=[_Warnings(args.report)], level=logging.WARNING)
    own: Dict[str, Callable[[Any], int]] = {"run": _run, "status": _status}
    if args.command in own:
        try:
            return own[args.command](args)
        except KeyboardInterrupt:  # before it began: while it waited for its configuration
            if args.command == "status" and not args.follow:
                raise
            return 0
    with interrupted_by_signals(console.on(sys.stderr).hush):
        return _others()[args.command](args, sys.stdout)


def _others() -> Dict[str, Callable[[Any, TextIO], int]]:
    from edge.cli import boardcommands, completion, servicecommands

    return {"models": _models, "bench": _bench, "doctor": _doctor, **boardcommands.COMMANDS, **completion.COMMANDS,
            **servicecommands.COMMANDS}


def _missing_package(error: ImportError) -> str:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return "a package cannot be loaded, see {}: {}".format(commands.command("doctor"), error)
    package = error.name.split(".")[0]
    return "the package {} is missing: {}".format(package, packages.install(package))


def _say(text: str, stream: Optional[TextIO] = None) -> None:
    """With its end in one piece: the status log's thread warns while this one shows progress."""
    print(text + "\n", file=stream or sys.stdout, end="")


def _fail(text: str, exit_code: int) -> int:
    """One line on standard error; the same code where nobody reads it."""
    _say("nanoface: " + " ".join(text.split("\n")), sys.stderr)
    return exit_code


def _config(args: Any) -> Any:
    from edge.config.file import choose_file
    from edge.config.load import load_config
    from edge.host.reading import is_pipe

    overrides, spelled = overrides_of(args.settings)
    user_file = choose_file(args.config, os.environ)
    with ExitStack() as stack:
        if user_file and is_pipe(user_file.path):  # and maybe nobody writes into it
            stack.enter_context(interrupted_by_signals(console.on(sys.stderr).hush))
        return load_config(args.config, overrides, os.environ, spelled)


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """As systemd tells it. The variable alone is no sign: what a desktop's service starts inherits it."""
    try:
        info = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == "{}:{}".format(info.st_dev, info.st_ino)


class _Reporter:
    """Where a run's progress, notes and warnings go: standard error, progress on one line of a terminal."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._console = console.on(sys.stderr)
        self._journal = _is_journal(sys.stderr, os.environ)  # what is said here stays: the states, and no progress
        self._open_line = False
        self._said_at = clock.monotonic()

    def __call__(self, event: str, text: str) -> None:
        if self._quiet and event != "loss" or event in ("progress", "state") and self._journal != (event == "state"):
            return
        text = " ".join(text.split("\n")).strip()
        if event != "progress":
            self.end_line()
            _say("warning: " + text if event in ("warning", "loss") else text, sys.stderr)
        elif self._console.steers:
            self._console.draw(text)
            self._open_line = True
        elif clock.monotonic() - self._said_at >= QUIET_PROGRESS_S:
            self._said_at = clock.monotonic()
            _say(text, sys.stderr)

    def end_line(self) -> None:
        if self._open_line:
            self._open_line = False
            _say("", sys.stderr)


class _Warnings(logging.Handler):
    """Shows what is logged as a warning; what is logged as an error is raised as well, and is shown then."""

    def __init__(self, report: _Reporter) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            self._report("warning", record.getMessage())


def _run(args: Any) -> int:
    config, report = _config(args), args.report
    stop = Stop()  # type: Any  # in the place of a threading.Event
    with stopped_by_signals(stop):
        from edge.app import run as app
        from edge.outputs.kinds import STDOUT
        from edge.outputs.spec import parse_outputs
        from edge.telemetry.status import table

        try:
            record = app.run(config, stop, report)
        finally:
            report.end_line()
    if not args.quiet:
        stream = sys.stderr if any(spec.target == STDOUT for spec in parse_outputs(config.outputs)) else sys.stdout
        _say(table.render(record, console.on(stream).width), stream)
    lost = record.get("lost", 0)
    if config.source.strict and lost:
        raise SourceError("{} frame{} of the source could not be read, and source.strict is true".format(
            lost, "s" if lost > 1 else ""))
    return 0


def _status(args: Any) -> int:
    from edge.telemetry.status import read as statusread

    path = args.path or _config(args).status.file(os.environ)
    if path is None:
        raise ConfigError("status.path is none: the status log is switched off; name a log, as in nanoface status PATH")
    if os.path.isdir(path):
        raise ConfigError("{} is a folder, not a status log".format(path))
    if not args.follow:
        _show(statusread.read_last(path), path, args.json)
        return 0
    if not os.path.exists(path):
        _say("waiting for {}".format(path), sys.stderr)
    stop = Stop()  # type: Any  # in the place of a threading.Event
    with stopped_by_signals(stop):
        for record in statusread.follow(path, stop):
            _show(record, path, args.json)
            if console.on(sys.stdout).left:
                break
    return 0


def _show(record: Mapping[str, Any], path: str, as_json: bool) -> None:
    from edge.telemetry.status import table

    out = console.on(sys.stdout)
    try:
        text = table.render(record, out.width) if "state" in record and "stages" in record else ""
    except table.WRONG:
        text = ""
    if not text:
        raise ConfigError("{} is not a status log: what it holds are no status records".format(path))
    if as_json:
        _say(json.dumps(record))
        return
    out.draw("", console.CLEAR, "")
    _say(text)
    age_s = age_of(record, clock.wall())
    if age_s is not None and abs(age_s) > FRESH_S:
        _say("last written {} {}".format(table.duration(abs(age_s)), "ago" if age_s > 0 else AHEAD))


def age_of(record: Mapping[str, Any], now_s: float) -> Optional[float]:
    """Seconds of wall-clock time since a status record was written; None where it does not say."""
    try:
        at = datetime.strptime(str(record.get("at")), "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return None
    return now_s - (at - datetime(1970, 1, 1)).total_seconds()


def _models(args: Any, out: TextIO) -> int:
    from edge.store.models import home_dir
    from engines.fetch import commands

    if args.action == "fetch":
        return commands.run_fetch(home_dir(), args.names, args.all, args.force, out)
    if args.action == "lint":
        from engines.lint.command import run_lint

        return run_lint(home_dir(), args.names, out, args.markdown)
    act = commands.run_list if args.action == "list" else commands.run_check
    return act(home_dir(), out)


def _bench(args: Any, out: TextIO) -> int:
    config = _config(args)
    from edge.bench.bench import run_bench

    beside = {"beside": args.beside} if args.beside else {}
    run_bench(config, args.frames, args.rounds, args.json, out, **beside)
    return 0


def _doctor(args: Any, out: TextIO) -> int:
    """1 where something stops a run or the service, else 0."""
    config = _config(args)
    from edge.doctor import examine as doctor
    from edge.doctor import machine

    here = machine.Machine(os.environ)
    findings = [doctor.check_config(args.config, here)] + doctor.examine(config, here, doctor.this_software())
    told = doctor.as_json(findings)
    out.write((json.dumps(told, indent=1) if args.json else "\n".join(doctor.lines(findings))) + "\n")
    return 0 if told["can_run"] else UNFIT


if __name__ == "__main__":
    SIGNALS.note()
    leave(main())
