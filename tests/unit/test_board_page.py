"""docs/jetson-nano.md: its commands exist, its pins are those of setup.sh and the twin, its links lead somewhere."""
import os
import re
import shlex

import pytest

from edge.cli.table import read_words

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "jetson-nano.md")
LATER = ("nanoface service install",)  # named as what is still to come
PLACEHOLDERS = {"ROLE": "align"}


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def blocks():
    return re.findall(r"^```\n(.*?)^```", read(PAGE), re.MULTILINE | re.DOTALL)


def commands():
    """Every call of nanoface in a block of commands or between backticks."""
    lines = [line.split("  #")[0].strip() for block in blocks() for line in block.splitlines()]
    lines += re.findall(r"`(nanoface [^`]+)`", read(PAGE))
    calls = [re.sub(r"^\S*/?bin/nanoface ", "nanoface ", line) for line in lines]
    return sorted({call for call in calls if call.startswith("nanoface ") and call not in LATER})


def test_page_names_the_commands_of_the_way():
    words = {command.split()[1] for command in commands()}
    assert {"models", "doctor", "build", "verify", "run", "estimate", "report"} <= words


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_page_is_understood(command):
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(command)[1:]]
    assert read_words(words).command == words[0]


def test_pins_of_the_page_are_those_of_setup_sh():
    page, script = read(PAGE), read(os.path.join(ROOT, "setup.sh"))
    for name, variable in (("pip", "PIP"), ("setuptools", "SETUPTOOLS"), ("wheel", "WHEEL"), ("pycuda", "PYCUDA"),
                           ("numpy", "NUMPY")):
        pinned = set(re.findall(r"\b{}==([0-9.]+)".format(name), page))
        assert pinned == {re.search(r"^{}=(\S+)".format(variable), script, re.MULTILINE).group(1)}, name
    packages = re.search(r'^PACKAGES="(.+)"', script, re.MULTILINE).group(1)
    assert "apt-get install -y " + packages in page


def test_versions_of_the_conversion_are_those_of_the_twin():
    page = read(PAGE)
    for pin in read(os.path.join(ROOT, "tests", "pins", "py36.txt")).split("\n"):
        name, _, version = pin.partition("==")
        if name in ("numpy", "onnx", "protobuf", "onnxruntime", "tflite", "flatbuffers", "PyYAML"):
            assert "{} {}".format(name, version) in page


def test_links_lead_somewhere():
    page = read(PAGE)
    anchors = {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-")
               for head in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", page):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert os.path.exists(os.path.join(os.path.dirname(PAGE), target)), target
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 120
