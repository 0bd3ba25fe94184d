"""Profiles of neutral faces on disk: a file for each name, the versions before it, and which one is in use.

`NAME.json` lies in the folder itself, what was before it in `previous/NAME/` (1.json is the newest), and `use` names the one
in use.
A face is its owner's: no other account may read these files.
"""
import errno
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Callable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from edge.core.errors import ConfigError, OutputError
from edge.core.roles import OFF
from edge.core.rules import is_profile
from edge.host import commands
from edge.host.disk import StorageError, one_builder, own_folder, write_whole
from edge.host.reading import read_small, reason
from edge.store import profilefile
from edge.store.profilefile import MOST_BYTES, Damaged, encoded

FOLDER = "NANOFACE_PROFILES"  # of the environment
DEFAULT = "me"
SUFFIX, DAMAGED, PREVIOUS, USE = ".json", ".damaged", "previous", "use"
KEPT = 3  # versions before the present one
PRIVATE = 0o600 if hasattr(os, "fchown") else None


class Stored(NamedTuple):
    """A profile as it lies on the disk; `note`: what was done because it was damaged."""

    name: str
    facts: Mapping[str, Any]
    note: str = ""


def default_folder(environ: Mapping[str, str]) -> str:
    if environ.get(FOLDER):
        return os.path.abspath(os.path.expanduser(environ[FOLDER]))
    return os.path.join(commands.data_folder(environ), "profiles")


def checked_name(name: str) -> str:
    """Raises ConfigError."""
    if not is_profile(name):
        raise ConfigError("{} is no name of a profile: 1 to 40 letters, digits, - _ . with a letter or digit first; none and "
                          "null mean no profile".format(repr(name[:50])))
    return name


