"""Writes the files of crates/core/tests/exchange.rs, in the exact forms of the programs they are named after.

    pip install numpy && python tests/exchange/make_exchange.py

One motion in all of them, on a picture of 640 x 480 pixels: one thing goes from a quarter of the way along a curve, another is
held at (0.5, 0.75).
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
PICTURE = np.array([640, 480])


def moving(frames):
    """Fractions of the picture, a row a frame."""
    t = np.linspace(0, 1, frames)
    return np.stack([0.25 + 0.5 * t, 0.25 + 0.3 * t * t], axis=1)


def held(frames):
    return np.tile([0.5, 0.75], (frames, 1))


def objects(points):
    return [{"x": float(x), "y": float(y)} for x, y in points]


def write_json(name, value):
    # As JavaScript's JSON.stringify: no spaces.
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")))


def kjnodes():
    write_json("kjnodes.json", [objects(moving(81) * PICTURE), objects(held(81) * PICTURE)])
    write_json("kjnodes_single.json", objects(moving(81) * PICTURE))
    (HERE / "kjnodes_python.txt").write_text(str([objects(moving(81) * PICTURE)]))
    line = [{"x": 160, "y": 120, "h2x": 200, "h2y": 120}, {"x": 320, "y": 120, "h1x": 280, "h1y": 120}, {"x": 480, "y": 120}]
    write_json(
        "kjnodes_splines.json",
        [
            {"points": line, "color": "#1f77b4", "name": "cat"},
            {"points": [{"x": 320, "y": 360}], "color": "#ff7f0e", "name": "tree", "isSinglePoint": True},
            {"points": [{"x": 160, "y": 240}, {"x": 480, "y": 240}], "color": "#2ca02c", "name": "cat"},
        ],
    )


def ati():
    write_json("ati.json", [objects(moving(121) * PICTURE), objects(held(121) * PICTURE)])


def dragnuwa():
    # Its demo scales the picture until it covers 576 x 320, and cuts the middle out of it.
    scale = max(576 / PICTURE[0], 320 / PICTURE[1])
    cut = (PICTURE * scale - [576, 320]) / 2
    track = np.floor(moving(14) * PICTURE * scale - cut).astype(int).tolist()
    point = np.floor(held(1) * PICTURE * scale - cut).astype(int).tolist()
    (HERE / "dragnuwa.json").write_text(json.dumps([track, point]))


def sg_i2v():
    size = np.array([1024, 576])
    boxes = []
    for path in (moving(14), held(14)):
        middle = path[0] * size
        corners = np.array([middle - [51.2, 28.8], middle + [51.2, 28.8]])
        boxes.append(np.concatenate([corners, path * size]))
    np.save(HERE / "sg_i2v_traj.npy", np.array(boxes))


def wan_move():
    tracks = np.stack([moving(81) * PICTURE, held(81) * PICTURE], axis=1)[None]
    np.save(HERE / "wan_move_tracks.npy", tracks.astype(np.float32))
    np.save(HERE / "wan_move_tracks_by_columns.npy", np.asfortranarray(tracks[0]))
    visibility = np.ones((1, 81, 2), dtype=bool)
    visibility[0, 40, 1] = False
    np.save(HERE / "wan_move_visibility.npy", visibility)
    np.save(HERE / "pickled.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)


def text():
    for name, frames in (("motionctrl.txt", 16), ("tora.txt", 49)):
        points = np.floor(moving(frames) * 256).astype(int)
        (HERE / name).write_text("\n".join(f"{x}, {y}" for x, y in points))


for make in (kjnodes, ati, dragnuwa, sg_i2v, wan_move, text):
    make()
