"""What the scripts that show pictures and what `dragentity` makes of them have in common."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
# The program: the one that $DRAGENTITY_BIN names, or the one that `cargo build` made.
PROGRAM = os.environ.get("DRAGENTITY_BIN", ROOT / "target/debug/dragentity")
# What scripts/fetch-assets brings.
FILES = ROOT / "assets/files"


def run(*arguments):
    """Runs the program and returns what it prints."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()
    return done.stdout


def inside(mask):
    """Which pixels of a mask's file are inside."""
    return np.asarray(Image.open(mask).convert("L")) >= 128


def pictures(folder):
    """The frames that the program wrote into a folder, in their order; the file that marks the folder as its own is none."""
    return sorted(folder.glob("*.png"))


def runs(mask):
    """How many pixels are outside, inside, outside and so on, row by row, as presets have them."""
    flat = np.concatenate([[False], mask.ravel()])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()


def thing(mask, paths, **more):
    """A preset's entity: the first path leads, the others are handles; a path of one place is a pin."""
    height, width = mask.shape
    timed = [[[x, y, i / max(len(path) - 1, 1)] for i, (x, y) in enumerate(path)] for path in paths]
    return {
        "name": "thing",
        "mask": {"width": width, "height": height, "runs": runs(mask)},
        "trajectory": timed[0],
        "handles": timed[1:],
        **more,
    }


def tile(picture, size):
    """A picture in the middle of a tile of this size."""
    picture = picture.convert("RGB")
    picture.thumbnail(size, Image.LANCZOS)
    shown = Image.new("RGB", size, "white")
    shown.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return shown
