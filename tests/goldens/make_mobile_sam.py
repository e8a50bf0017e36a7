#!/usr/bin/env python3
"""Writes mobile_sam.safetensors and mobile_sam_*.png: what onnxruntime makes of npm's MobileSAM, whose weights
models/mobile_sam has in 16 bits.

    scripts/fetch-mobile-sam --again
    pip install numpy onnx onnxruntime pillow && python tests/goldens/make_mobile_sam.py

For each picture of www/samples: a part of its embedding, and of the logits of all four masks with their scores, for the
prompts below. Each picture comes twice. Resized as the published predictor does it, with PIL, it is another one than the
module sees, by up to 4 of 255: JPEG and resizing leave so much open. So it comes once more in pixels that are the same on both
sides: small, as PNG, each pixel enlarged to a block of 4 x 4. `crates/networks/tests/parity_mobile_sam.rs` compares the shipped
weights in the module with both. How far all moves by rounding the weights alone, in onnxruntime, is printed: the test's
bounds stand on that.
"""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PACKAGE = ROOT / ".cache/mobile-sam/package/dist"
MEAN, DEVIATION = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
SIDE = 1024
# Pixels of the network's square to one of a small picture, each way.
BLOCK = 4
# Every so many rows and columns of an embedding and of masks are kept, from half of that on.
EMBEDDING_STEP, MASK_STEP = 8, 8
# Two places to click, and a box, in fractions of the picture; each click alone, the first with the second outside (upon the
# first one's best mask), and the box with the first.
PROMPTS = {
    "cat": ([0.45, 0.35], [0.92, 0.6], [0.05, 0.02, 0.82, 0.98]),
    "astronaut": ([0.45, 0.2], [0.82, 0.33], [0.03, 0.02, 0.72, 0.99]),
    "coffee": ([0.5, 0.3], [0.61, 0.66], [0.12, 0.1, 0.8, 0.95]),
}
# Logits and scores of all four masks, of which the package's graph gives one.
OUTPUTS = ["/MatMul_1_output_0", "/Flatten_1_output_0"]

spec = importlib.util.spec_from_file_location("convert", ROOT / "scripts/convert-mobile-sam.py")
convert = importlib.util.module_from_spec(spec)
spec.loader.exec_module(convert)


def session(name, rounded):
    """The package's graph, which gives all masks; with weights as the shipped file has them when `rounded`."""
    model = onnx.load(PACKAGE / f"{name}.onnx")
    if rounded:
        for tensor in model.graph.initializer:
            value = convert.half(tensor.name, numpy_helper.to_array(tensor)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    if name == "sam":
        model.graph.output.extend(onnx.ValueInfoProto(name=output) for output in OUTPUTS)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class MobileSam:
    def __init__(self, rounded):
        self.encoder, self.decoder = session("encoder", rounded), session("sam", rounded)

    def embedding(self, picture):
        pixels = (np.asarray(picture, np.float32) - MEAN) / DEVIATION
        square = np.zeros((1, 3, SIDE, SIDE), np.float32)
        square[0, :, : picture.height, : picture.width] = pixels.transpose(2, 0, 1)
        return self.encoder.run(None, {"input": square})[0]

    def masks(self, embedding, points, mask=None):
        """Logits and scores of four masks, for places in pixels of the square with their labels."""
        if not any(label > 1 for _, label in points):
            points = [*points, ([0.0, 0.0], -1)]
        feed = {
            "image_embeddings": embedding,
            "point_coords": np.float32([[place for place, _ in points]]),
            "point_labels": np.float32([[label for _, label in points]]),
            "mask_input": np.zeros((1, 1, 256, 256), np.float32) if mask is None else mask,
            "has_mask_input": np.float32([mask is not None]),
            "orig_im_size": np.float32([SIDE, SIDE]),
        }
        logits, scores = self.decoder.run(OUTPUTS, feed)
        return logits.reshape(1, 4, 256, 256), scores.reshape(1, 4)


def resized(picture, side):
    scale = side / max(picture.size)
    return picture.resize([int(length * scale + 0.5) for length in picture.size], Image.BILINEAR)


def pictures(name):
    """As the network sees it: resized, and in blocks."""
    picture = Image.open(ROOT / f"www/samples/{name}.jpg").convert("RGB")
    small = resized(picture, SIDE // BLOCK)
    small.save(HERE / f"mobile_sam_{name}.png", optimize=True)
    blocks = small.resize([length * BLOCK for length in small.size], Image.NEAREST)
    return {name: resized(picture, SIDE), f"{name}.small": blocks}


def answers(sam, picture, clicked):
    embedding = sam.embedding(picture)
    place = lambda at: [a * length - 0.5 for a, length in zip(at, picture.size)]
    first, second, box = clicked
    corners = [(place(box[:2]), 2), (place(box[2:]), 3)]
    both = [(place(first), 1), (place(second), 0)]
    found = {"embedding": embedding}
    found["first.masks"], found["first.scores"] = sam.masks(embedding, both[:1])
    found["second.masks"], found["second.scores"] = sam.masks(embedding, [(place(second), 1)])
    best = 1 + found["first.scores"][0, 1:].argmax()
    found["refined.masks"], found["refined.scores"] = sam.masks(embedding, both, found["first.masks"][:, best : best + 1])
    found["box.masks"], found["box.scores"] = sam.masks(embedding, [both[0], *corners])
    for kind in ("refined", "box"):
        # One mask is asked for there.
        found[f"{kind}.masks"], found[f"{kind}.scores"] = found[f"{kind}.masks"][:, :1], found[f"{kind}.scores"][:, :1]
    return found


def kept(name, value):
    step = EMBEDDING_STEP if name == "embedding" else MASK_STEP
    return value if name.endswith("scores") else value[:, :, step // 2 :: step, step // 2 :: step].astype(np.float16)


def main():
    exact, rounded = MobileSam(False), MobileSam(True)
    goldens = {}
    seen = [(name, picture, PROMPTS[of]) for of in PROMPTS for name, picture in pictures(of).items()]
    for name, picture, clicked in seen:
        theirs, ours = answers(exact, picture, clicked), answers(rounded, picture, clicked)
        for kind, value in theirs.items():
            goldens[f"{name}.{kind}"] = kept(kind, value)
            away = abs(ours[kind] - value)
            largest = abs(value).max()
            print(f"{name} {kind}: {away.max() / largest:.1e} of the largest, {largest:.3g}, away at most")
    size = convert.write(goldens, HERE / "mobile_sam.safetensors")
    print(f"{size} bytes")


if __name__ == "__main__":
    main()