class Profiles:
    """Those of one folder. Methods raise ConfigError for what is not there or cannot be read, OutputError for a disk that
    cannot be written to."""

    def __init__(self, folder: str, check: Callable[[Mapping[str, Any]], Any]) -> None:
        """`check` raises ValueError for what cannot be a face."""
        self.folder, self._check = folder, check

    def path(self, name: str) -> str:
        return os.path.join(self.folder, checked_name(name) + SUFFIX)

    def names(self) -> List[str]:
        """Of whatever has the name of a profile, whole or not."""
        try:
            found = os.listdir(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as e:
            raise ConfigError(self._unread(self.folder, e))
        names = [name[:-len(SUFFIX)] for name in found if name.endswith(SUFFIX)]
        return sorted(name for name in names if is_profile(name))

    def load(self, name: str) -> Stored:
        """A damaged file is put aside, and the version before it is taken; `note` says so."""
        path = self.path(name)
        try:
            return Stored(name, self._read(path))
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigError(self._unknown(name))
        except PermissionError as e:
            raise ConfigError(self._unread(path, e))
        except (OSError, Damaged) as e:
            why = reason(e)
        with self._alone():
            return self._repaired(name, why)

    def peek(self, name: str) -> Mapping[str, Any]:
        """The facts, nothing repaired. Raises OSError, ValueError."""
        return self._read(self.path(name))

    def ready(self, name: str) -> None:
        """Raises what save() would, as far as that can be seen before somebody sits for it."""
        with suppress(OSError, Damaged):
            self._read(self.path(name))
        there = os.path.abspath(self.folder)
        while not os.path.lexists(there) and os.path.dirname(there) != there:
            there = os.path.dirname(there)
        why = errno.ENOTDIR if not os.path.isdir(there) else 0 if os.access(there, os.W_OK) else errno.EACCES
        if why:
            raise OutputError(self._unwritten(OSError(why, os.strerror(why))))
        if os.path.isdir(self.folder):
            self._make(self.folder)  # where root must not write

    def save(self, name: str, facts: Mapping[str, Any]) -> str:
        """The path. What was there becomes the version before. A damaged one is put aside."""
        path = self.path(name)
        self.ready(name)
        with self._alone():
            new = os.path.join(os.path.dirname(self._version(name, 1)), "new")
            self._make(os.path.dirname(new))
            self._write(new, encoded(name, facts))  # whatever takes room comes before anything is moved
            try:
                if os.path.lexists(path):
                    try:
                        self._read(path)
                    except (OSError, Damaged):
                        self._aside(name)
                    else:
                        self._push(name)
                os.replace(new, path)
            except OSError as e:
                raise OutputError(self._unwritten(e))
        return path

    def undo(self, name: str) -> bool:
        """Back to the version before; False where there was none, so that there is no such profile any more."""
        path = self.path(name)
        with self._alone():
            older = list(self._older(name))
            if not os.path.lexists(path) and not older:
                raise ConfigError(self._unknown(name))
            try:
                if not older:
                    self._forget(name)
                    return False
                os.replace(older[0], path)
                for n, version in enumerate(older[1:], 1):
                    os.replace(version, self._version(name, n))
            except OSError as e:
                raise OutputError(self._unwritten(e))
        return True

    def remove(self, name: str) -> None:
        """With all its versions, and what is left of damaged ones."""
        path = self.path(name)
        with self._alone():
            if not any(map(os.path.lexists, [path, os.path.dirname(self._version(name, 1))] + self._damaged(name))):
                raise ConfigError(self._unknown(name))
            try:
                for aside in self._damaged(name):
                    _delete(aside)
                self._forget(name)
            except OSError as e:
                raise OutputError(self._unwritten(e))

    def _forget(self, name: str) -> None:
        """The profile and its versions; no run uses it any more."""
        _delete(self.path(name))
        shutil.rmtree(os.path.dirname(self._version(name, 1)), ignore_errors=True)
        if self.in_use() == name:
            self._write(os.path.join(self.folder, USE), b"none\n")

    def in_use(self) -> Optional[str]:
        """The name that was chosen for every run; None for none."""
        try:
            text = read_small(os.path.join(self.folder, USE), 200).decode("ascii", "replace").strip()
        except (OSError, ValueError):
            return None
        return text if is_profile(text) else None

    def use(self, name: Optional[str]) -> None:
        """From now on, also in a run that is going. None: no profile."""
        if name is not None and not os.path.lexists(self.path(name)):
            raise ConfigError(self._unknown(name))
        self._write(os.path.join(self.folder, USE), ((name or OFF) + "\n").encode("ascii"))

    def state(self, name: str = "") -> Tuple[Any, ...]:
        """Changes when the profile in use does, or that of `name`; cheap enough for every second."""
        used = name or self.in_use() or ""
        return used, _mark(os.path.join(self.folder, USE)), used and _mark(os.path.join(self.folder, used + SUFFIX))

    def _repaired(self, name: str, why: str) -> Stored:
        path = self.path(name)
        with suppress(OSError, Damaged):
            return Stored(name, self._read(path))  # another process was quicker
        aside = self._aside(name)
        kept = "kept as {}".format(aside) if aside else "left where it is"
        for version in self._older(name):
            try:
                facts = self._read(version)
                if aside:
                    os.replace(version, path)
            except (OSError, Damaged):
                continue
            return Stored(name, facts, "the profile {} is damaged ({}): {}; the version before it is taken".format(
                name, why, kept))
        raise ConfigError("the profile {} is damaged ({}): {}, and there is no version before it: {}".format(
            name, why, kept, commands.run("calibrate neutral --name " + name)))

    def _read(self, path: str) -> Mapping[str, Any]:
        """Raises OSError, Damaged."""
        facts = profilefile.read(path)
        try:
            self._check(facts)
        except ValueError as e:
            raise Damaged(str(e))
        return facts

    def _aside(self, name: str) -> str:
        """The new path of a damaged profile; "" where it may not be moved."""
        known = set(self._damaged(name))
        free = [self._aside_path(name, n) for n in range(1, 10)]
        target = next((path for path in free if path not in known), free[-1])
        try:
            _delete(target)
            os.replace(self.path(name), target)
        except OSError:
            return ""
        return target

    def _aside_path(self, name: str, n: int) -> str:
        return os.path.join(self.folder, "{}{}{}".format(name, DAMAGED, "" if n == 1 else "." + str(n)))

    def _damaged(self, name: str) -> List[str]:
        return [path for path in (self._aside_path(name, n) for n in range(1, 10)) if os.path.lexists(path)]

    def _version(self, name: str, n: int) -> str:
        return os.path.join(self.folder, PREVIOUS, name, "{}{}".format(n, SUFFIX))

    def _older(self, name: str) -> Iterator[str]:
        """The newest first."""
        return (path for path in (self._version(name, n) for n in range(1, KEPT + 1)) if os.path.exists(path))

    def _push(self, name: str) -> None:
        """The present file is copied, so that the name is never without one."""
        self._write(self._version(name, 0), read_small(self.path(name), MOST_BYTES))
        for n in range(KEPT, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(self._version(name, n - 1), self._version(name, n))

    def _make(self, path: str) -> None:
        try:
            own_folder(path).__exit__()
        except OSError as e:
            raise OutputError(self._unwritten(e))

    def _write(self, path: str, content: bytes) -> None:
        try:
            write_whole(path, content, PRIVATE)
        except StorageError as e:
            raise OutputError(self._unwritten(e.__cause__ or e))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(one_builder(self.folder, lambda: None))
            except StorageError as e:
                raise OutputError(self._unwritten(e.__cause__ or e))
            yield

    def _unknown(self, name: str) -> str:
        names = self.names()
        have = "there are " + ", ".join(names) if names else commands.run("calibrate neutral --name " + name)
        return "there is no profile {}: {}".format(name, have)

    def _unread(self, path: str, error: OSError) -> str:
        return "{} cannot be read ({}): it belongs to another account".format(path, reason(error))

    def _unwritten(self, error: BaseException) -> str:
        return "the profiles in {} cannot be written ({}): set {} to a folder that you may write to".format(
            self.folder, " ".join(str(getattr(error, "strerror", None) or error).split()), FOLDER)


def _mark(path: str) -> Any:
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_mtime, info.st_ino, info.st_size


def _delete(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
