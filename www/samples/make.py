"""Makes the presets of the shipped pictures, and with --pictures these, too; run from the repository root with NumPy and
Pillow, and for pictures scikit-image.

Masks are polygons drawn by hand on the pictures (pixels of the shipped JPEGs), or what `dragentity segment` makes of the
options that stand in their place; $DRAGENTITY_BIN names the program. The trajectories are fractions of the picture with times.
The sources and licences of the pictures are in NOTICE.
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageDraw

PROGRAM = os.environ.get("DRAGENTITY_BIN", "target/debug/dragentity")
SIDE = 320  # longer side of a preset's masks, MASK_SIDE in crates/core/src/scene/preset/mod.rs

SAMPLES = {
    "cat": (
        "chelsea",
        [
            ("cat", ["--click", "0.4,0.45", "--candidate", "1"], [(0.58, 0.78, 0.0), (0.53, 0.78, 0.45), (0.48, 0.78, 1.0)]),
        ],
    ),
    "astronaut": (
        "astronaut",
        [
            (
                "shuttle",
                [(400, 0), (397, 45), (390, 40), (382, 55), (379, 95), (376, 170), (372, 187), (355, 222),
                 (357, 231), (378, 232), (366, 268), (370, 275), (390, 270), (402, 270), (418, 268), (440, 270),
                 (459, 264), (455, 235), (456, 218), (448, 200), (453, 130), (454, 60), (443, 38), (437, 55),
                 (435, 18), (428, 0)],
                [(0.8, 0.35, 0.0), (0.8, 0.32, 0.3), (0.79, 0.2, 0.7), (0.77, 0.05, 1.0)],
            ),
            (
                "head",
                [(153, 75), (160, 50), (187, 38), (205, 22), (235, 15), (265, 24), (290, 45), (301, 80), (296, 108),
                 (277, 132), (262, 155), (252, 180), (230, 188), (205, 186), (187, 178), (183, 135), (167, 115),
                 (156, 95)],
                [(0.44, 0.25, 0.0)],
            ),
        ],
    ),
    "coffee": (
        "coffee",
        [
            ("cup", ["--click", "0.3,0.3"], [(0.47, 0.4, 0.0), (0.54, 0.37, 0.45), (0.6, 0.37, 1.0)]),
        ],
    ),
}


def picture(source):
    import skimage.data

    image = Image.fromarray(getattr(skimage.data, source)())
    scale = 512 / max(image.size)
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
    return image


def picture_hash(image):
    """The difference hash of crates/core/src/scene/picture.rs."""
    rgb = np.asarray(image).astype(np.uint64)
    height, width = rgb.shape[:2]
    grey = rgb @ np.array([299, 587, 114], dtype=np.uint64)
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 9 // width
    cell = lambda y, x: grey[rows == y][:, columns == x].ravel()
    mean = [[int(cell(y, x).sum()) // cell(y, x).size for x in range(9)] for y in range(8)]
    bits = "".join(str(int(mean[y][x] < mean[y][x + 1])) for y in range(8) for x in range(8))
    return f"{int(bits, 2):016x}"


def runs(mask):
    flat = np.concatenate([[0], mask.ravel().astype(int)])
    edges = np.flatnonzero(np.diff(flat)) if flat.size > 1 else []
    return np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()


def mask_of(shape, name, size):
    """A polygon, or options of `dragentity segment`, as a preset's mask."""
    if isinstance(shape[0], str):
        with tempfile.TemporaryDirectory() as work:
            made = f"{work}/mask.png"
            subprocess.run([PROGRAM, "segment", f"www/samples/{name}.jpg", *shape, "-o", made], check=True)
            large = Image.open(made).convert("L")
    else:
        large = Image.new("L", size)
        ImageDraw.Draw(large).polygon(shape, fill=255)
    scale = SIDE / max(size)
    small = large.resize((int(size[0] * scale), int(size[1] * scale)), Image.BOX)
    return {"width": small.width, "height": small.height, "runs": runs(np.asarray(small) >= 128)}


if __name__ == "__main__":
    for name, (source, entities) in SAMPLES.items():
        if "--pictures" in sys.argv:
            picture(source).save(f"www/samples/{name}.jpg", quality=90)
        image = Image.open(f"www/samples/{name}.jpg").convert("RGB")
        lines = [
            "    " + json.dumps({"name": n, "mask": mask_of(p, name, image.size), "trajectory": t}, separators=(",", ":"))
            for n, p, t in entities
        ]
        head = {"width": image.width, "height": image.height, "hash": picture_hash(image)}
        with open(f"www/samples/{name}.json", "w") as f:
            f.write('{\n  "dragentity": 1,\n  "picture": %s,\n  "entities": [\n' % json.dumps(head, separators=(",", ":")))
            f.write(",\n".join(lines) + "\n  ]\n}\n")
