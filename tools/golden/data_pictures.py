#!/usr/bin/env python3
"""Writes tests/data/golden/: what Pillow makes of small pictures.

pictures.golden.bin holds records of
  u8 length, name, 6 little-endian f64 values, u16 height, u16 width, RGB bytes
first `source`, then the result of each operation on it. `decode` records are
named after the picture files that lie beside it.

Run with Debian 12's /usr/bin/python3 (Pillow 9.4, numpy 1.24):
  tools/golden/data_pictures.py [OUT [HEIGHT WIDTH]]
"""
import io
import os
import struct
import sys
import zlib

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

SEED = 20


def source(rng, h, w):
    """Smooth ramps, a few flat blocks and noise: uses most byte values."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([255 * x / w, 255 * y / h, 255 * (x + y) / (w + h)], 2)
    a = a * 0.8 + rng.integers(0, 50, (h, w, 3))
    a[h // 4:h // 2, w // 4:w // 2] = (200, 40, 90)
    a[:2, :3] = (7, 7, 7)
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


def affine(img, a):
    return img.transform(img.size, Image.AFFINE, a)


def cutout(img, side, x, y):
    w, h = img.size
    x0, y0 = int(max(0, x - side / 2)), int(max(0, y - side / 2))
    box = (x0, y0, min(w, x0 + side), min(h, y0 + side))
    img = img.copy()
    ImageDraw.Draw(img).rectangle(box, (125, 123, 114))
    return img


def hue(img, shift):
    h, s, v = img.convert("HSV").split()
    turned = np.array(h, dtype=np.uint8) + np.uint8(int(shift * 255) % 256)
    h = Image.fromarray(turned.astype(np.uint8), "L")
    return Image.merge("HSV", (h, s, v)).convert("RGB")


OPS = {
    "autocontrast": (lambda i, v: ImageOps.autocontrast(i), [0]),
    "brightness": (lambda i, v: ImageEnhance.Brightness(i).enhance(v),
                   [0.05, 0.613, 1.4]),
    "color": (lambda i, v: ImageEnhance.Color(i).enhance(v),
              [0.05, 0.77, 1.3]),
    "contrast": (lambda i, v: ImageEnhance.Contrast(i).enhance(v),
                 [0.1, 0.93, 1.25]),
    "equalize": (lambda i, v: ImageOps.equalize(i), [0]),
    "identity": (lambda i, v: i, [0]),
    "posterize": (lambda i, v: ImageOps.posterize(i, max(1, int(v))),
                  [4.2, 5.9, 7.99]),
    "rotate": (lambda i, v: i.rotate(v), [-29.3, -7.7, 0.0, 12.01, 30]),
    "sharpness": (lambda i, v: ImageEnhance.Sharpness(i).enhance(v),
                  [0.05, 0.5, 1.6]),
    "shear_x": (lambda i, v: affine(i, (1, v, 0, 0, 1, 0)), [-0.27, 0.11]),
    "shear_y": (lambda i, v: affine(i, (1, 0, 0, v, 1, 0)), [-0.13, 0.3]),
    "solarize": (lambda i, v: ImageOps.solarize(i, v), [0, 97.3, 128, 256]),
    "translate_x": (lambda i, v: affine(i, (1, 0, v * i.size[0], 0, 1, 0)),
                    [-0.3, -0.02, 0.17]),
    "translate_y": (lambda i, v: affine(i, (1, 0, 0, 0, 1, v * i.size[1])),
                    [-0.11, 0.3]),
    "hue": (hue, [-0.5, -0.31, 0.04, 0.25]),
}


def record(out, name, values, img):
    a = np.asarray(img, dtype=np.uint8)
    values = (list(values) + [0.0] * 6)[:6]
    out.write(struct.pack("<B", len(name)) + name.encode())
    out.write(struct.pack("<6d", *values))
    out.write(struct.pack("<HH", a.shape[0], a.shape[1]) + a.tobytes())


def png(kind, bits, rows, w, h):
    """A PNG of 16-bit pixels, which Pillow does not write."""
    def chunk(tag, data):
        crc = zlib.crc32(tag + data)
        return struct.pack(">I", len(data)) + tag + data + \
            struct.pack(">I", crc)
    head = struct.pack(">IIBBBBB", w, h, bits, kind, 0, 0, 0)
    body = b"".join(b"\0" + r for r in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + \
        chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def files(img, rng):
    """Picture files, and the RGB that they stand for."""
    def saved(i, fmt, **options):
        b = io.BytesIO()
        i.save(b, fmt, **options)
        return b.getvalue()
    w, h = img.size
    alpha = Image.fromarray(rng.integers(0, 256, (h, w)).astype(np.uint8))
    rgba = img.copy()
    rgba.putalpha(alpha)
    palette = img.quantize(20)
    out = {
        "rgb.jpg": saved(img, "JPEG", quality=90),
        "progressive.jpg": saved(img, "JPEG", quality=80, progressive=True),
        "grey.jpg": saved(img.convert("L"), "JPEG"),
        "cmyk.jpg": saved(img.convert("CMYK"), "JPEG", quality=95),
        "rgb.png": saved(img, "PNG"),
        "rgba.png": saved(rgba, "PNG"),
        "grey.png": saved(img.convert("L"), "PNG"),
        "grey_alpha.png": saved(rgba.convert("LA"), "PNG"),
        "one_bit.png": saved(img.convert("1"), "PNG"),
        "palette.png": saved(palette, "PNG"),
        "palette_clear.png": saved(palette, "PNG", transparency=3),
    }
    wide = rng.integers(0, 65536, (h, w, 3)).astype(">u2")
    out["rgb16.png"] = png(2, 16, [r.tobytes() for r in wide], w, h)
    out["grey16.png"] = png(0, 16, [r.tobytes() for r in wide[:, :, 0]], w, h)
    pixels = {n: Image.open(io.BytesIO(b)).convert("RGB")
              for n, b in out.items()}
    # Pillow keeps 16-bit grey as wide integers; the upper byte is ours.
    top = (wide[:, :, :1] >> 8).astype(np.uint8).repeat(3, 2)
    pixels["grey16.png"] = Image.fromarray(top)
    return out, pixels


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = os.path.join(here, "..", "..", "tests", "data", "golden")
    folder = sys.argv[1] if len(sys.argv) > 1 else folder
    h, w = map(int, sys.argv[2:4]) if len(sys.argv) > 2 else (13, 17)
    rng = np.random.default_rng(SEED)
    img = source(rng, h, w)
    with open(os.path.join(folder, "pictures.golden.bin"), "wb") as out:
        record(out, "source", [], img)
        for name, (op, values) in OPS.items():
            for v in values:
                record(out, name, [v], op(img, v))
        for side, x, y in [(4.7, 3.2, 2.9), (8.5, 16.9, 0.1), (1, 8, 6)]:
            record(out, "cutout", [side, x, y], cutout(img, side, x, y))
        sizes = [(7, 5), (13, 30), (26, 17), (1, 1), (13, 17), (29, 11)]
        for rh, rw in sizes:
            record(out, "resize", [0, 0, h, w],
                   img.resize((rw, rh), Image.BILINEAR))
        part = img.crop((3, 2, 3 + 11, 2 + 9))
        for rh, rw in [(6, 8), (20, 5), (9, 11)]:
            record(out, "resize", [2, 3, 9, 11],
                   part.resize((rw, rh), Image.BILINEAR))
        contents, pixels = files(img, rng)
        for name, content in contents.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content)
            record(out, "decode " + name, [], pixels[name])
    print("Pillow", PIL.__version__, "seed", SEED, h, "x", w)


main()
