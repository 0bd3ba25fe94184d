"""The habits that a reader relies on: small files and functions, no swallowed errors, no work at import."""
import ast
import os
import re

import pytest
from codebase import CODE, Fault, Source, dotted, files, last_line, read, report, sources

MOST_LINES, MOST_FUNCTION_LINES, MOST_WIDTH = 300, 50, 120
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}
BROAD = {"Exception", "BaseException"}
BROAD_ALLOWED = {"edge/pipeline/worker.py", "edge/outputs/sender.py", "edge/cli/main.py", "edge/telemetry/board/jtop.py"}
LAZY = "nanoface.py"  # changes its own class, as a module of Python 3.6 can look up names in no other way
TEXTS = (".py", ".md", ".yaml", ".yml", ".ini", ".toml", ".txt", ".cfg", ".service", ".sh", "Makefile", "run")

# split so that this file does not find itself
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
PLACES = "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me", "tmp/la" + "b"))
THIS_MACHINE = re.compile(r"(?<![\w.~$}/-])/(?:" + PLACES + r")(?=/|\b)")

# what a module may not call while it is imported: it reads, starts, asks or changes something outside itself
WORK = set("""
    open print input exec eval setattr __import__ import_module find_spec getenv access stat exists isfile isdir
    listdir scandir walk glob iglob makedirs mkdir remove unlink chdir system popen Popen run call check_output
    check_call start Thread Process sleep connect urlopen urlretrieve basicConfig imread VideoCapture setNumThreads
    monotonic perf_counter time now rand randn random seed
""".split())
WORK_BEGINS = ("load", "read", "fetch", "parse", "write", "dump", "save", "init", "setup", "register")
ASSERTING = ("pytest.raises", "pytest.warns", "pytest.fail")
AT_IMPORT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Pass)


def check_length(path, text):
    lines = text.count("\n") + 1
    return [Fault(path, 0, "{} lines, {} are the most".format(lines, MOST_LINES))] if lines > MOST_LINES + 1 else []


def check_functions(source):
    faults = []
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = last_line(node) - node.lineno + 1
            if lines > MOST_FUNCTION_LINES:
                faults.append(source.fault(node, "{}() has {} lines, {} are the most".format(
                    node.name, lines, MOST_FUNCTION_LINES)))
    return faults


def check_name(path):
    parts = re.split(r"[/.]", path)
    return [Fault(path, 0, "say what is in it: {!r} does not".format(p)) for p in parts if p.lower() in FORBIDDEN_NAMES]


def check_excepts(source):
    faults = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if node.type is None:
            faults.append(source.fault(node, "bare except: name what can happen"))
        elif source.path not in BROAD_ALLOWED and any(dotted(kind).split(".")[-1] in BROAD for kind in kinds):
            faults.append(source.fault(node, "except Exception: name what can happen"))
    return faults


def check_globals(source):
    return [source.fault(node, "global {}".format(", ".join(node.names)))
            for node in ast.walk(source.tree) if isinstance(node, ast.Global)]


def check_words(path, text):
    """Unfinished work, and paths that exist on one machine only."""
    faults = []
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, why in ((UNFINISHED, "unfinished"), (THIS_MACHINE, "a path of one machine")):
            found = pattern.search(line)
            if found:
                faults.append(Fault(path, number, "{}: {}".format(why, found.group())))
    return faults


def check_import_time(source):
    """Statements at the top of a module and in class bodies that do more than define."""
    faults = []

    def at_top(body):
        for node in body:
            if isinstance(node, ast.ClassDef):
                at_top(node.body)
            elif isinstance(node, ast.If) and (is_main(node.test) or dotted(node.test).endswith("TYPE_CHECKING")):
                continue
            elif isinstance(node, (ast.If, ast.Try)):
                for part in ("body", "orelse", "finalbody"):
                    at_top(getattr(node, part, []))
                for handler in getattr(node, "handlers", []):
                    at_top(handler.body)
            elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                faults.extend(in_value(node))
            elif not isinstance(node, AT_IMPORT) and not is_text(node):
                faults.append(source.fault(node, "work at import: put it into a function"))

    def in_value(node):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets) and source.path != LAZY:
            yield source.fault(node, "changes something else at import: put it into a function")
        for called in calls_now(node.value):
            name = dotted(called.func if isinstance(called, ast.Call) else called)
            last = name.split(".")[-1]
            if name == "os.environ" or last in WORK or last.startswith(WORK_BEGINS):
                yield source.fault(called, "work at import: {}".format(name))
    at_top(source.tree.body)
    return faults


