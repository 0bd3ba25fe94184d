"""The board's Python 3.6 and numpy 1.13 on one side, today's on the other: every file must suit both."""
import ast
import importlib.util
import os
import subprocess
import sys
import warnings

import pytest
from codebase import CODE, ROOT, Source, dotted, files, read, report, sources

TESTS = os.path.join(ROOT, "tests")
FOLDERS = [folder for folder in CODE if files([folder])]

# numpy names that came after 1.13 or that numpy 2 no longer has
TOO_NEW = set("""
    quantile nanquantile take_along_axis put_along_axis printoptions flip histogram_bin_edges gcd lcm default_rng
    broadcast_shapes sliding_window_view bitwise_count astype concat permute_dims pow unstack vecdot matvec vecmat
    unique_values cumulative_sum isdtype from_dlpack
""".split())
GONE = set("""
    float int bool object str long unicode complex float_ complex_ unicode_ string_ NaN NAN Inf Infinity infty PINF NINF
    product cumproduct sometrue alltrue in1d trapz row_stack asfarray msort cast source lookfor who safe_eval
    issctype obj2sctype set_string_function tracemalloc_domain asscalar rank compat
""".split())


def check_syntax(path, text):
    """A fault where the running Python cannot compile the file, or Python 3.6 could not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            compile(text, path, "exec", dont_inherit=True)
            tree = ast.parse(text, path, **({"feature_version": (3, 6)} if sys.version_info >= (3, 8) else {}))
        except (SyntaxError, ValueError, Warning) as e:
            return ["{}: {}".format(path, e)]
    future = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    return ["{}: annotations from the __future__ are of Python 3.7".format(path)
            for node in future if any(alias.name == "annotations" for alias in node.names)]


def check_numpy(source):
    """Uses of `np.x` or `np.random.x` that numpy 1.13 or numpy 2 does not have."""
    faults = []
    for node in ast.walk(source.tree):
        name = dotted(node) if isinstance(node, ast.Attribute) else ""
        if name.startswith(("np.", "numpy.")):
            last = name.split(".")[-1]
            if last in TOO_NEW:
                faults.append(source.fault(node, "{} came after numpy 1.13, which the board has".format(name)))
            elif last in GONE and name.count(".") == 1:
                faults.append(source.fault(node, "{} went with numpy 2".format(name)))
    return faults


def run_tool(tool, arguments, start=None):
    """(exit code, output) of a Python tool of this interpreter; skips the test by name where it is not installed."""
    if sys.version_info < (3, 7):
        pytest.skip("{} runs on the host's Python".format(tool))
    if importlib.util.find_spec(tool) is None:
        pytest.skip("needs {}: pip install 'nanoface[lint]'".format(tool))
    command = [sys.executable] + (start or ["-m", tool]) + list(arguments)
    done = subprocess.run(command, cwd=ROOT, universal_newlines=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def vermin(*paths):
    start = ["-c", "import sys, vermin; sys.exit(vermin.main())"]  # it has no __main__
    return run_tool("vermin", ["-t=3.6-", "--no-tips", "--violations"] + list(paths), start)


def ruff(*paths):
    options = ["--config", os.path.join(TESTS, "ruff.toml"), "--no-cache", "--output-format", "concise"]
    return run_tool("ruff", ["check"] + options + list(paths))


def mypy(*paths):
    return run_tool("mypy", ["--config-file", os.path.join(TESTS, "mypy.ini")] + list(paths))


def test_every_file_compiles_here_and_on_the_board():
    faults = [fault for path in files(CODE + ("tests",)) for fault in check_syntax(path, read(path))]
    assert not faults, "\n" + "\n".join(faults)


def test_numpy_is_used_as_far_as_old_and_new_agree():
    faults = [fault for source in sources("edge", "calibration") for fault in check_numpy(source)]
    assert not faults, "\n" + report(faults)


def test_vermin_finds_nothing_newer_than_python_36():
    code, output = vermin(*FOLDERS)
    assert code == 0, output


def test_ruff_finds_nothing():
    code, output = ruff("tests", "setup.py", *FOLDERS)
    assert code == 0, output


def test_mypy_finds_nothing():
    code, output = mypy("edge", "engines", "nanoface.py")
    assert code == 0, output


@pytest.mark.parametrize("text, faults", [
    ("x: int = 1\nf'{x}'\nclass A:\n    def f(self, *, a): yield a", 0),
    ("if (n := 3) > 2:\n    pass", 1),
    ("def f(a, /):\n    pass", 1),
    ("f'{x=}'", 1),
    ("match x:\n    case 1:\n        pass", 1),
    ("from __future__ import annotations", 1),
    ("def f(:\n    pass", 1),
])
def test_syntax_that_the_board_does_not_know_is_found(tmp_path, text, faults):
    found = check_syntax("x.py", text)
    if text == "f'{x=}'" and sys.version_info >= (3, 12) and not found:
        pytest.skip("from Python 3.12 on only vermin sees this")
    assert len(found) == faults


@pytest.mark.parametrize("text, faults", [
    ("np.float32(1) + np.random.RandomState(0).rand() + np.stack([x]).astype(np.int64)", 0),
    ("np.random.default_rng(0)", 1),
    ("numpy.lib.stride_tricks.sliding_window_view(x, 3)", 1),
    ("np.take_along_axis(x, y, 1)", 1),
    ("np.int(3) + np.bool(1)", 2),
    ("np.NaN", 1),
    ("torch.float", 0),
])
def test_numpy_that_is_too_new_or_gone_is_found(text, faults):
    assert len(check_numpy(Source("edge/x.py", text))) == faults


@pytest.mark.parametrize("tool, text, said", [
    (vermin, "import dataclasses\n", "3.7"),
    (vermin, "import time\ntime.monotonic_ns()\n", "3.7"),
    (vermin, "import subprocess\nsubprocess.run([], capture_output=True)\n", "3.7"),
    (ruff, "import os\n", "F401"),
    (ruff, "x = 1  # " + "x" * 120 + "\n", "E501"),
    (ruff, "def f(a=[]):\n    return a\n", "B006"),
    (mypy, "def f(a: int) -> str:\n    return a\n", "return-value"),
    (mypy, "def f():\n    return 1 + 'a'\n", "operator"),
])
def test_each_tool_finds_what_it_is_there_for(tmp_path, tool, text, said):
    path = tmp_path / "sample.py"
    path.write_text(text)
    code, output = tool(str(path))
    assert code != 0 and said in output, output
