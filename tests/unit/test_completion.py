"""What a shell offers behind `nanoface`: asked of real shells, where they are installed."""
import os
import re
import shutil
import subprocess

import pytest

from edge.cli import table
from edge.cli.commands import completion, models
from edge.config.rules import RULES
from edge.core.roles import NETWORKS

BASH = """
compopt() {{ :; }}  # only a shell at a terminal has it
eval "$SCRIPT"
COMP_WORDS=({words}) COMP_CWORD={at}
_nanoface
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH_AT_TERMINAL = "autoload -U compinit && compinit -u -D && eval \"$SCRIPT\""


def needs(shell):
    return pytest.mark.skipif(shutil.which(shell) is None, reason="needs " + shell)


def ask(command, folder, **more):
    done = subprocess.run(command, cwd=str(folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=60, env=dict(os.environ, HOME=str(folder), **more))
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def in_bash(folder, *words):
    """The last word is the one that is typed; readline has taken them apart at = and :."""
    quoted = " ".join("'{}'".format(word) for word in ("nanoface",) + words)
    return [word for word in ask(["bash", "--norc", "-c", BASH.format(words=quoted, at=len(words))], folder,
                                 SCRIPT=completion.script("bash")) if word]


@needs("bash")
@pytest.mark.parametrize("words, offered", [
    (["mod"], ["models"]),
    (["models", ""], list(models.ACTIONS)),
    (["models", "fetch", "yu"], ["yunet_s", "yunet_n"]),
    (["models", "fetch", "mb05", "iri"], ["iris_landmark"]),
    (["service", "un"], ["uninstall"]),
    (["calibrate", "f"], ["fp16"]),
    (["help", "b"], ["bench", "build"]),
    (["completion", ""], ["bash", "zsh", "fish"]),
    (["run", "--fl"], ["--flip"]),
    (["run", "--flip", ""], ["none", "horizontal", "vertical", "both"]),
    (["run", "--flip", "=", "v"], ["vertical"]),
    (["run", "--flip", "="], ["none", "horizontal", "vertical", "both"]),
    (["run", "--loop", "--rot"], ["--rotate"]),
    (["run", "--runtime", "o"], ["openvino", "onnxruntime"]),
    (["run", "--detector", "rf"], ["rfb320"]),
    (["run", "--pose", ""], ["mb05", "none"]),
    (["run", "--output", "i"], ["images:", "image:", "ifacialmocap:"]),
    (["run", "--output", "jsonl", ":", "cl"], []),  # the shell's own names of files
    (["run", "--max-faces", ""], []),
    (["run", "--landmarks", ""], ["468", "68", "all", "pony.mp4"]),
    (["run", "--set", "source.fl"], ["source.flip="]),
    (["run", "--set", "source.flip", "=", "b"], ["both"]),
    (["run", "--set", "smoothing.enabled", "=", ""], ["true", "false"]),
    (["run", "--config", ""], []),
    (["run", "po"], ["portrait", "pony.mp4"]),
    (["run", "portrait", "--fl"], ["--flip"]),
    (["clip.mp4", "--fl"], ["--flip"]),
    (["--fl"], ["--flip"]),
    (["re"], ["report"]),
    (["po"], ["pose", "portrait", "pony.mp4"]),
    (["build", "--only", "y"], ["yunet_s", "yunet_n"]),
    (["build", "--only", "al"], ["align"]),
    (["estimate", "--board", ""], ["nano", "nano-5w"]),
    (["verify", "mb"], ["mb05"]),
    (["status", "--f"], ["--follow"]),
    (["outputs", "vm"], ["vmc"]),
    (["outputs", "test", "vm"], ["vmc:"]),
    (["nosuch", ""], []),
], ids=" ".join)
def test_bash_offers_what_fits(tmp_path, words, offered):
    (tmp_path / "pony.mp4").write_bytes(b"")
    if words == ["nosuch", ""]:
        offered = ["portrait", "pony.mp4"]  # taken for a source
    assert in_bash(tmp_path, *words) == offered


def read_until(terminal, pattern):
    text, found = b"", None
    while not found:
        text += os.read(terminal, 4096)
        found = re.search(pattern, text.decode("utf-8", "replace"))
    return found.group(1)


def at_terminal(folder, shell, start, typed, **more):
    """What stands behind `typed` and Tab, in a shell that reads a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    env = dict(os.environ, HOME=str(folder), PS1="", PROMPT="", TERM="dumb", INPUTRC=os.devnull, **more)
    process = subprocess.Popen(shell, cwd=str(folder), env=env, stdin=theirs, stdout=theirs, stderr=theirs,
                               start_new_session=True)
    os.close(theirs)
    try:
        os.write(ours, "nanoface() {{ echo got:\"$*\"; exit; }}; {}; echo re'ady'\n".format(start).encode())
        read_until(ours, r"(ready)\r\n")
        os.write(ours, typed.encode() + b"\t\n")
        return read_until(ours, r"got:(.*?)\r").strip()
    finally:
        process.kill()
        process.wait()
        os.close(ours)


