#!/usr/bin/env python3
"""Writes blaze_pose.safetensors: what TensorFlow Lite's interpreter makes of npm's BlazePose, whose weights models/blaze_pose has.

    scripts/fetch-pose --again
    pip install ai-edge-litert numpy pillow safetensors && python tests/goldens/make_blaze_pose.py

The pictures are mobile_sam_*.png, in the corner at the top left of a black square, which has the network's size, so that module
and interpreter see the same pixels: a person, the same one lying (the square turned by a quarter), and a cat. Of masks and heat
maps every so many rows and columns are kept. `crates/networks/tests/parity_blaze_pose.rs` compares the shipped weights in the
module with them.
"""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from safetensors.numpy import save_file

HERE = Path(__file__).parent
MODEL = HERE.parent.parent / ".cache/pose/package/pose_landmark_full.tflite"
SIDE = 256
# From half of it on.
MASK_STEP, HEAT_STEP = 4, 8
# In the order of the graph's outputs.
OUTPUTS = ["places", "flag", "mask", "heat"]


def square(name):
    picture = Image.open(HERE / f"mobile_sam_{name}.png").convert("RGB")
    crop = Image.new("RGB", (SIDE, SIDE))
    crop.paste(picture)
    return np.asarray(crop)


def answers(pixels):
    interpreter = Interpreter(str(MODEL))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[None].astype(np.float32) / 255)
    interpreter.invoke()
    outputs = sorted(interpreter.get_output_details(), key=lambda output: output["name"])
    found = {name: interpreter.get_tensor(output["index"]) for name, output in zip(OUTPUTS, outputs)}
    # A probability there, as the places' own are not.
    found["flag"] = np.log(found["flag"] / (1 - found["flag"]))
    planes = {name: found[name].transpose(0, 3, 1, 2) for name in ("mask", "heat")}
    keep = lambda value, step: np.ascontiguousarray(value[:, :, step // 2 :: step, step // 2 :: step])
    return {
        "places": found["places"].reshape(1, -1, 1, 1),
        "flag": found["flag"].reshape(1, 1, 1, 1),
        "mask": keep(planes["mask"], MASK_STEP),
        "heat": keep(planes["heat"], HEAT_STEP),
    }


def main():
    person = square("astronaut")
    pictures = {"person": person, "lying": np.rot90(person, -1), "cat": square("cat")}
    goldens = {}
    for name, pixels in pictures.items():
        for output, value in answers(np.ascontiguousarray(pixels)).items():
            goldens[f"{name}.{output}"] = value.astype(np.float32)
            print(name, output, value.shape, f"{value.min():.3f} to {value.max():.3f}")
    save_file(goldens, HERE / "blaze_pose.safetensors")


if __name__ == "__main__":
    main()
