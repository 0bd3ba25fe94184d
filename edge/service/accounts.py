"""The user that the service runs as, and its groups. What was created is recorded: nothing else is removed later."""
import os
from typing import List

from edge.service import places
from edge.service.places import Places
from edge.service.steps import Steps

USER_LINE, GROUP_LINE = "user ", "group "


def make_accounts(steps: Steps, tree: Places) -> None:
    created = recorded(tree)
    before = list(created)
    if not _there(steps, "group", places.VIDEO):  # a group that is not there would fail the start
        steps.run("groupadd", "--system", places.VIDEO)
        created.append(GROUP_LINE + places.VIDEO)
    groups = [] if _there(steps, "passwd", places.USER) else [places.VIDEO]
    if groups:
        group = ["--gid", places.USER] if _there(steps, "group", places.USER) else ["--user-group"]
        steps.run("useradd", "--system", *(group + ["--groups", places.VIDEO, "--home-dir", places.HOME, "--no-create-home",
                                                    "--shell", "/usr/sbin/nologin", places.USER]))
        created.append(USER_LINE + places.USER)
    groups += steps.ask("id", "-nG", places.USER).text.split()
    for name in (places.VIDEO, places.JTOP):  # video: also for a build by hand, with sudo -u
        if name not in groups and _there(steps, "group", name):
            steps.run("usermod", "--append", "--groups", name, places.USER)
    if created != before:
        steps.write(tree.program(places.MADE), "".join(line + "\n" for line in created).encode("ascii"))


def remove_accounts(steps: Steps, tree: Places) -> None:
    """Those that were created here. The user's own group goes with it."""
    for line in recorded(tree):
        if line.startswith(USER_LINE) and _there(steps, "passwd", line[len(USER_LINE):]):
            steps.run("userdel", line[len(USER_LINE):])
        if line.startswith(GROUP_LINE) and _there(steps, "group", line[len(GROUP_LINE):]):
            steps.run("groupdel", line[len(GROUP_LINE):])


def recorded(tree: Places) -> List[str]:
    path = tree.program(places.MADE)
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as f:
        return f.read().split("\n")[:-1]


def _there(steps: Steps, table: str, name: str) -> bool:
    return steps.ask("getent", table, name).code == 0