def calls_now(node):
    """Calls and reads of os.environ that happen when an expression is evaluated; a lambda's body does not."""
    if node is None or isinstance(node, ast.Lambda):
        return
    if isinstance(node, ast.Call) or dotted(node) == "os.environ":
        yield node
    for child in ast.iter_child_nodes(node):
        for found in calls_now(child):
            yield found


def is_main(test):
    return isinstance(test, ast.Compare) and dotted(test.left) == "__name__"


def is_text(node):
    """A docstring: ast.Str before Python 3.8, ast.Constant since."""
    return isinstance(node, ast.Expr) and type(node.value).__name__ in ("Str", "Constant")


def check_assertions(source):
    """Tests that can only fail by crashing. A function of the same file that asserts does it for its callers."""
    functions = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef)]
    asserting, before = set(), None
    while asserting != before:
        before = set(asserting)
        asserting |= {node.name for node in functions if asserts(node, before)}
    return [source.fault(node, "{}() asserts nothing".format(node.name)) for node in functions
            if node.name.startswith("test_") and not asserts(node, asserting)]


def asserts(function, others=()):
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            last = name.split(".")[-1]
            if name in ASSERTING or last in others or last.startswith(("check_", "assert_")):
                return True
    return False


def check_test_names(paths):
    """Two test files of one name hide each other: pytest imports them by it."""
    seen, faults = {}, []
    for path in paths:
        name = os.path.basename(path)
        if name not in ("conftest.py", "__init__.py"):
            other = seen.setdefault(name, path)
            if other != path:
                faults.append(Fault(path, 0, "has the name of {}".format(other)))
    return faults


def own_texts():
    paths = files(CODE + ("tests", ".ci"), TEXTS) + files(["."], TEXTS)
    return [(path, read(path)) for path in paths if "/goldens/" not in path or path.endswith(".py")]


def test_files_are_short():
    faults = [fault for source in sources(*CODE) for fault in check_length(source.path, source.text)]
    assert not faults, "\n" + report(faults)


def test_functions_fit_on_a_screen():
    faults = [fault for source in sources(*CODE) for fault in check_functions(source)]
    assert not faults, "\n" + report(faults)


def test_file_names_say_what_is_inside():
    faults = [fault for path in files(CODE + ("tests",)) for fault in check_name(path)]
    assert not faults, "\n" + report(faults)


def test_no_error_is_swallowed():
    faults = [fault for source in sources(*CODE) for fault in check_excepts(source)]
    assert not faults, "\n" + report(faults)


def test_nothing_is_global():
    faults = [fault for source in sources(*CODE + ("tests",)) for fault in check_globals(source)]
    assert not faults, "\n" + report(faults)


def test_nothing_is_left_unfinished_or_bound_to_one_machine():
    faults = [fault for path, text in own_texts() for fault in check_words(path, text)]
    assert not faults, "\n" + report(faults)


def test_nothing_is_done_at_import():
    faults = [fault for source in sources(*CODE) for fault in check_import_time(source)]
    assert not faults, "\n" + report(faults)


def test_every_test_asserts_something():
    faults = [fault for source in sources("tests") for fault in check_assertions(source)]
    assert not faults, "\n" + report(faults)


def test_no_test_file_hides_another():
    faults = check_test_names(files(["tests"]))
    assert not faults, "\n" + report(faults)


LONG = "def f():\n" + "    x = 1\n" * 50
STRETCHED = "def f():\n    return [\n" + "        1,\n" * 50 + "    ]\n"