TYPED = [
    ("nanoface mod", "models"), ("nanoface run --fli", "run --flip"), ("nanoface run --flip ver", "run --flip vertical"),
    ("nanoface run --flip=ver", "run --flip=vertical"), ("nanoface run --output jsonl:cl", "run --output jsonl:clip one.mp4"),
    ("nanoface run --output vid", "run --output video:"), ("nanoface run --set source.fli", "run --set source.flip="),
    ("nanoface cl", "clip one.mp4"), ("nanoface run cl", "run clip one.mp4"), ("nanoface models fet", "models fetch"),
]


@needs("bash")
@pytest.mark.parametrize("typed, got", TYPED)
def test_bash_at_a_terminal_completes_the_line(tmp_path, typed, got):
    (tmp_path / "clip one.mp4").write_bytes(b"")
    bash, script = ["bash", "--norc", "--noprofile", "-i"], completion.script("bash")
    assert at_terminal(tmp_path, bash, "eval \"$SCRIPT\"", typed, SCRIPT=script) == got


@needs("zsh")
@pytest.mark.parametrize("typed, got", TYPED)
def test_zsh_at_a_terminal_completes_the_line(tmp_path, typed, got):
    (tmp_path / "clip one.mp4").write_bytes(b"")
    script = completion.script("zsh")
    assert at_terminal(tmp_path, ["zsh", "-f", "-i"], ZSH_AT_TERMINAL, typed, SCRIPT=script) == got


@needs("fish")
@pytest.mark.parametrize("typed, offered", [
    ("nanoface mod", ["models"]), ("nanoface models ", sorted(models.ACTIONS)),
    ("nanoface models fetch yun", ["yunet_n", "yunet_s"]), ("nanoface run --flip ver", ["vertical"]),
    ("nanoface clip.mp4 --fli", ["--flip"]), ("nanoface run cli", ["clip.mp4"]), ("nanoface run --fps cli", []),
    ("nanoface run --config cli", ["clip.mp4"]),
])
def test_fish_offers_what_fits(tmp_path, typed, offered):
    (tmp_path / "clip.mp4").write_bytes(b"")
    found = ask(["fish", "--no-config", "-c", "echo $SCRIPT | source; complete -C '{}'".format(typed)], tmp_path,
                SCRIPT=completion.script("fish"))
    assert sorted(line.split("\t")[0] for line in found) == offered


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_command_and_option_and_network_is_in_each_script(shell):
    script = completion.script(shell)
    assert script.endswith("\n") and script.encode("ascii")
    words = set(script.replace("'", " ").replace("|", " ").replace(")", " ").split())
    assert set(table.COMMANDS) <= words and {name for names in NETWORKS.values() for name in names} <= words
    assert {key + "=" for key in RULES} <= words
    for command in table.COMMANDS:
        for flag in completion.flags_of(command):
            assert all(word in words or word[2:] in words or word[1:] in words for word in flag.spelled)
