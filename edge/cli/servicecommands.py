"""`nanoface service ...`: what it does lies in `edge/service/`, which is imported by whoever asks for it."""
import os
from typing import Any, Callable, Dict, TextIO

from edge.core.errors import ConfigError
from edge.store.models import home_dir

DEFAULT_LINES = 100


def service(args: Any, out: TextIO) -> int:
    """The exit code. Raises EdgeErrors."""
    if not os.path.isdir(args.root):
        raise ConfigError("--root {}: there is no such folder".format(args.root))
    if args.action == "status":
        from edge.service.state import run_status

        return run_status(args.root, out)
    if args.action == "logs":
        from edge.service.state import run_logs

        return run_logs(args.lines or DEFAULT_LINES, args.follow, args.root, out)
    return _change(args, out)


def _change(args: Any, out: TextIO) -> int:
    from edge.service import installer

    wishes = installer.Wishes(os.path.abspath(args.root), args.yes, args.dry_run, not args.no_start, not args.no_build,
                              args.clocks, args.purge)
    if args.action == "install":
        home = home_dir() if args.networks is None else os.path.abspath(os.path.expanduser(args.networks))
        return installer.run_install(home, wishes, out)
    if args.action == "rollback":
        return installer.run_rollback(wishes, out)
    if args.action == "rebuild":
        return installer.run_rebuild(args.force, wishes, out)
    return installer.run_uninstall(wishes, out)


COMMANDS: Dict[str, Callable[[Any, TextIO], int]] = {"service": service}
