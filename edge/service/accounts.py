"""The user that the service runs as, and its groups. What was made is noted, so that nothing else is removed later."""
import os
from typing import List

from edge.service import places
from edge.service.places import Places
from edge.service.steps import Steps

USER_WORD, GROUP_WORD = "user ", "group "


def make_accounts(steps: Steps, seen: Places) -> None:
    made = noted(seen)
    before = list(made)
    if not _there(steps, "group", places.VIDEO):  # a group that is not there would fail the start
        steps.run("groupadd", "--system", places.VIDEO)
        made.append(GROUP_WORD + places.VIDEO)
    joined = [] if _there(steps, "passwd", places.USER) else [places.VIDEO]
    if joined:
        group = ["--gid", places.USER] if _there(steps, "group", places.USER) else ["--user-group"]
        steps.run("useradd", "--system", *(group + ["--groups", places.VIDEO, "--home-dir", places.HOME, "--no-create-home",
                                                    "--shell", "/usr/sbin/nologin", places.USER]))
        made.append(USER_WORD + places.USER)
    joined += steps.ask("id", "-nG", places.USER).text.split()
    for name in (places.VIDEO, places.JTOP):  # video: also for a build by hand, with sudo -u
        if name not in joined and _there(steps, "group", name):
            steps.run("usermod", "--append", "--groups", name, places.USER)
    if made != before:
        steps.write(seen.program(places.MADE), "".join(line + "\n" for line in made).encode("ascii"))


def remove_accounts(steps: Steps, seen: Places) -> None:
    """Those that were made here. The user's own group goes with it."""
    for line in noted(seen):
        if line.startswith(USER_WORD) and _there(steps, "passwd", line[len(USER_WORD):]):
            steps.run("userdel", line[len(USER_WORD):])
        if line.startswith(GROUP_WORD) and _there(steps, "group", line[len(GROUP_WORD):]):
            steps.run("groupdel", line[len(GROUP_WORD):])


def noted(seen: Places) -> List[str]:
    path = seen.program(places.MADE)
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as f:
        return f.read().split("\n")[:-1]


def _there(steps: Steps, table: str, name: str) -> bool:
    return steps.ask("getent", table, name).code == 0
