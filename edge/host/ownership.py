"""Which other accounts can put something where we write, and what of theirs is refused.

The rule, everywhere that we write. *Ours* are root, the account that runs this, and the owner of this program, who could
change it anyway. A folder is *shared* where somebody else can write into it: it belongs to another account, everybody may
write, or a group with other members. In a shared folder
* a symbolic link is followed only where it is ours;
* a file that is there is replaced and never written into, but a status log; one with a second name (a hard link) is refused;
* where the folder is sticky (/tmp), so is a file, pipe or device of an account that is neither ours nor the folder's owner;
* what is in the making has a random name.
The error names what is refused. Folders are walked by descriptors, so that an exchange meanwhile has no effect. Elsewhere, and
where a system knows no descriptors of folders (Windows), paths are used as they are.
"""
import errno
import os
import stat
from functools import lru_cache
from typing import FrozenSet, Set


class UnsafePath(OSError):
    """Something of another account lies in the way. `strerror` names it, and the cure."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.ELOOP, text)


class Exposed(UnsafePath):
    """The account `uid` could exchange what lies in `path`."""

    def __init__(self, path: str, uid: int) -> None:
        super().__init__("{} can be written to by {}".format(path, account(uid) if uid not in ours() else "other accounts"))
        self.path, self.uid = path, uid


def ours() -> Set[int]:
    """The trusted accounts."""
    return {0, os.geteuid(), os.stat(__file__).st_uid}


def account(uid: int) -> str:
    """Its name, as it may stand behind `sudo -u`."""
    import pwd  # not on Windows
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "#{}".format(uid)


def link_refused(path: str) -> UnsafePath:
    return UnsafePath("{} is a link, and none is followed here: remove it (rm {})".format(path, path))


def is_shared(info: os.stat_result) -> bool:
    """Whether another account than root and ours can put something into this folder."""
    if info.st_uid not in ours() or info.st_mode & stat.S_IWOTH:
        return True
    return bool(info.st_mode & stat.S_IWGRP) and _has_others(info.st_gid, frozenset(ours()))


@lru_cache(maxsize=None)  # the whole list of accounts is read for it
def _has_others(gid: int, us: FrozenSet[int]) -> bool:
    """Members of a group beside root and us: a group of one's own has none."""
    import grp
    import pwd
    try:
        names = grp.getgrgid(gid).gr_mem
        members = [pwd.getpwnam(name).pw_uid for name in names]
    except KeyError:
        return gid != os.getegid()
    members += [entry.pw_uid for entry in pwd.getpwall() if entry.pw_gid == gid]
    return not us.issuperset(members)


def others(there: os.stat_result) -> str:
    """Who can write into a shared folder, for a message."""
    return account(there.st_uid) if there.st_uid not in ours() else "others"


def check_link(path: str, link: os.stat_result, folder: os.stat_result) -> None:
    """Raises UnsafePath where a link of `folder` is another account's."""
    if link.st_uid not in ours() and is_shared(folder):
        raise UnsafePath("{} is a link that {} has put there, and it is not followed: remove it, or choose a folder of "
                         "your own".format(path, account(link.st_uid)))
