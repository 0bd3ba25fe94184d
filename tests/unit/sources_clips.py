"""Small videos whose frames can be distinguished, and surgery on MP4 files, for the tests of the sources."""
import os
import struct

import cv2
import numpy as np
import pytest

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "shared", "media")
needs_media = pytest.mark.skipif(not os.path.isdir(SHARED), reason="the shared media do not lie beside the project")

BITS, BLOCK = 8, 16


def numbered(index, height=96, width=BITS * BLOCK):
    """A picture that carries its number as black and white blocks along the top; below it is grey."""
    image = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        image[:BLOCK, bit * BLOCK:(bit + 1) * BLOCK] = 230 if index >> bit & 1 else 20
    return image


def number_of(image):
    return sum(1 << bit for bit in range(BITS) if image[BLOCK // 2, bit * BLOCK + BLOCK // 2].mean() > 128)


def write_video(path, frames, fps=10.0, fourcc="mp4v"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), fps, (BITS * BLOCK, 96))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write {}".format(fourcc))
    for index in range(frames):
        writer.write(numbered(index))
    writer.release()
    return str(path)


def read_bytes(path):
    with open(str(path), "rb") as f:
        return bytearray(f.read())


def write_bytes(path, data):
    with open(str(path), "wb") as f:
        f.write(data)


def boxes(data, start=0, end=None):
    """(kind, start, end) of the boxes of an MP4 file between two offsets."""
    position, end = start, len(data) if end is None else end
    while position + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, position)
        if size < 8:
            return
        yield kind, position, position + size
        position += size


def find(data, *path):
    """Offsets of the boxes along a path of names, the outermost first."""
    found, start, end = [], 0, len(data)
    for name in path:
        _, start, end = next(b for b in boxes(data, start, end) if b[0] == name)
        found.append((start, end))
        start += 8
    return found


STBL = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def set_durations(path, durations_ms):
    """Give the frames durations of their own (variable rate). The moov box must come last, as OpenCV writes it."""
    data = read_bytes(path)
    (start, _), = find(data, *(b"moov", b"trak", b"mdia", b"mdhd"))[-1:]
    scale = struct.unpack_from(">I", data, start + 20)[0]
    entries = b"".join(struct.pack(">II", 1, int(round(d * scale / 1000.0))) for d in durations_ms)
    new = struct.pack(">I4sII", 16 + len(entries), b"stts", 0, len(durations_ms)) + entries
    nested = find(data, *(STBL + (b"stts",)))
    start, end = nested[-1]
    grown = len(new) - (end - start)
    data[start:end] = new
    for outer, outer_end in nested[:-1]:
        struct.pack_into(">I", data, outer, outer_end - outer + grown)
    write_bytes(path, bytes(data))


def set_rotation(path, degrees):
    """Write a display matrix: `degrees` clockwise to show the picture upright."""
    data = read_bytes(path)
    start = find(data, b"moov", b"trak", b"tkhd")[-1][0]
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    struct.pack_into(">9i", data, start + 8 + 40, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    write_bytes(path, bytes(data))


def cut_tail(path, share):
    """Keep the index, which is moved to the front, and only a share of the pictures."""
    data = read_bytes(path)
    parts = {kind: bytes(data[start:end]) for kind, start, end in boxes(data)}
    moov = bytearray(parts[b"moov"])
    before = find(data, b"mdat")[0][0]
    after = len(parts[b"ftyp"]) + len(moov)
    start = find(moov, *(STBL + (b"stco",)))[-1][0]
    for i in range(struct.unpack_from(">I", moov, start + 12)[0]):
        at = start + 16 + 4 * i
        struct.pack_into(">I", moov, at, struct.unpack_from(">I", moov, at)[0] + after - before)
    kept = parts[b"mdat"][:int(len(parts[b"mdat"]) * share)]
    write_bytes(path, parts[b"ftyp"] + bytes(moov) + kept)


def drain(source, timeout_s=1.0):
    """Every frame that a source gives until it ends; opens and closes it."""
    frames = []
    source.open()
    try:
        while True:
            frame = source.read(timeout_s)
            if frame is not None:
                frames.append(frame)
    except EOFError:
        return frames
    finally:
        source.close()
