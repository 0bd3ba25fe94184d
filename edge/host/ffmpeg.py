"""The program ffmpeg, which reads recorded films and writes annotated ones in a process of its own: a hostile film that makes
it crash, hang or take gigabytes does not affect the tracker.

It comes with the package imageio-ffmpeg, whose own code is not imported (on Python 3.6 it does not load), or from $PATH.
"""
import glob
import importlib.util
import os
import re
import shutil
import subprocess
from functools import lru_cache
from typing import Dict, List, NamedTuple, Optional, Tuple

from edge.host.packages import install

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
    """None where there is none, or none that runs; elsewhere than on POSIX, where its pipes cannot be waited for."""
    for path in _places() if os.name == "posix" else []:
        found = _known(path)
        if found is not None:
            return found
    return None


def cure() -> str:
    """For the end of an error's line."""
    if os.name != "posix":
        return "it is used on Linux and macOS alone"
    if os.environ.get(NAMED):  # it alone is tried
        return "unset {}, or let it name an FFmpeg that works".format(NAMED)
    return install(PACKAGE) + ", or sudo apt install ffmpeg"


def environment() -> Dict[str, str]:
    """Ours, but for what makes it write files or colours, and a static build's crash on its way to the C library's character
    sets."""
    return dict({key: value for key, value in os.environ.items() if key != "FFREPORT"},
                GCONV_PATH=os.devnull, AV_LOG_FORCE_NOCOLOR="1")


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


def ask(path: str, *options: str) -> str:
    """What it prints; "" where it does not run."""
    try:
        done = subprocess.run([path] + list(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=ASK_S, check=True, env=environment())
        return done.stdout.decode("ascii", "replace")
    except (OSError, subprocess.SubprocessError):
        return ""


@lru_cache(maxsize=None)
def _known(path: str) -> Optional[Ffmpeg]:
    printed = ask(path, "-version")
    found = re.match(r"ffmpeg version n?(\d+)\.(\d+)", printed)
    version = (int(found.group(1)), int(found.group(2))) if found else NEWEST
    return Ffmpeg(path, version) if printed else None
