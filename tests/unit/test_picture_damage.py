"""What is cut off, broken or a bomb: what is there of it, or one line, in little memory and without output of a library."""
import os
import struct
import subprocess
import sys
import zlib
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from picture_files import MOST, chunk, jpeg, made, png, riff, saved, write
from PIL import Image
from whole_runs import RUNTIMES

from edge.core.errors import SourceError
from edge.sources.pictures import still

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOISE = cv2.resize(np.random.RandomState(7).randint(0, 256, (24, 32, 3)).astype(np.uint8), (320, 240))
PHOTO = Image.fromarray(NOISE)
CUT = [
    ("a.jpg", lambda: jpeg(PHOTO)), ("half.jpg", lambda: jpeg(PHOTO, subsampling=2)),
    ("grey.jpg", lambda: jpeg(PHOTO.convert("L"))),
    ("a.png", lambda: png(PHOTO)), ("palette.png", lambda: png(PHOTO.convert("P"))),
    ("a.webp", lambda: saved(PHOTO, "WEBP", quality=90)),
    ("a.tif", lambda: saved(PHOTO, "TIFF")), ("a.bmp", lambda: saved(PHOTO, "BMP")),
    ("a.ppm", lambda: saved(PHOTO, "PPM")),
    ("a.tga", lambda: saved(PHOTO, "TGA")),
]


@pytest.mark.parametrize("name, make", CUT, ids=[kind[0] for kind in CUT])
def test_of_a_picture_that_is_cut_off_there_is_its_beginning(tmp_path, capfd, name, make):
    data = make()
    whole = still.read(write(tmp_path, name, data), MOST)
    found = still.read(write(tmp_path, name, data[:len(data) * 6 // 10]), MOST)
    assert not whole.cut and found.cut and 0.2 <= found.missing <= 0.6
    assert found.image.shape == whole.image.shape
    kept = slice(200, 240) if name.endswith((".bmp", ".tga")) else slice(0, 40)  # these two begin at the bottom
    assert np.abs(found.image[kept].astype(int) - whole.image[kept]).mean() <= 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_progressive_picture_that_is_cut_off_is_coarse(tmp_path, capfd, share):
    data = jpeg(PHOTO, progressive=True)
    whole, found = (still.read(write(tmp_path, "p.jpg", one), MOST) for one in (data, data[:int(len(data) * share)]))
    assert found.cut and np.abs(found.image.astype(int) - whole.image).mean() <= 40
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name, make", CUT + [
    ("lossless.webp", lambda: saved(PHOTO, "WEBP", lossless=True)),
    ("lzw.tif", lambda: saved(PHOTO, "TIFF", compression="tiff_lzw")),
    ("a.jp2", lambda: saved(PHOTO, "JPEG2000")), ("a.avif", lambda: saved(PHOTO, "AVIF")),
    ("progressive.jpg", lambda: jpeg(PHOTO, progressive=True)), ("a.gif", lambda: saved(PHOTO, "GIF")),
], ids=str)
def test_whatever_is_broken_is_a_picture_or_one_line(tmp_path, capfd, name, make):
    """Cut at many places, and bytes overwritten: nothing but SourceError, and no output of a library."""
    data, random = made(make), np.random.RandomState(3)
    for trial in range(60):
        broken = bytearray(data[:1 + len(data) * trial // 60] if trial % 2 else data)
        for _ in range(trial % 5):
            broken[random.randint(len(broken))] = random.randint(256)
        try:
            found = still.read(write(tmp_path, name, bytes(broken)), MOST)
        except SourceError as e:
            assert "\n" not in str(e) and str(e).startswith(("is ", "has ", "holds ", "cannot ", "needs "))
        else:
            assert found.image.ndim == 3
    assert capfd.readouterr() == ("", "")


def chunks(*pairs):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, body) for name, body in pairs + ((b"IEND", b""),))


def ihdr(width, height):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def jpeg_of(width, height, tail=b"", **options):
    """A small one whose header claims another size."""
    data = bytearray(jpeg(Image.new("RGB", (16, 16)), **options))
    at = data.find(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data[:-2]) + tail


def tiff_of(width, height, extra=(), tail=b"", **changed):
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 400, 277: 1, 278: height, 279: width * height}
    tags.update({int(name[1:]): value for name, value in changed.items()})
    entries = [(tag, 4, 1, value) for tag, value in tags.items()] + list(extra)
    return b"II\x2a\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in sorted(entries)) + b"\0\0\0\0" + tail


