"""A new command is one file and its line in the table: its words, help and completion follow from them."""
import os
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = ("edge", "engines", "calibration")
LINE = '    "toy": "count down to a start",\n'
TOY = '''"""`nanoface toy`: count down to a start."""
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.parser import ArgumentParser, count
from edge.core.errors import ConfigError, SourceError


def make_parser() -> ArgumentParser:
    parser = ArgumentParser("nanoface toy", "Count down to a start.", "nanoface toy launch --from 3")
    parser.usage = "nanoface toy launch|abort [NAME ...] [--from N]"
    parser.add_argument("names", nargs="*", metavar="NAME", help="who starts")
    parser.add_argument("--from", dest="first", type=count(9), default=3, metavar="N", help="the first number (3)")
    parser.add_argument("--where", choices=("moon", "mars"), help="moon or mars")
    return parser


def check(args: Any) -> None:
    if args.action == "abort" and args.names:
        raise ConfigError("nanoface toy abort takes no NAME")


def run(args: Any, out: TextIO) -> int:
    if args.action == "abort":
        raise SourceError("the start\\nis off")
    out.write(" ".join(str(n) for n in range(args.first, 0, -1)) + " " + "+".join(args.names) + "\\n")
    return 0


TOY = Command(make_parser, run, check, actions=("launch", "abort"), offers={"NAME": ("yunet", "yuri")})
'''


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The packages with the toy in them."""
    folder = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(os.path.join(ROOT, package), str(folder / package), ignore=shutil.ignore_patterns(
            "__pycache__", "onnx", "plans", "cache"))
    (folder / "edge" / "cli" / "commands" / "toy.py").write_text(TOY)
    table = folder / "edge" / "cli" / "table.py"
    before, found, behind = table.read_text().partition("COMMANDS = {\n")
    assert found
    table.write_text(before + found + LINE + behind)
    return folder


def call(copy, *words):
    environ = dict(os.environ, PYTHONPATH=str(copy), NANOFACE_CONFIG=os.devnull, NANOFACE_HOME=str(copy / "home"))
    done = subprocess.run([sys.executable, "-m", "edge"] + list(words), cwd=str(copy), env=environ, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words, code, out, err", [
    (["toy", "launch", "--from", "5", "yuri"], 0, "5 4 3 2 1 yuri\n", ""),
    (["toy", "abort"], 3, "", "nanoface: the start is off\n"),
    (["toy", "abort", "yuri"], 2, "", "nanoface: nanoface toy abort takes no NAME\n"),
    (["toy", "lanch"], 2, "", "nanoface: nanoface toy lanch is unknown; did you mean launch?; see nanoface toy --help\n"),
    (["toy", "launch", "--form", "2"], 2, "", "nanoface: --form is unknown, did you mean --from?; see nanoface toy --help\n"),
    (["toi"], 2, "", "nanoface: nanoface toi is unknown; did you mean toy?; see nanoface --help\n"),
    (["help", "toy", "lanch"], 2, "",
     "nanoface: nanoface toy lanch is unknown; did you mean launch?; see nanoface toy --help\n"),
])
def test_a_command_and_its_mistakes_need_one_file_and_a_line(copy, words, code, out, err):
    assert call(copy, *words) == (code, out, err)


def test_its_help_follows(copy):
    code, out, err = call(copy, "toy", "--help")
    assert (code, err) == (0, "") and "the first number (3)" in out and "  nanoface toy launch --from 3" in out
    assert call(copy, "help", "toy") == call(copy, "help", "toy", "launch") == (0, out, "")
    assert "\n  toy        count down to a start\n" in call(copy, "help")[1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("typed, offered", [
    (["to"], ["toy"]), (["toy", ""], ["launch", "abort"]), (["toy", "launch", "yu"], ["yunet", "yuri"]),
    (["toy", "--fr"], ["--from"]), (["toy", "--where", ""], ["moon", "mars"]),
])
def test_its_completion_follows(copy, typed, offered):
    words = " ".join("'{}'".format(word) for word in ["nanoface"] + typed)
    script = 'compopt() {{ :; }}\neval "$SCRIPT"\nCOMP_WORDS=({}) COMP_CWORD={}\n_nanoface\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc", "-c", script.format(words, len(typed))], cwd=str(copy), timeout=60,
                          env=dict(os.environ, SCRIPT=call(copy, "completion", "bash")[1]), stdout=subprocess.PIPE)
    assert done.stdout.decode().split() == offered


def test_fish_and_zsh_know_it_too(copy):
    for shell in ("zsh", "fish"):
        code, out, err = call(copy, "completion", shell)
        assert (code, err) == (0, "") and "toy" in out and "launch" in out


def test_help_of_every_command_is_cheap(tmp_path):
    """Nothing heavy is imported for words that only are to be explained or completed."""
    code = ("import sys; from edge.cli import main, table\n"
            "for words in [['help']] + [['help', name] for name in table.COMMANDS] + [['completion', 'bash'], ['version']]:\n"
            "    assert main.main(words) == 0\n"
            "print(sorted({name.split('.')[0] for name in sys.modules} & set(sys.argv[1:])))")
    heavy = ["numpy", "cv2", "yaml", "onnxruntime", "openvino", "engines", "calibration", "tensorrt", "PIL"]
    done = subprocess.run([sys.executable, "-c", code] + heavy, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.split("\n")[-2] == "[]"
