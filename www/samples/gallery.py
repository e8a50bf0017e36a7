"""Makes the gallery: scenes over the shipped pictures, and a small picture of each, a frame of its video; run from the repository root
with NumPy and Pillow, after make.py; names of scenes behind it make these alone. $DRAGENTITY_BIN names the program, which makes masks (MobileSAM) and videos.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from make import PROGRAM, mask_of, picture_hash, runs
from PIL import Image

HERE = Path("www/samples")
CUP = ["--click", "0.3,0.3"]
WOMAN = ["--click", "0.45,0.7"]


def shipped(sample, index):
    """A mask of a sample's own scene."""
    return json.loads((HERE / f"{sample}.json").read_text())["entities"][index]["mask"]


def boxes(*sides):
    """A mask of boxes: left, top, right, bottom, as fractions of the picture."""
    mask = np.zeros((64, 64), bool)
    for left, top, right, bottom in sides:
        mask[int(top * 64) : int(bottom * 64), int(left * 64) : int(right * 64)] = True
    return {"width": 64, "height": 64, "runs": runs(mask)}


# The wall: what is behind the head is neither flag nor shuttle.
WALL = boxes((0.19, 0, 0.29, 0.28), (0.59, 0, 0.67, 0.4))

# What each shows: turning, a path with a camera, leaving, bending, several things at once, a camera that comes nearer.
SCENES = {
    "turn": ("coffee", {"entities": [
        {"name": "cup", "mask": CUP, "trajectory": [[0.46, 0.5, 0]],
         "poses": [{"t": 0}, {"t": 0.5, "rotation": -24, "scale": 0.94}, {"t": 1, "rotation": 24, "scale": 1.04}]}]}),
    "slide": ("coffee", {"background": [[0.5, 0.5, 0], [0.46, 0.5, 1]], "entities": [
        {"name": "cup", "mask": CUP, "trajectory": [[0.46, 0.5, 0], [0.52, 0.44, 0.5], [0.62, 0.46, 1]],
         "poses": [{"t": 0}, {"t": 1, "rotation": 10}]}]}),
    "launch": ("astronaut", {"entities": [
        {"name": "shuttle", "mask": ("astronaut", 0),
         "trajectory": [[0.8, 0.35, 0], [0.8, 0.33, 0.3], [0.79, 0.1, 0.7], [0.76, -0.35, 1]],
         "poses": [{"t": 0}, {"t": 1, "rotation": -8, "scale": 0.9}]},
        {"name": "astronaut", "mask": WOMAN, "trajectory": [[0.4, 0.6, 0]]}]}),
    "lean": ("astronaut", {"fill_from": WALL, "entities": [
        {"name": "astronaut", "mask": WOMAN, "trajectory": [[0.43, 0.16, 0], [0.5, 0.17, 0.4], [0.37, 0.18, 1]],
         "handles": [[[0.2, 0.93, 0]], [[0.5, 0.93, 0]]]}]}),
    "both": ("astronaut", {"background": [[0.5, 0.5, 0], [0.53, 0.5, 1]], "entities": [
        {"name": "shuttle", "mask": ("astronaut", 0), "trajectory": [[0.8, 0.35, 0], [0.79, 0.2, 0.6], [0.77, 0.1, 1]]},
        {"name": "astronaut", "mask": WOMAN, "trajectory": [[0.43, 0.16, 0], [0.4, 0.18, 0.5], [0.45, 0.2, 1]],
         "handles": [[[0.2, 0.93, 0]], [[0.5, 0.93, 0]]]}]}),
    "nearer": ("cat", {"view": {"about": [0.42, 0.45], "poses": [{"t": 1, "rotation": -4, "scale": 1.7}]}, "entities": [
        {"name": "cat", "mask": ("cat", 0), "trajectory": [[0.5, 0.7, 0], [0.51, 0.69, 0.5], [0.52, 0.71, 1]],
         "poses": [{"t": 0}, {"t": 1, "scale": 1.1, "rotation": 3}]}]}),
}

(HERE / "gallery").mkdir(exist_ok=True)
made = {}
for name, (sample, scene) in SCENES.items():
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    image = Image.open(HERE / f"{sample}.jpg").convert("RGB")
    for entity in scene["entities"]:
        shape = entity["mask"]
        key = (sample, str(shape))
        if key not in made:
            made[key] = shipped(*shape) if isinstance(shape, tuple) else mask_of(shape, sample, image.size)
        entity["mask"] = made[key]
    head = {"dragentity": 1, "picture": {"width": image.width, "height": image.height, "hash": picture_hash(image)}}
    preset = HERE / "gallery" / f"{name}.json"
    preset.write_text(json.dumps(head | {"order": "automatic"} | scene, separators=(",", ":")) + "\n")
    with tempfile.TemporaryDirectory() as work:
        command = [PROGRAM, "generate", "--image", f"{HERE}/{sample}.jpg", "--preset", str(preset), "--frames", "9", "-o", f"{work}/frames"]
        subprocess.run(command, check=True)
        frame = sorted(Path(work, "frames").iterdir())[6]
        small = Image.open(frame).convert("RGB")
        # All of one shape, so that they stand in rows.
        width = min(small.width, small.height * 4 // 3)
        left, high = (small.width - width) // 2, width * 3 // 4
        small.crop((left, 0, left + width, high)).resize((192, 144), Image.LANCZOS).save(HERE / "gallery" / f"{name}.jpg", quality=82)
