"""How a process of ours is started beside the tracker: one that reads a camera, one that serves the live outputs."""
import os
import subprocess
import sys
from typing import Optional, Sequence

from edge.core.redact import SOURCE_VARIABLE
from edge.host.child.printed import PrintedLines
from edge.host.process import CODE

START = "import sys; sys.path[0] = {!r}; from {} import main; sys.exit(main(sys.argv[1:]))"


def start(module: str, handed: Sequence[int], printed: PrintedLines) -> "subprocess.Popen[bytes]":
    """main() of that module; its words are the descriptors that it is `handed`, and our process number. Raises OSError.

    Its own session: Ctrl-C at a terminal is meant for us alone. By a fork that turns into another program at once, and so
    never touches the CUDA of this one. What it prints goes to `printed`, whose writer this closes here.
    """
    loud = os.environ.get("NANOFACE_DEBUG") == "1"
    out = None if loud else printed.writer
    try:
        return subprocess.Popen(
            [sys.executable, "-c", START.format(CODE, module)] + [str(n) for n in list(handed) + [os.getpid()]],
            pass_fds=handed, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            # a source with its password goes by a socket to who needs it
            env={name: value for name, value in os.environ.items() if name != SOURCE_VARIABLE})
    finally:
        printed.close_writer()


def how_ended(code: Optional[int]) -> str:
    """In the words of a message, by what subprocess tells."""
    return "exit code {}".format(code) if code is None or code >= 0 else "signal {}".format(-code)
