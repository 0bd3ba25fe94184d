"""The program ffmpeg, which reads recorded films and writes annotated ones in a process of its own: what a hostile film
makes it do, a crash, a hang or gigabytes, is never the tracker's.

It comes with the package imageio-ffmpeg, whose own code is not imported (on Python 3.6 it does not load), or from $PATH.
"""
import glob
import importlib.util
import os
import re
import shutil
import subprocess
from functools import lru_cache
from typing import List, NamedTuple, Optional, Tuple

from edge.core.packages import install

NAMED = "IMAGEIO_FFMPEG_EXE"  # as imageio-ffmpeg has it: a program of the user's own choice
PACKAGE = "imageio_ffmpeg"
NEWEST = (99, 0)  # what a build from the repository, which has no number, counts as
ASK_S = 20.0  # for its version; a board that is busy with something else takes seconds


class Ffmpeg(NamedTuple):
    path: str
    version: Tuple[int, int]

    @property
    def every_frame(self) -> List[str]:
        """Options of an output by which each frame is kept with its own time, none repeated or left out."""
        return ["-fps_mode" if self.version >= (5, 1) else "-vsync", "passthrough"]


def find() -> Optional[Ffmpeg]:
    """None where there is none, or none that runs."""
    for path in _places():
        found = _ask(path)
        if found is not None:
            return found
    return None


def cure() -> str:
    """For the end of an error's line."""
    if os.environ.get(NAMED):  # it alone is tried
        return "unset {}, or let it name an FFmpeg that works".format(NAMED)
    return install(PACKAGE) + ", or sudo apt install ffmpeg"


def _places() -> List[str]:
    named = os.environ.get(NAMED)
    if named:
        return [named]
    spec = importlib.util.find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    patterns = [os.path.join(glob.escape(folder), "binaries", "ffmpeg*") for folder in folders]
    packed = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
    on_path = shutil.which("ffmpeg")
    return packed + ([on_path] if on_path else [])


@lru_cache(maxsize=None)
def _ask(path: str) -> Optional[Ffmpeg]:
    try:
        told = subprocess.run([path, "-version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=ASK_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"ffmpeg version n?(\d+)\.(\d+)", told.decode("ascii", "replace"))
    return Ffmpeg(path, (int(found.group(1)), int(found.group(2))) if found else NEWEST)
