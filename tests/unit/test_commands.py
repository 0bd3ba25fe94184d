"""The command that a message names is one that works for its reader."""
import os
import sys

import pytest

from edge.host import commands
from edge.store import models

SERVICE = "/opt/nanoface/current/bin/nanoface"


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/opt/nanoface/1.0")
    monkeypatch.delenv("NANOFACE_HOME", raising=False)


@pytest.mark.parametrize("words, expected", [
    ("build", "sudo " + SERVICE + " service rebuild"),
    ("build --only align", "sudo " + SERVICE + " service rebuild"),
    ("build --only align --force", "sudo " + SERVICE + " service rebuild --force"),
    ("build --force", "sudo " + SERVICE + " service rebuild --force"),
    ("build --workspace 128", "sudo systemctl stop nanoface; sudo -u nanoface " + SERVICE + " build --workspace 128 "
     "--config /etc/nanoface/nanoface.yaml; sudo systemctl start nanoface"),
    ("models fetch mb05", ".venv/bin/nanoface models fetch mb05 && sudo .venv/bin/nanoface service install"),
    ("doctor", "sudo -u nanoface " + SERVICE + " doctor --config /etc/nanoface/nanoface.yaml"),
    ("calibrate fp16", "sudo -u nanoface " + SERVICE + " calibrate fp16"),
    ("service install", "sudo " + SERVICE + " service install"),
    ("service logs", SERVICE + " service logs"),
    ("run", "sudo systemctl start nanoface"),
])
def test_the_program_of_the_service_names_what_works_for_the_service(installed, words, expected):
    assert commands.command(words) == expected
    assert commands.run(words) == "run `{}`{}".format(expected, " in the checkout" if words.startswith("models") else "")


def test_it_has_its_networks_without_being_given_the_place(installed):
    assert models.home_dir({}) == "/opt/nanoface/1.0/home"
    assert models.home_dir({"NANOFACE_HOME": "/elsewhere"}) == "/elsewhere"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An environment with the command, somebody who works beside it, and a PATH that does not know of it."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("nanoface", "python3"):
        (tmp_path / ".venv" / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / ".venv" / "bin" / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python3"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(str(tmp_path))
    return tmp_path


def test_a_checkout_names_its_own_command_as_it_is_reached_from_here(checkout, monkeypatch):
    assert commands.command("build --only align") == ".venv/bin/nanoface build --only align"
    assert commands.command("service install") == "sudo .venv/bin/nanoface service install"
    (checkout / "below").mkdir()
    monkeypatch.chdir(str(checkout / "below"))
    assert commands.command("doctor") == str(checkout / ".venv" / "bin" / "nanoface") + " doctor"


def test_in_an_activated_environment_the_name_is_enough_but_not_for_sudo(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout / ".venv" / "bin") + os.pathsep + "/usr/bin")
    assert commands.command("build") == "nanoface build"
    assert commands.command("service install") == "sudo .venv/bin/nanoface service install"


def test_where_there_is_no_command_its_name_is_reported(checkout):
    (checkout / ".venv" / "bin" / "nanoface").unlink()
    assert commands.run("models fetch") == "run `nanoface models fetch`"


def test_networks_are_converted_by_the_environment_that_can(installed, checkout, monkeypatch):
    monkeypatch.setattr(commands, "is_tegra", lambda: True)
    monkeypatch.setattr(sys, "prefix", "/opt/nanoface/1.0")
    assert commands.command("models fetch").startswith(".venv-convert/bin/nanoface models fetch && sudo .venv/bin/nanoface")
    converter = checkout / ".venv-convert" / "bin" / "nanoface"
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    monkeypatch.setattr(commands, "CONVERTER", str(converter))
    assert commands.command("models fetch") == ".venv/bin/nanoface models fetch"
    converter.parent.mkdir(parents=True)
    converter.write_text("#!/bin/sh\n")
    assert commands.command("models fetch") == ".venv-convert/bin/nanoface models fetch"
    assert commands.command("build") == ".venv/bin/nanoface build"
