"""Makes the shipped pictures and their presets; run from the repository root with scikit-image and Pillow.

The masks are polygons drawn by hand on the pictures (pixels of the shipped JPEGs); the trajectories are
fractions of the picture with times. The sources and licences of the pictures are in NOTICE.
"""

import json

import numpy as np
import skimage.data
import skimage.draw
from PIL import Image

SIDE = 160  # longer side of a preset's masks, MASK_SIDE in crates/core/src/scene/preset/mod.rs

SAMPLES = {
    "cat": (
        "chelsea",
        [
            (
                "head",
                [(42, 0), (36, 40), (32, 90), (36, 125), (52, 165), (75, 215), (100, 250), (140, 272), (200, 283),
                 (250, 279), (290, 262), (306, 240), (325, 205), (345, 175), (358, 145), (361, 110), (353, 78),
                 (372, 50), (398, 0)],
                [(0.58, 0.78, 0.0), (0.64, 0.75, 0.45), (0.7, 0.8, 1.0)],
            ),
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
            (
                "cup",
                [(148, 90), (155, 55), (180, 30), (220, 16), (260, 17), (305, 32), (335, 60), (349, 95), (345, 125),
                 (331, 158), (320, 190), (300, 203), (272, 210), (269, 222), (275, 233), (250, 242), (222, 240),
                 (193, 263), (170, 257), (166, 238), (180, 210), (195, 197), (168, 172), (152, 130)],
                [(0.47, 0.4, 0.0), (0.4, 0.36, 0.4), (0.33, 0.42, 1.0)],
            ),
            (
                "spoon",
                [(334, 170), (322, 195), (306, 205), (288, 216), (278, 240), (283, 262), (300, 277), (320, 277),
                 (340, 260), (347, 235), (341, 212), (329, 192), (340, 168)],
                [(0.61, 0.7, 0.0)],
            ),
        ],
    ),
}


def picture(source):
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


def mask_of(polygon, size):
    scale = SIDE / max(size)
    shape = (int(size[1] * scale), int(size[0] * scale))
    points = np.array(polygon, dtype=float) * scale
    filled = skimage.draw.polygon2mask(shape, points[:, ::-1])
    return {"width": shape[1], "height": shape[0], "runs": runs(filled)}


for name, (source, entities) in SAMPLES.items():
    picture(source).save(f"www/samples/{name}.jpg", quality=90)
    image = Image.open(f"www/samples/{name}.jpg").convert("RGB")
    lines = [
        "    " + json.dumps({"name": n, "mask": mask_of(p, image.size), "trajectory": t}, separators=(",", ":"))
        for n, p, t in entities
    ]
    head = {"width": image.width, "height": image.height, "hash": picture_hash(image)}
    with open(f"www/samples/{name}.json", "w") as f:
        f.write('{\n  "dragentity": 1,\n  "picture": %s,\n  "entities": [\n' % json.dumps(head, separators=(",", ":")))
        f.write(",\n".join(lines) + '\n  ],\n  "settings": {"frames":8,"fps":8,"steps":8,"seed":0}\n}\n')
