"""Draws the pictures of tests/golden/images and records what Pillow makes of them.

    python3 images.py --out ../images

Nothing here is a photograph. Needs Pillow 9.5 to 12 (13 resizes in another order). Steps: resize the shorter side (bicubic, in the picture's own mode), centre crop,
convert to RGB; see include/plume/image/transform.hpp.
"""
import argparse
import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image


def scene(width, height, seed, channels=3):
    """Waves, edges and noise: smooth and sharp parts, every channel different."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for c in range(channels):
        wave = 127 + 90 * np.sin(x / (5 + 3 * c) + seed) * np.cos(y / (7 - c))
        wave[(x // 9 + y // 11 + c) % 5 == 0] = 20 + 60 * c
        planes.append(np.clip(wave + rng.normal(0, 12, wave.shape), 0, 255))
    return np.stack(planes, -1).astype(np.uint8)


def transform(picture, size):
    short, long = sorted(picture.size)
    if short != size:
        other = int(size * long / short)
        picture = picture.resize((size, other) if picture.width <= picture.height else (other, size), Image.BICUBIC)
    left, top = round((picture.width - size) / 2), round((picture.height - size) / 2)
    return np.asarray(picture.crop((left, top, left + size, top + size)).convert("RGB"))


def write_safetensors(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        kind = {"uint8": "U8", "float32": "F32"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    (out / "files").mkdir(parents=True, exist_ok=True)
    pictures = {}
    for width, height in [(1, 1), (61, 47), (47, 61), (224, 64), (65, 64), (64, 67), (3, 90), (90, 3), (130, 97)]:
        pictures[f"rgb-{width}x{height}.png"] = Image.fromarray(scene(width, height, width))
    base = scene(61, 47, 5, 4)
    base[:, :, 3][base[:, :, 2] < 60] = 0
    base[:, :, 3][base[:, :, 1] > 200] = 255
    pictures["rgba.png"] = Image.fromarray(base, "RGBA")
    pictures["la.png"] = Image.fromarray(base[:, :, [0, 3]], "LA")
    pictures["gray.png"] = Image.fromarray(base[:, :, 0])
    pictures["palette.png"] = Image.fromarray(base[:, :, :3]).quantize(17)
    pictures["one-bit.png"] = Image.fromarray(base[:, :, 0]).convert("1")
    pictures["gray16.png"] = Image.fromarray((base[:, :, 0].astype(np.int32) * 3).astype(np.uint16))
    pictures["q90-444.jpg"] = Image.fromarray(scene(96, 70, 3))
    pictures["q90-420.jpg"] = Image.fromarray(scene(96, 70, 4) // 8 * 0 + (np.mgrid[0:70, 0:96][1][..., None] * [2, 1, 2]).astype(np.uint8))
    files, tensors = {}, {}
    for name, picture in pictures.items():
        path = out / "files" / name
        if name.endswith(".jpg"):
            picture.save(path, quality=90, subsampling=0 if "444" in name else 2)
        else:
            picture.save(path)
        opened = Image.open(path)
        files[name] = {"size": 32, "mode": opened.mode, "pillow_size": list(opened.size)}
        tensors[name + ".crop"] = transform(opened, 32)
    (out / "case.json").write_text(json.dumps({"kind": "images", "pillow": Image.__version__, "files": files}, indent=1) + "\n")
    write_safetensors(out / "expected.safetensors", tensors)


main()
