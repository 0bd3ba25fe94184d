"""What another account of the machine may put in the way of who writes: a table of what it tries and what is refused.

Root and a second account, for real: both are this machine's. Without root the cases are skipped by name.
"""
import os

import pytest

STRANGER = 65534  # on any system: nobody
SECRET = b"root's own\n"

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be two accounts")


class Scene:
    """A folder of root's with a file that must stay as it is; folders of the stranger and of everybody beside it."""

    def __init__(self, folder):
        os.chmod(str(folder), 0o755)
        self.root = folder
        self.secret = folder / "own" / "secret"
        self.secret.parent.mkdir(mode=0o700)
        self.secret.write_bytes(SECRET)
        self.theirs = self.folder("theirs", 0o755, STRANGER)
        self.sticky = self.folder("sticky", 0o1777, 0)

    def folder(self, name, mode, uid):
        path = self.root / name
        path.mkdir()
        os.chown(str(path), uid, -1)
        os.chmod(str(path), mode)
        return path

    def link(self, path, target=None):
        os.symlink(str(target or self.secret), str(path))
        os.lchown(str(path), STRANGER, -1)
        return path

    def untouched(self):
        return self.secret.read_bytes() == SECRET and os.listdir(str(self.secret.parent)) == ["secret"]


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)
