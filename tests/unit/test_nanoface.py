"""nanoface.py: what a program finds in it, and where the command begins. It loads nothing before it is asked."""
import os
import subprocess
import sys

import pytest
from patience import PATIENCE_S
from whole_runs import ROOT

import nanoface

STRANGE = "print('a stranger was loaded')\n"


def call(folder, *words, **more):
    env = dict({k: v for k, v in os.environ.items() if not k.startswith("NANOFACE_")}, **more)
    done = subprocess.run([sys.executable] + list(words), cwd=str(folder), env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=PATIENCE_S)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def hostile(tmp_path):
    """A folder whose packages have our names, as PYTHONPATH; what the rest of this Python needs comes behind."""
    folder = tmp_path / "hostile"
    for name in ("edge", "engines", "calibration"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(STRANGE)
    return os.pathsep.join([str(folder), ROOT] + list(filter(None, [os.environ.get("PYTHONPATH")])))


def test_every_name_is_there():
    for name in nanoface.__all__:
        assert getattr(nanoface, name) is not None
        assert name in dir(nanoface)
    assert issubclass(nanoface.InputTypeError, TypeError) and issubclass(nanoface.StateError, RuntimeError)
    errors = [value for value in vars(nanoface).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(errors) == 11 and all(issubclass(error, nanoface.EdgeError) for error in errors)


def test_a_name_that_is_not_there_is_told_as_of_any_module():
    with pytest.raises(AttributeError, match="module 'nanoface' has no attribute 'Trakcer'"):
        nanoface.Trakcer  # noqa: B018
    with pytest.raises(ImportError):
        from nanoface import Trakcer  # noqa: F401
    assert not hasattr(nanoface, "__path__")


def test_it_loads_nothing_before_it_is_asked_and_leaves_the_path_alone(tmp_path):
    code = ("import sys; before = list(sys.path); import nanoface; from nanoface import console; "
            "first = [n for n in ('edge', 'engines', 'numpy', 'cv2', 'yaml') if n in sys.modules]; "
            "from nanoface import *; print(first, sys.path == before, Tracker.__name__, __version__)")
    path = os.pathsep.join([ROOT] + list(filter(None, [os.environ.get("PYTHONPATH")])))
    assert call(tmp_path, "-c", code, PYTHONPATH=path) == (
        0, "[] True Tracker {}\n".format(nanoface.__version__), "")


@pytest.mark.parametrize("words", [
    ("-c", "from nanoface import console; console()", "--version"), (os.path.join(ROOT, "nanoface.py"), "--version"),
    ("-m", "nanoface", "--version"), ("-c", "import nanoface; print('nanoface', nanoface.__version__)"),
])
def test_a_strangers_packages_on_the_path_do_not_get_in(tmp_path, hostile, words):
    assert call(tmp_path, *words, PYTHONPATH=hostile) == (0, "nanoface {}\n".format(nanoface.__version__), "")


def test_what_a_command_imports_later_is_ours_too(tmp_path, hostile):
    code, out, err = call(tmp_path, "-c", "from nanoface import console; console()", "models", "list", PYTHONPATH=hostile,
                          NANOFACE_HOME=str(tmp_path))
    assert code == 0 and "yunet_s" in out and "stranger" not in out + err


def test_a_strangers_package_that_was_loaded_before_is_named(tmp_path, hostile):
    code, out, err = call(tmp_path, "-c", "import edge, nanoface; nanoface.Tracker", PYTHONPATH=hostile)
    assert code == 1 and "rename one of them" in err and os.path.join("hostile", "edge") in err
    without_a_file = "import sys, types; sys.modules['edge'] = types.ModuleType('edge'); import nanoface; nanoface.Tracker"
    code, out, err = call(tmp_path, "-c", without_a_file, PYTHONPATH=ROOT)  # as a folder of that name has none
    assert code == 1 and "ImportError: edge was loaded before nanoface" in err


def test_the_child_that_builds_finds_our_packages_first(monkeypatch):
    from engines.build import parent

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["strange", parent.CODE, "last"]))
    paths = parent._environment()["PYTHONPATH"].split(os.pathsep)
    assert paths == [parent.CODE, os.path.abspath("strange"), os.path.abspath("last")]
