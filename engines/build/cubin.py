"""Compiles the crop kernel for the GPU of this board, with the compiler of CUDA that JetPack brings.

Without it nothing is lost but time: the runners then fill the inputs on the CPU. So nothing here stops a build except a
disk that cannot be written to.
"""
import json
import os
import shutil
import subprocess
from typing import List, Optional, Sequence, Tuple

from edge.core.errors import EngineError
from edge.host import commands
from edge.host.disk import part_folder, write_whole
from edge.store import cubin as stored
from edge.store.plans import CUBIN, CUBIN_SIDECAR, plans_dir
from engines.progress import Report

FOLDERS = ("/usr/local/cuda/bin", "/usr/local/cuda-10.2/bin")  # JetPack puts neither on the PATH
TITLE = "crop kernel"
MOST_LINES = 20  # of the compiler's output

_INSTEAD = "until then the CPU fills the inputs"
_MISSING = "{}: not built, nvcc is neither on the PATH nor in {}: run `sudo apt install cuda-nvcc-10-2`, or put its " \
           "folder on the PATH, and `{}` again ({})"
_ELF = b"\x7fELF"
_CUDA = 190  # the machine in the header of an ELF file, at byte 18


def build_cubin(home: str, compute_capability: str, report: Report, force: bool = False,
                folders: Sequence[str] = FOLDERS) -> bool:
    """Write `plans/crop.cubin` and its sidecar, unless they are up to date; whether they are there now.

    compute_capability: of the GPU, as "5.3". folders: where nvcc is looked for after the PATH. Raises StorageError.
    """
    if not force and is_current(home, compute_capability):
        report.line("{}: up to date".format(TITLE))
        return True
    nvcc = find_nvcc(folders)
    if nvcc is None:
        report.line(_MISSING.format(TITLE, " or ".join(folders), commands.command("build"), _INSTEAD))
        return False
    arch = stored.arch(compute_capability)
    try:
        cubin = _compiled(nvcc, arch, plans_dir(home))
    except _NotCompiled as e:
        report.line("{}: not built, {} {}; {}".format(TITLE, nvcc, e.reason, _INSTEAD))
        for line in e.output[:MOST_LINES]:
            report.line("  " + line)
        return False
    _store(home, cubin, arch, _version(nvcc))
    report.line("{}: built for {}".format(TITLE, arch))
    return True


def is_current(home: str, compute_capability: str) -> bool:
    """Whether the stored code is whole, of the present source, and for this GPU."""
    try:
        stored.read_cubin(home, compute_capability)
    except EngineError:
        return False
    return True


def find_nvcc(folders: Sequence[str] = FOLDERS) -> Optional[str]:
    """Path of the compiler: the PATH's first, then one of `folders`."""
    found = shutil.which("nvcc")
    return found or shutil.which("nvcc", path=os.pathsep.join(folders))


class _NotCompiled(Exception):
    def __init__(self, reason: str, output: List[str]) -> None:
        super().__init__(reason)
        self.reason, self.output = reason, output  # the compiler's, line by line


def _compiled(nvcc: str, arch: str, folder: str) -> bytes:
    """The code. Works below `folder`; raises _NotCompiled and StorageError."""
    with part_folder(folder, CUBIN) as scratch:
        target = os.path.join(scratch, CUBIN)
        code, output = _run([nvcc, "-cubin", "-arch=" + arch, "-o", target, stored.source_path()])
        if code:
            raise _NotCompiled("failed with code {}".format(code), output)
        try:
            with open(target, "rb") as f:
                cubin = f.read()
        except OSError as e:
            raise _NotCompiled("left nothing that can be read ({})".format(e.strerror or e), output)
    if cubin[:4] != _ELF or int.from_bytes(cubin[18:20], "little") != _CUDA:
        raise _NotCompiled("left {} bytes that are no code for a GPU".format(len(cubin)), output)
    return cubin


def _run(command: List[str]) -> Tuple[int, List[str]]:
    """The exit code and the lines that are not empty. Raises _NotCompiled where it does not start."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as e:
        raise _NotCompiled("cannot be started ({})".format(e.strerror or e), [])
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return done.returncode, [line.rstrip() for line in lines if line.strip()]


def _version(nvcc: str) -> str:
    """The version of `nvcc --version`, such as V10.2.300; empty where there is none."""
    code, output = _run([nvcc, "--version"])
    found = [word for word in " ".join(output).split() if word[:1] == "V" and word[1:2].isdigit()]
    return found[-1] if found and not code else ""


def _store(home: str, cubin: bytes, arch: str, nvcc: str) -> None:
    """The code first: after a kill in between the old sidecar does not fit it, and it is built again."""
    sha256 = write_whole(os.path.join(plans_dir(home), CUBIN), cubin)
    sidecar = {
        "schema": stored.SCHEMA, "sha256": sha256, "size": len(cubin), "arch": arch, "nvcc": nvcc,
        "source_sha256": stored.source_sha256(),
    }
    text = json.dumps(sidecar, indent=2, sort_keys=True) + "\n"
    write_whole(os.path.join(plans_dir(home), CUBIN_SIDECAR), text.encode("utf-8"))