def j2k_of(width, height, tile, planes=3):
    data = saved(Image.new("RGB", (64, 64)), "JPEG2000")
    data = bytearray(data[data.find(b"\xff\x4f\xff\x51"):])
    data[8:16], data[24:32] = struct.pack(">II", width, height), struct.pack(">II", tile, tile)
    data[40:42] = struct.pack(">H", planes)
    return bytes(data)


def sparse(start):
    """3 GB that take no place."""
    def write_it(path):
        with open(path, "wb") as f:
            f.write(start)
            f.truncate(3 << 30)
    return write_it


ZEROS = zlib.compress(bytes(1 << 28), 9)  # 256 MB
ROWS = b"IDAT", zlib.compress(b"".join(b"\0" + bytes(30) for _ in range(10)))
SCAN = b"\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0\x55\x55"
BOMBS = [  # name, bytes or what writes them, what is said; "" where it is a picture, in little memory
    ("huge.png", lambda: chunks(ihdr(30000, 30000), (b"IDAT", ZEROS)), "900000000"),
    ("just.png", lambda: chunks(ihdr(10900, 10900), (b"IDAT", b"x\x9c" + b"garbage" * 9000)), "nothing of it"),
    ("empty.png", lambda: chunks(ihdr(10900, 10900)), "cannot hold"),
    ("texts.png", lambda: chunks(ihdr(10, 10), *[(b"zTXt", b"a\0\0" + ZEROS)] * 9 + [ROWS]), ""),
    ("profile.png", lambda: chunks(ihdr(10, 10), (b"iCCP", b"a\0\0" + ZEROS), ROWS), ""),
    ("huge.jpg", lambda: jpeg_of(65000, 65000), "max_pixels"), ("just.jpg", lambda: jpeg_of(10900, 10900), "cannot hold"),
    ("cut.jpg", lambda: jpeg_of(10900, 10900, b"\x55\xaa\x01" * 40000, progressive=True), "too little"),
    ("scans.jpg", lambda: jpeg_of(4000, 4000, SCAN * 20000 + b"\xff\xd9"), "scans"),
    ("tags.jpg", lambda: tagged(jpeg_of(16, 16, b"\xff\xd9"), 5000, 3000), ""),
    ("tags.tif", lambda: tiff_of(100, 100, [(50000 + i, 7, 10 ** 6, 8) for i in range(999)], bytes(10 ** 6)), "tags claim"),
    ("count.tif", lambda: tiff_of(100, 100, [(50000, 7, 0xF0000000, 8)]), "tags claim"),
    ("huge.tif", lambda: tiff_of(50000, 50000), "max_pixels"), ("just.tif", lambda: tiff_of(10900, 10900), "cannot hold"),
    ("tile.tif", lambda: tiff_of(100, 100, t259=8, t322=16000, t323=40000, t324=500, t325=9999, tail=ZEROS), "tiles"),
    ("planes.tif", lambda: tiff_of(100, 100, t277=60000, tail=bytes(20000)), "nothing of it"),
    ("huge.j2k", lambda: j2k_of(60000, 60000, 60000), "max_pixels"), ("tiles.j2k", lambda: j2k_of(255, 257, 1), "65535 tiles"),
    ("planes.j2k", lambda: j2k_of(64, 64, 64, 16000), "16000 planes"),
    ("huge.ppm", lambda: b"P6 60000 60000 255\n" + bytes(99), "max_pixels"),
    ("just.ppm", lambda: b"P6 10900 10900 255\n", "cannot hold"),
    ("digits.ppm", lambda: b"P6 " + b"9" * 10 ** 6 + b" 1 255\n", "makes no sense"),
    ("huge.webp", lambda: b"RIFF\x1e\0\0\0WEBPVP8 \xff\xff\xff\x7f\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(20),
     "268402689"),
    ("huge.tga", lambda: struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 60000, 60000, 24, 0), "max_pixels"),
    ("text.png", lambda: sparse(chunks(ihdr(10, 10))[:33] + struct.pack(">I4s", 0x7ffffff0, b"iTXt")), "nothing of it"),
    ("long.jpg", lambda: sparse(b"\xff\xd8\xff\xe0"), "cut off"),
    ("long.webp", lambda: sparse(riff([(b"VP8 ", bytes(20))])), "is "),
]


