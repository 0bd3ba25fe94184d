"""Other people's programs as peers of our outputs: each a process that prints a line of JSON, [WHAT, DATA], for each thing
that happens to it, and ends with its standard input. `make peers` gets what they need."""
import json
import os
import shutil
import subprocess
import threading

import pytest
from patience import PATIENCE_S, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(os.path.dirname(HERE), ".venv-peers")


def python_peer(name, script, *arguments):
    """In the environment of that name."""
    python = os.path.join(PEERS, name, "bin", "python")
    if not os.path.exists(os.path.join(PEERS, name, ".peer")):
        pytest.skip("the peer {} is not there: make peers".format(name))
    return Peer([python, os.path.join(HERE, "peers", script)] + list(arguments))


def node_peer(script, package, *arguments):
    if not shutil.which("node") or not os.path.isdir(os.path.join(PEERS, "node", "node_modules", package)):
        pytest.skip("the peer {} of node is not there: make peers".format(package))
    return Peer(["node", os.path.join(HERE, "peers", "node", script), package] + list(arguments),
                NODE_PATH=os.path.join(PEERS, "node", "node_modules"))


class Peer:
    def __init__(self, command, **environment):
        self.lines = []
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True,
                                         env=dict(env, **environment))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.lines.append(tuple(json.loads(line)))

    def got(self, what):
        """The data of all lines of the kind."""
        return [data for kind, data in list(self.lines) if kind == what]

    def wait_for(self, what, count=1):
        """The data of the newest of `count` lines of the kind, at least."""
        wait_until(lambda: len(self.got(what)) >= count or self._process.poll() is not None,
                   "{} after {}".format(what, [kind for kind, _ in self.lines[-9:]]))
        assert len(self.got(what)) >= count, "the peer ended after {}".format(str(self.lines[-3:])[:300])
        return self.got(what)[-1]

    def tell(self, value):
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def pause(self, signal):
        self._process.send_signal(signal)

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._reader.join()
            self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
