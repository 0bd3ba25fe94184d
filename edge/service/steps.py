"""What changes the machine: each step is printed, and in a dry run only printed."""
import os
import shutil
import subprocess
import sys
from typing import Callable, Mapping, Optional, Sequence, TextIO

from edge.core.errors import EdgeError
from edge.core.redact import plain
from edge.host.disk import write_whole
from edge.service.acting import Account, acting_as
from edge.service.places import USER

# environment of what runs as the service's user, beside the variables of Places.ENVIRONMENT: nothing of the installing user
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class ServiceError(EdgeError):
    """The machine refuses, or lacks what a service needs."""

    exit_code = 4


class CommandResult:
    """A command that has ended: its exit code and its output."""

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text

    @property
    def last(self) -> str:
        """The last line of output that is not empty."""
        lines = [line.strip() for line in self.text.split("\n") if line.strip()]
        return lines[-1] if lines else "exit code {}".format(self.code)


class Steps:
    """Raises ServiceError where a step fails. Paths are those of the machine that runs this."""

    def __init__(self, out: TextIO, dry: bool = False, yes: bool = False,
                 settings: Optional[Mapping[str, str]] = None) -> None:
        """`settings`: variables of the service, for every command that is run."""
        self._out, self.dry, self._yes = out, dry, yes
        self._environ = dict(os.environ, **settings or {})
        self._users = dict(CLEAN, **settings or {})
        self.user: Optional[Account] = None  # the service's, once it is there

    def say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def do(self, text: str, action: Callable[[], object]) -> None:
        self.say("  {}{}".format("would: " if self.dry else "", text))
        if self.dry:
            return
        try:
            action()
        except (OSError, shutil.Error) as e:
            raise ServiceError("{}: {}".format(text, getattr(e, "strerror", None) or e))

    def as_user(self, text: str, action: Callable[[], object]) -> None:
        """In a folder of the service's user, with its rights."""
        def acting() -> None:
            with acting_as(self.user):
                action()

        self.do(text, acting)

    def run(self, *argv: str) -> None:
        """A command that must end well. Its output is shown only when it does not."""
        def action() -> None:
            result = self.ask(*argv)
            if result.code != 0:
                raise ServiceError("`{}` failed: {}".format(" ".join(argv), result.last))

        self.do(" ".join(argv), action)

    def show(self, argv: Sequence[str], **environ: str) -> int:
        """A command of the service's user that may take minutes, its output shown at once. Its exit code; 0 in a dry run."""
        codes = [0]

        def action() -> None:
            codes[0] = self._run_streaming(argv, dict(self._users, **environ))

        settings = ["{}={}".format(*pair) for pair in sorted(environ.items())]
        self.do(" ".join(["sudo", "-u", USER] + settings + list(argv)), action)
        return codes[0]

    def _run_streaming(self, argv: Sequence[str], environ: Mapping[str, str]) -> int:
        """It gets no terminal of root's: another process of its user could control it, and type into that terminal."""
        child = subprocess.Popen(list(argv), env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, cwd="/", preexec_fn=self._become(), start_new_session=True)
        assert child.stdout is not None
        try:
            for line in child.stdout:
                self.say(plain(line.decode("utf-8", "replace").rstrip()))
            return child.wait()
        finally:
            if child.poll() is None:  # Ctrl-C has reached us alone
                child.terminate()
                child.wait()
            child.stdout.close()

    def _become(self) -> Optional[Callable[[], None]]:
        return self.user.become if self.user is not None and os.geteuid() == 0 else None

    def ask(self, *argv: str) -> CommandResult:
        """A command that changes nothing; also in a dry run."""
        return self._run_quietly(argv, self._environ, None)

    def ask_as_user(self, *argv: str) -> CommandResult:
        """The same, with the rights that the service has."""
        return self._run_quietly(argv, self._users, self._become())

    def _run_quietly(self, argv: Sequence[str], environ: Mapping[str, str],
                     become: Optional[Callable[[], None]]) -> CommandResult:
        try:
            done = subprocess.run(argv, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, preexec_fn=become, start_new_session=become is not None)
        except FileNotFoundError:
            raise ServiceError("the command {} is missing: install it, or put its folder into PATH".format(argv[0]))
        return CommandResult(done.returncode, done.stdout.decode("utf-8", "replace"))

    def write(self, path: str, content: bytes, mode: int = 0o644, group: int = -1) -> bool:
        """Whole or not at all, in a folder of root's. False where it had that content already."""
        try:
            with open(path, "rb") as f:
                if f.read() == content:
                    return False
        except OSError:
            pass

        self.do("write {}".format(path), lambda: write_whole(path, content, mode, group))
        return True

    def link(self, path: str, target: str) -> None:
        """A symbolic link that at any moment leads to the old or to the new target."""
        def action() -> None:
            part = "{}.{}.part".format(path, os.getpid())
            if os.path.lexists(part):
                os.unlink(part)
            os.symlink(target, part)
            os.replace(part, path)

        self.do("link {} -> {}".format(path, target), action)

    def remove(self, path: str) -> None:
        if not os.path.lexists(path):
            return
        folder = os.path.isdir(path) and not os.path.islink(path)
        self.do("remove {}".format(path), lambda: remove_folder(path) if folder else os.unlink(path))

    def agreed(self, question: str) -> bool:
        """The user's answer, or --yes. False without a terminal."""
        if self._yes:
            return True
        if self.dry or not (sys.stdin and sys.stdin.isatty()):
            self.say("  {} Nobody is here to answer: no (--yes would be yes)".format(question))
            return False
        self._out.write("  {} [y/N] ".format(question))
        self._out.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def choose(self, question: str, answers: Sequence[str]) -> int:
        """The index of the user's choice; 0 with --yes or without a terminal."""
        if self._yes or self.dry or not (sys.stdin and sys.stdin.isatty()):
            return 0
        for number, answer in enumerate(answers, 1):
            self.say("    {}  {}".format(number, answer))
        while True:
            self._out.write("  {} [1] ".format(question))
            self._out.flush()
            line = sys.stdin.readline()
            choice = line.strip() or "1"
            if choice.isdigit() and 1 <= int(choice) <= len(answers):
                return int(choice) - 1
            if not line:
                return 0


def remove_folder(path: str) -> None:
    """However deep it is: Python's own rmtree() calls itself for each folder in another. Links are not followed."""
    done = subprocess.run(["/bin/rm", "-rf", "--", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, env=CLEAN)
    if done.returncode != 0:
        raise OSError(0, done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2])


def all_to_disk() -> None:
    """So that a power cut loses nothing that was written before."""
    getattr(os, "sync", lambda: None)()