def tagged(data, count, size):
    """EXIF whose many tags all mean the same bytes."""
    body = b"Exif\0\0MM\0\x2a\0\0\0\x08" + struct.pack(">H", count) + b"".join(
        struct.pack(">HHII", tag, 7, size, 8) for tag in range(1, count + 1)) + b"\0\0\0\0"
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


READ = """
import sys
sys.path.insert(0, {!r})
from edge.core.errors import SourceError
from edge.sources.pictures import still
for path in sys.argv[1:]:
    try:
        print(still.read(path, 120 * 10 ** 6).image.shape)
    except SourceError as e:
        print(e)
""".format(ROOT)


LAUNCHER = """
import os, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
os.write(int(sys.argv[1]), "{} {}".format(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss).encode())
"""


def measured(words, **more):
    """Its output, its exit code, and the most memory that it ever had, MB: asked by a small process, since what a child had
    before it was itself, of the tests' own memory, would count too."""
    told, tells = os.pipe()
    try:
        child = subprocess.Popen([sys.executable, "-S", "-c", LAUNCHER, str(tells)] + words, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(tells,), **more)
    finally:
        os.close(tells)
    said = child.communicate()[0].decode()
    with os.fdopen(told) as f:
        code, most_kb = f.read().split()
    return said, int(code), int(most_kb) / 1024.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="maxrss is in KB on Linux")
@pytest.mark.parametrize("few", [BOMBS[i::3] for i in range(3)], ids=lambda few: " ".join(bomb[0] for bomb in few))
def test_a_bomb_costs_little_memory(tmp_path, few):
    """One process reads them one after the other: the most that it ever had bounds what each of them costs."""
    for name, make, _ in few:
        data = make()
        data(str(tmp_path / name)) if callable(data) else write(tmp_path, name, data)
    said, code, most_mb = measured([sys.executable, "-c", READ] + [str(tmp_path / name) for name, _, _ in few])
    lines = said.splitlines()
    assert code == 0 and len(lines) == len(few) and most_mb < 400
    for (name, _, message), line in zip(few, lines):
        assert message in line if message else line.startswith("("), name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="maxrss is in KB on Linux")
@pytest.mark.skipif(not any(find_spec(name) for name in RUNTIMES), reason="no runtime for networks is installed")
@pytest.mark.parametrize("name", ["huge.png", "cut.jpg", "tags.tif", "tiles.j2k", "just.ppm"])
def test_a_run_refuses_a_bomb_with_one_line(tmp_path, models_home, name):
    path = write(tmp_path, name, {bomb[0]: bomb[1] for bomb in BOMBS}[name]())
    said, code, most_mb = measured([sys.executable, "-m", "edge", "run", "--status", "none", "--source", path],
                                   cwd=ROOT, env=dict(os.environ, NANOFACE_HOME=str(models_home)))
    assert (code, said.count("\n")) == (3, 1) and name in said and most_mb < 400
