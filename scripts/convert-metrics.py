"""Writes a network that pictures or videos are measured with as safetensors, from a checkpoint of flax.

    python3 scripts/convert-metrics.py lpips alexnet.ckpt OUT.safetensors
    python3 scripts/convert-metrics.py i3d i3d-kinetics-400.ckpt OUT.safetensors

Needs nothing but Python: the checkpoint is a pickle of dictionaries of NumPy's arrays, which are read here as bytes. Nothing
else that a pickle might name is made.
"""

import json
import pickle
import sys
from array import array
from math import prod
from pathlib import Path


class Dtype:
    """What is left of numpy.dtype."""

    def __init__(self, kind, *_):
        if kind != "f4":
            raise pickle.UnpicklingError(f"numbers are {kind}, not f4")

    def __setstate__(self, state):
        if state[1] != "<":
            raise pickle.UnpicklingError("numbers are not little-endian")


class Array:
    """What is left of numpy.ndarray: shape and numbers, in C's order."""

    def __setstate__(self, state):
        _, self.shape, _, fortran, data = state
        self.numbers = array("f", data)
        if fortran or len(self.numbers) != prod(self.shape):
            raise pickle.UnpicklingError("an array is not as long as its shape says, or in Fortran's order")


class Unpickler(pickle.Unpickler):
    known = {
        ("numpy.core.multiarray", "_reconstruct"): lambda *_: Array(),
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Dtype,
    }

    def find_class(self, module, name):
        try:
            return self.known[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint") from None


def kernel(value):
    """`[..., in, out]` as flax has it, to `[out, in, ...]` as PyTorch does."""
    *sides, channels, out = value.shape
    places = prod(sides)
    turned = array("f", bytes(4 * len(value.numbers)))
    for o in range(out):
        one = value.numbers[o::out]
        for place in range(places):
            start = o * channels * places + place
            turned[start : (o + 1) * channels * places : places] = one[place * channels : (place + 1) * channels]
    return [out, channels, *sides], turned


def vector(value):
    """One number for each channel, whatever other axes of length one there are."""
    return [len(value.numbers)], value.numbers


def lpips(tree):
    tensors = {}
    for i in range(5):
        conv = tree["AlexNet_0"][f"Conv_{i}"]
        tensors[f"conv.{i}.weight"], tensors[f"conv.{i}.bias"] = kernel(conv["kernel"]), vector(conv["bias"])
        tensors[f"lin.{i}.weight"] = kernel(tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"])
    return tensors


BRANCHES = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
}


def i3d(tree):
    """Under the names of rgb_imagenet.pt, whose batch norms have scales that are all one here."""
    tensors = {}

    def unit(name, layer, norm, statistics):
        tensors[f"{name}.conv3d.weight"] = kernel(layer["kernel"])
        mean, variance = vector(statistics["mean"]), vector(statistics["var"])
        tensors[f"{name}.bn.weight"] = mean[0], array("f", [1.0]) * len(mean[1])
        tensors[f"{name}.bn.bias"] = vector(norm["bias"])
        tensors[f"{name}.bn.running_mean"], tensors[f"{name}.bn.running_var"] = mean, variance

    params, stats = tree["params"], tree["batch_stats"]
    for name, layers in params.items():
        if name.startswith("Conv3d"):
            unit(name, layers["Conv_0"], layers["BatchNorm_0"], stats[name]["BatchNorm_0"])
        elif name.startswith("Mixed"):
            for ours, theirs in BRANCHES.items():
                both = layers[theirs], stats[name][theirs]
                unit(f"{name}.{ours}", both[0]["Conv_0"], both[0]["BatchNorm_0"], both[1]["BatchNorm_0"])
    logits = params["Logits/Conv3d_0c_1x1"]["Conv_0"]
    tensors["logits.conv3d.weight"], tensors["logits.conv3d.bias"] = kernel(logits["kernel"]), vector(logits["bias"])
    return tensors


def save(tensors, path):
    header, at = {}, 0
    for name, (shape, numbers) in sorted(tensors.items()):
        end = at + 4 * len(numbers)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, (_, numbers) in sorted(tensors.items()):
            numbers.tofile(file)


def main():
    kinds = {"lpips": lpips, "i3d": i3d}
    if len(sys.argv) != 4 or sys.argv[1] not in kinds or sys.byteorder != "little":
        sys.exit("usage: convert-metrics.py lpips|i3d CHECKPOINT OUT, on a little-endian machine")
    with Path(sys.argv[2]).open("rb") as file:
        tree = Unpickler(file).load()
    save(kinds[sys.argv[1]](tree), sys.argv[3])


main()
