"""What others have written beside pictures: MAT-files of 300W-LP, and dlib's XML."""
import os
import struct
import xml.etree.ElementTree as ElementTree
import zlib

import numpy as np

MATRIX, DEFLATED = 14, 15  # kinds of elements in a MAT-file


def aflw_points(folder):
    """(name, (68, 2) pixels) of each picture, one face each."""
    for name in sorted(name for name in os.listdir(folder) if name.endswith(".jpg")):
        points = matlab_numbers(os.path.join(folder, name[:-4] + ".mat"), "pt3d_68").reshape(68, 3)  # column by column
        yield name, points[:, :2]


def dlib_points(folder):
    """The same, of each face that has its points."""
    for image in ElementTree.parse(os.path.join(folder, "training_with_face_landmarks.xml")).iter("image"):
        for box in image.iter("box"):
            parts = {int(part.get("name")): (float(part.get("x")), float(part.get("y"))) for part in box.iter("part")}
            if len(parts) == 68 and os.path.exists(os.path.join(folder, image.get("file"))):
                yield image.get("file"), np.array([parts[i] for i in range(68)])


def matlab_numbers(path, name):
    """A real array of a MAT-file of level 5: its elements are 32-bit kind, 32-bit length and the data, perhaps deflated."""
    with open(path, "rb") as f:
        variables = elements(f.read()[128:])
    for kind, data in variables:
        if kind == DEFLATED:
            (kind, data), = elements(zlib.decompress(data))
        _, _, (_, label), (number, values) = list(elements(data))[:4] if kind == MATRIX else [(0, b"")] * 4
        if label.decode("ascii") == name:
            return np.frombuffer(values, {7: "<f4", 9: "<f8"}[number]).astype(float)
    raise AssertionError("{} holds no {}".format(path, name))


def elements(data):
    """Kind and data of each; what fits into four bytes stands in the place of its length."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind >> 16:
            yield kind & 0xffff, data[at + 4:at + 4 + (kind >> 16)]
            at += 8
        else:
            yield kind, data[at + 8:at + 8 + length]
            at += 8 + (length if kind == DEFLATED else -(-length // 8) * 8)
