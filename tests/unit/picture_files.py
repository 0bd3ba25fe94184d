"""Pictures of every kind, made here: the bytes of each, and what its pixels are."""
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

MOST = 120 * 10 ** 6  # pixels
WIDTH, HEIGHT = 64, 40
UNTURNED = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> what Pillow's transpose() does to write it so


def pattern():
    """(HEIGHT, WIDTH, 3) RGB: four corners of different colours, so that no turn or flip looks like another."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:HEIGHT // 2, :WIDTH // 2] = (200, 40, 30)
    image[:HEIGHT // 2, WIDTH // 2:] = (40, 180, 60)
    image[HEIGHT // 2:, :WIDTH // 2] = (30, 60, 190)
    image[HEIGHT // 2:, WIDTH // 2:] = (220, 220, 220)
    return image


RGB = Image.fromarray(pattern())
GREY = np.asarray(RGB.convert("L"))
GREYS = np.dstack([GREY] * 3)
BITS = np.where(GREYS > 100, 255, 0).astype(np.uint8)


def saved(image, name, **options):
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def exif(orientation, order="MM"):
    word = ">" if order == "MM" else "<"
    return order.encode() + struct.pack(word + "HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def turned(orientation):
    """The pattern as a camera held so stores it."""
    how = UNTURNED[orientation]
    return RGB if how is None else RGB.transpose(how)


def jpeg(image=RGB, **options):
    return saved(image, "JPEG", **dict({"quality": 95, "subsampling": 0}, **options))


def with_exif(data, orientation):
    body = b"Exif\0\0" + exif(orientation)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) & 0xFFFFFFFF)


def png(image=RGB, extra=(), **options):
    """With further chunks behind the header."""
    data = saved(image, "PNG", **options)
    return data[:33] + b"".join(chunk(*one) for one in extra) + data[33:]


def riff(chunks):
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_with_exif(image, orientation):
    plain = saved(image, "WEBP", lossless=True)
    size = struct.pack("<I", image.size[0] - 1)[:3] + struct.pack("<I", image.size[1] - 1)[:3]
    return riff([(b"VP8X", b"\x08\0\0\0" + size), (b"VP8L", plain[20:]), (b"EXIF", exif(orientation))])


def cv(name, image, *options):
    ok, data = cv2.imencode(name, image, *options)
    assert ok
    return data.tobytes()


def deep(image):
    return image.astype(np.uint16) * 257


def bmp_runs():
    """Run lengths, 8 bits: two rows of two colours, bottom row first."""
    palette = b"".join(bytes((i, i, i, 0)) for i in range(256))
    pixels = b"\x08\x14\0\0" + b"\x04\xc8\x04\x64\0\0" + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, 8, 2, 1, 8, 1, len(pixels), 0, 0, 256, 256)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(pixels), 0, 0, 54 + 1024) + head + palette + pixels


def ascii_ppm():
    return ("P3\n# a comment\n{} {}\n255\n".format(WIDTH, HEIGHT) + " ".join(str(v) for v in pattern().reshape(-1))).encode()


def lab():
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    return saved(ImageCms.applyTransform(RGB, transform), "TIFF")


def pages(name, **options):
    return saved(RGB, name, save_all=True, append_images=[RGB.convert("L").convert("RGB"), RGB], duration=100, **options)


def mpo():
    return saved(RGB, "MPO", save_all=True, append_images=[RGB], quality=95, subsampling=0)


def avif():
    return saved(RGB, "AVIF", quality=95)


EXACT, LOSSY = 1, 12  # grey levels; a lossy one is compared where no edge is near
INSIDE = np.zeros((HEIGHT, WIDTH), bool)
for rows in (slice(0, HEIGHT // 2 - 8), slice(HEIGHT // 2 + 8, HEIGHT)):
    INSIDE[rows, :WIDTH // 2 - 8] = INSIDE[rows, WIDTH // 2 + 8:] = True
PATTERN = pattern()
KINDS = [
    ("a.jpg", jpeg, PATTERN, LOSSY), ("half.jpg", lambda: jpeg(subsampling=2), PATTERN, LOSSY),
    ("progressive.jpg", lambda: jpeg(progressive=True), PATTERN, LOSSY),
    ("grey.jpg", lambda: jpeg(RGB.convert("L")), GREYS, LOSSY),
    ("cmyk.jpg", lambda: jpeg(RGB.convert("CMYK")), PATTERN, 16),
    ("profile.jpg", lambda: jpeg(icc_profile=b"x" * 3000, comment=b"c"), PATTERN, LOSSY),
    ("a.jpe", jpeg, PATTERN, LOSSY), ("a.JFIF", lambda: with_exif(jpeg(turned(6)), 6), PATTERN, LOSSY),
    ("a.jpeg", lambda: jpeg(optimize=True), PATTERN, LOSSY), ("noextension", jpeg, PATTERN, LOSSY),
    ("lies.png", jpeg, PATTERN, LOSSY),
    ("a.png", png, PATTERN, EXACT), ("noextension_png", png, PATTERN, EXACT), ("lies.jpg", png, PATTERN, EXACT),
    ("palette.png", lambda: png(RGB.convert("P", palette=Image.ADAPTIVE)), PATTERN, EXACT),
    ("palette2.png", lambda: png(RGB.convert("P", palette=Image.ADAPTIVE, colors=4), bits=2), PATTERN, EXACT),
    ("transparent.png", lambda: png(RGB.convert("P", palette=Image.ADAPTIVE), transparency=b"\0\x80\xff"), PATTERN, EXACT),
    ("grey.png", lambda: png(RGB.convert("L")), GREYS, EXACT),
    ("greyalpha.png", lambda: png(RGB.convert("LA")), GREYS, EXACT),
    ("alpha.png", lambda: png(Image.fromarray(np.dstack([PATTERN, GREY // 2]))), PATTERN, EXACT),
    ("bits.png", lambda: png(Image.fromarray(BITS[:, :, 0]).convert("1")), BITS, EXACT),
    ("deep.png", lambda: cv(".png", deep(PATTERN[:, :, ::-1])), PATTERN, EXACT),
    ("deepgrey.png", lambda: cv(".png", deep(GREY)), GREYS, EXACT),
    ("turned.png", lambda: png(turned(6), [(b"eXIf", exif(6, "II"))]), PATTERN, EXACT),
    ("a.bmp", lambda: saved(RGB, "BMP"), PATTERN, EXACT),
    ("grey.bmp", lambda: saved(RGB.convert("L"), "BMP"), GREYS, EXACT),
    ("palette.bmp", lambda: saved(RGB.convert("P", palette=Image.ADAPTIVE), "BMP"), PATTERN, EXACT),
    ("bits.bmp", lambda: saved(Image.fromarray(BITS[:, :, 0]).convert("1"), "BMP"), BITS, EXACT),
    ("alpha.bmp", lambda: saved(RGB.convert("RGBA"), "BMP"), PATTERN, EXACT),
    ("a.dib", lambda: saved(RGB, "DIB"), PATTERN, EXACT),
    ("a.webp", lambda: saved(RGB, "WEBP", quality=95), PATTERN, LOSSY),
    ("lossless.webp", lambda: saved(RGB, "WEBP", lossless=True), PATTERN, EXACT),
    ("alpha.webp", lambda: saved(Image.fromarray(np.dstack([PATTERN, GREY])), "WEBP", lossless=True, exact=True),
     PATTERN, EXACT),
    ("turned.webp", lambda: webp_with_exif(turned(8), 8), PATTERN, EXACT),
    ("moving.webp", lambda: pages("WEBP", lossless=True), PATTERN, EXACT),
    ("moving.png", lambda: pages("PNG"), PATTERN, EXACT),
    ("a.tif", lambda: saved(RGB, "TIFF"), PATTERN, EXACT),
    ("grey.tif", lambda: saved(RGB.convert("L"), "TIFF"), GREYS, EXACT),
    ("cmyk.tif", lambda: saved(RGB.convert("CMYK"), "TIFF"), PATTERN, 3), ("lab.tif", lab, PATTERN, 30),
    ("palette.tif", lambda: saved(RGB.convert("P", palette=Image.ADAPTIVE), "TIFF"), PATTERN, EXACT),
    ("lzw.tiff", lambda: saved(RGB, "TIFF", compression="tiff_lzw"), PATTERN, EXACT),
    ("deflate.tif", lambda: saved(RGB, "TIFF", compression="tiff_adobe_deflate"), PATTERN, EXACT),
    ("runs.tif", lambda: saved(RGB, "TIFF", compression="packbits"), PATTERN, EXACT),
    ("jpeg.tif", lambda: saved(RGB, "TIFF", compression="jpeg", quality=95), PATTERN, LOSSY),
    ("fax.tif", lambda: saved(Image.fromarray(BITS[:, :, 0]).convert("1"), "TIFF", compression="group4"), BITS, EXACT),
    ("deep.tif", lambda: cv(".tif", deep(PATTERN[:, :, ::-1])), PATTERN, EXACT),
    ("deepgrey.tif", lambda: cv(".tif", deep(GREY)), GREYS, EXACT),
    ("turned.tif", lambda: saved(turned(5), "TIFF", tiffinfo={0x0112: 5}), PATTERN, EXACT),
    ("lzwturned.tif", lambda: saved(turned(3), "TIFF", tiffinfo={0x0112: 3}, compression="tiff_lzw"), PATTERN, EXACT),
    ("pages.tif", lambda: pages("TIFF"), PATTERN, EXACT),
    ("a.jp2", lambda: saved(RGB, "JPEG2000"), PATTERN, EXACT),
    ("a.j2k", lambda: saved(RGB, "JPEG2000", no_jp2=True), PATTERN, EXACT),
    ("tiles.jp2", lambda: saved(RGB, "JPEG2000", tile_size=(32, 32)), PATTERN, EXACT),
    ("a.ppm", lambda: saved(RGB, "PPM"), PATTERN, EXACT),
    ("a.pgm", lambda: saved(RGB.convert("L"), "PPM"), GREYS, EXACT),
    ("a.pbm", lambda: saved(Image.fromarray(BITS[:, :, 0]).convert("1"), "PPM"), BITS, EXACT),
    ("ascii.ppm", ascii_ppm, PATTERN, EXACT), ("deep.pgm", lambda: cv(".pgm", deep(GREY)), GREYS, EXACT),
    ("a.tga", lambda: saved(RGB, "TGA"), PATTERN, EXACT),
    ("runs.tga", lambda: saved(RGB, "TGA", compression="tga_rle"), PATTERN, EXACT),
    ("grey.tga", lambda: saved(RGB.convert("L"), "TGA"), GREYS, EXACT),
    ("alpha.tga", lambda: saved(RGB.convert("RGBA"), "TGA"), PATTERN, EXACT),
    ("film.jpg", lambda: saved(RGB, "GIF"), PATTERN, EXACT), ("two.mpo", mpo, PATTERN, LOSSY),
    ("two.jpg", mpo, PATTERN, LOSSY),
    ("a.avif", avif, PATTERN, LOSSY),
]
SEVERAL = {"moving.webp": 3, "moving.png": 3, "pages.tif": 3, "two.mpo": 2, "two.jpg": 2}
def made(make):
    try:
        return make()
    except (KeyError, OSError, SystemError) as e:
        pytest.skip("this Pillow cannot write it: {!r}".format(e))


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return str(path)