@pytest.mark.parametrize("check, text, faults", [
    (check_functions, LONG, 1),
    (check_functions, LONG[:-10], 0),
    (check_functions, STRETCHED, 1),
    (check_functions, "class A:\n    " + LONG.replace("\n", "\n    "), 1),
    (check_excepts, "try:\n    f()\nexcept:\n    pass", 1),
    (check_excepts, "try:\n    f()\nexcept Exception as e:\n    pass", 1),
    (check_excepts, "try:\n    f()\nexcept (OSError, builtins.BaseException):\n    pass", 1),
    (check_excepts, "try:\n    f()\nexcept (OSError, ValueError):\n    pass", 0),
    (check_globals, "def f():\n    global x\n    x = 1", 1),
    (check_globals, "def f():\n    x = 1\n    def g():\n        nonlocal x", 0),
    (check_import_time, '"""Text."""\nimport re\nA = re.compile("x")\nB = np.array([1]) * 2', 0),
    (check_import_time, "log = logging.getLogger(__name__)", 0),
    (check_import_time, "A = open('x').read()", 2),
    (check_import_time, "TABLE = np.load('x')", 1),
    (check_import_time, "HOME = os.environ['HOME']", 1),
    (check_import_time, "HOME = os.environ.get('HOME')", 1),
    (check_import_time, "cv2.setNumThreads(1)", 1),
    (check_import_time, "os.environ['A'] = 'b'", 1),
    (check_import_time, "for x in range(3):\n    f(x)", 1),
    (check_import_time, "with open('x') as f:\n    pass", 1),
    (check_import_time, "class A:\n    b = open('x')", 1),
    (check_import_time, "class A:\n    b = lambda: open('x')", 0),
    (check_import_time, "if sys.version_info > (3, 8):\n    f()", 1),
    (check_import_time, "try:\n    import a\nexcept ImportError:\n    a = None", 0),
    (check_import_time, "if __name__ == '__main__':\n    main()", 0),
    (check_import_time, "def f():\n    cv2.setNumThreads(1)", 0),
    (check_assertions, "def test_a():\n    f()", 1),
    (check_assertions, "class A:\n    def test_a(self):\n        f()", 1),
    (check_assertions, "def test_a():\n    assert f()", 0),
    (check_assertions, "def test_a():\n    with pytest.raises(ValueError):\n        f()", 0),
    (check_assertions, "def test_a():\n    check_it(f())", 0),
    (check_assertions, "def test_a():\n    np.testing.assert_allclose(f(), 1)", 0),
    (check_assertions, "def not_a_test():\n    f()", 0),
    (check_assertions, "def g():\n    assert 1\ndef f():\n    g()\ndef test_a():\n    f()", 0),
    (check_assertions, "def f():\n    g()\ndef test_a():\n    f()", 1),
])
def test_a_fault_in_the_code_is_found(check, text, faults):
    assert len(check(Source("edge/x.py", text))) == faults


@pytest.mark.parametrize("path", sorted(BROAD_ALLOWED))
def test_the_worker_and_main_may_catch_everything_but_not_silently_all(path):
    assert check_excepts(Source(path, "try:\n    f()\nexcept Exception:\n    pass")) == []
    assert len(check_excepts(Source(path, "try:\n    f()\nexcept:\n    pass"))) == 1


@pytest.mark.parametrize("check, path, text, faults", [
    (check_length, "edge/x.py", "x = 1\n" * 300, 0),
    (check_length, "edge/x.py", "x = 1\n" * 301, 1),
    (check_words, "edge/x.py", "# TO" + "DO: later", 1),
    (check_words, "README.md", "a HA" + "CK", 1),
    (check_words, "edge/x.py", "to" + "do = 1  # the things to " + "do", 0),
    (check_words, "tests/x.py", "PATH = '/wo" + "rk/main'", 1),
    (check_words, "tests/x.py", "see /ro" + "ot/x and /ho" + "me/me", 1),
    (check_words, "README.md", "look in ~/wo" + "rk or shared/ro" + "ot or https://x/ho" + "me", 0),
    (check_words, "tests/x.py", "/wo" + "rker /ro" + "oted", 0),
])
def test_a_fault_in_a_text_is_found(check, path, text, faults):
    assert len(check(path, text)) == faults


@pytest.mark.parametrize("path, faults", [
    ("edge/geometry/boxes.py", 0), ("edge/utils.py", 1), ("edge/helpers/x.py", 1), ("edge/core/base.py", 1),
    ("edge/database.py", 0),
])
def test_a_name_that_says_nothing_is_found(path, faults):
    assert len(check_name(path)) == faults


def test_two_test_files_of_one_name_are_found():
    paths = ["tests/unit/test_a.py", "tests/engines/test_a.py", "tests/unit/conftest.py", "tests/conftest.py"]
    assert [fault.path for fault in check_test_names(paths)] == ["tests/engines/test_a.py"]
