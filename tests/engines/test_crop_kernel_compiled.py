"""The crop kernel compiles for the real GPU of the Nano, on any machine, and stays as light as it is meant to be."""
import re
import struct

import nvrtc
import pytest

from edge.runtimes.gpu import crop
from edge.store import cubin as cubinstore

pytestmark = pytest.mark.skipif(nvrtc.library_path() is None, reason="needs the wheel " + nvrtc.WHEEL)

# the parameters as PTX declares them, for the letters that pycuda packs
PTX_TYPES = {"u64": "P", "u32": "i", "f32": "f"}


@pytest.fixture(scope="module")
def compiler():
    return nvrtc.Nvrtc(nvrtc.library_path())


@pytest.fixture(scope="module")
def source():
    with open(cubinstore.source_path(), encoding="ascii") as f:
        return f.read()


def sections(cubin):
    """Name -> (info, bytes) of an ELF64 file's sections."""
    table, = struct.unpack_from("<Q", cubin, 40)
    entry, count, names = struct.unpack_from("<HHH", cubin, 58)
    rows = [struct.unpack_from("<IIQQQQII", cubin, table + i * entry) for i in range(count)]
    text = cubin[rows[names][4]:][:rows[names][5]]
    return {text[row[0]:text.index(b"\0", row[0])].decode("ascii"): (row[7], cubin[row[4]:row[4] + row[5]])
            for row in rows}


@pytest.mark.parametrize("arch", ["sm_53", "sm_72", "sm_87", "sm_90"])
def test_it_compiles_without_a_warning_for_the_nano_and_later_gpus(compiler, source, arch):
    code, log = compiler.compile(source, arch)
    assert log == ""
    assert code[:4] == b"\x7fELF" and struct.unpack_from("<H", code, 18) == (190,)
    assert ".text.crop" in sections(code) and ".text.crop_from" in sections(code)


def test_on_the_nano_all_threads_fit_and_nothing_spills(compiler, source):
    code, log = compiler.compile(source, "sm_53", ["--ptxas-options=-v"])
    assert log.count("0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads") == 2
    assert all(int(n) <= 32 for n in re.findall(r"Used (\d+) registers", log)), "2048 threads have 32 registers each"
    for kernel in ("crop", "crop_from"):
        info, _ = sections(code)[".text." + kernel]
        assert info >> 24 == int(re.search(r"'{}'.*?Used (\d+) registers".format(kernel), log, re.S).group(1))
    assert "smem" not in log and "lmem" not in log and "barriers" not in log


def test_it_reads_the_frame_through_the_read_only_cache_and_fuses_what_is_written_fused(compiler, source):
    ptx = compiler.compile(source, "compute_53").code.decode("ascii")
    assert ".f64" not in ptx and ".local" not in ptx and "div." not in ptx
    kernels = ptx.split(".visible .entry")[1:]
    assert len(kernels) == 2
    for kernel in kernels:
        assert kernel.count("ld.global.nc.u8") == 12 and kernel.count("st.global.f32") == 3
        assert kernel.count("ld.global.") == kernel.count("ld.global.nc.")
        # 4 for the place, 9 for three blends of three colours, 3 for the arithmetic; nothing else may be fused
        assert kernel.count("fma.rn.f32") == 16
    without = compiler.compile(source, "compute_53", ["--fmad=false"]).code.decode("ascii")
    assert ptx.count("fma.rn.f32") == without.count("fma.rn.f32")


def test_what_pycuda_packs_is_what_the_kernel_takes(compiler, source):
    ptx = compiler.compile(source, "compute_53").code.decode("ascii")
    declared = re.findall(r"\.param \.(\w+) crop_param_\d+", ptx)
    assert "".join(PTX_TYPES[kind] for kind in declared) == crop.PARAMETERS
    assert re.findall(r"\.param \.(\w+)(?:\.\w+)* (?:\.align \d+ )?crop_from_param_\d+", ptx) == ["u64", "u64", "u32", "u32"]
    assert ".maxntid 128, 1, 1" in ptx and crop.BLOCK[0] * crop.BLOCK[1] == 128


def test_a_mistake_in_the_source_is_shown_with_the_compilers_output(compiler, source):
    with pytest.raises(nvrtc.NvrtcError, match=r'crop.cu\(\d+\): error: identifier "pitsch" is undefined'):
        compiler.compile(source.replace("* pitch", "* pitsch"), "sm_53")


def test_the_library_is_found_where_the_wheel_puts_it_and_nowhere_else(tmp_path):
    folder = tmp_path / "nvidia" / "cuda_nvrtc" / "lib"
    folder.mkdir(parents=True)
    assert nvrtc.library_path([str(tmp_path)]) is None
    (folder / "libnvrtc-builtins.so.12.4").write_text("")
    assert nvrtc.library_path([str(tmp_path)]) is None
    (folder / "libnvrtc.so.12").write_text("")
    assert nvrtc.library_path([str(tmp_path / "other"), str(tmp_path)]) == str(folder / "libnvrtc.so.12")
