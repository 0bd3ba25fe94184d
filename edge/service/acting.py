"""Acting as another account: in a folder that it owns nothing is done with more rights than it has, so links are harmless.

The effective ids are switched, as a file server does it; the real ones stay root's, so that nobody may send signals.
"""
import codecs
import os
from contextlib import contextmanager
from typing import Iterator, NamedTuple, Optional, Tuple

from edge.host.reading import ENCODING
from edge.service import places


class Account(NamedTuple):
    uid: int
    gid: int
    groups: Tuple[int, ...]

    def become(self) -> None:
        """For good: in a child, before its program is started."""
        os.setgroups(self.groups)
        os.setgid(self.gid)
        os.setuid(self.uid)


def service_account() -> Optional[Account]:
    """The user of the service, with the group of cameras and GPU; None before it is made."""
    import grp
    import pwd
    try:
        entry = pwd.getpwnam(places.USER)
        return Account(entry.pw_uid, entry.pw_gid, (entry.pw_gid, grp.getgrnam(places.VIDEO).gr_gid))
    except KeyError:
        return None


def owner_of(path: str) -> Optional[Account]:
    """None where there is nothing."""
    import pwd
    try:
        info = os.stat(path)
    except OSError:
        return None
    try:
        entry = pwd.getpwuid(info.st_uid)
        return Account(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)))
    except KeyError:
        return Account(info.st_uid, info.st_gid, (info.st_gid,))


@contextmanager
def acting_as(account: Optional[Account]) -> Iterator[None]:
    """Without effect where this is not root, or the account is root."""
    if account is None or account.uid == os.geteuid() or os.geteuid() != 0:
        yield
        return
    codecs.lookup(ENCODING)  # is loaded when it is first used, from a folder that the account may not be let into
    gid, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(account.groups)
        os.setegid(account.gid)
        os.seteuid(account.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
