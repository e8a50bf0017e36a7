#!/usr/bin/env python3
"""BlazePose from TensorFlow Lite's graph to safetensors.

    python scripts/convert-pose.py pose_landmark_full.tflite model.safetensors

scripts/fetch-pose calls it. The graph's own names are what an optimiser left of several joined ones ("..._19/depthwise;conv2d/
Conv2D"), the same ones more than once. So its convolutions are named by their order, as crates/networks/src/blaze_pose has them;
the kind of each, its kernel, step and channels are compared with what the network there has in that place. Numbers stay what they
are, 16 bits as in the graph; kernels are turned from [to, height, width, from] to [to, from, height, width]. The head for places in
metres (`convworld_3d`) is left out: nobody asks it.
"""

import sys
from pathlib import Path

import numpy as np
import tflite
from safetensors.numpy import save_file

# Of the inverted bottlenecks: channels in, within, out, side of the kernel, step.
BLOCKS = [
    (16, 64, 24, 3, 2),
    (24, 144, 24, 3, 1),
    (24, 144, 32, 5, 2),
    (32, 192, 32, 5, 1),
    (32, 192, 64, 3, 2),
    (64, 384, 64, 3, 1),
    (64, 384, 64, 3, 1),
    (64, 384, 88, 5, 1),
    (88, 528, 88, 5, 1),
    (88, 528, 88, 5, 1),
    (88, 528, 144, 5, 2),
    (144, 864, 144, 5, 1),
    (144, 864, 144, 5, 1),
    (144, 864, 144, 5, 1),
]
# What is taken aside within a block that halves the resolution, after its first convolution: channels in, out.
ASIDE = {0: (16, 8), 2: (24, 48), 4: (32, 48), 10: (88, 48)}
CONV, DEPTHWISE = tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D


def separable(name, channels, to, step=1):
    yield f"{name}.depthwise", DEPTHWISE, channels, channels, 3, step
    yield f"{name}.pointwise", CONV, channels, to, 1, 1


def convolutions():
    """In the graph's order: name (None: left out), kind, channels in and out, side of the kernel, step."""
    yield "backbone.stem", CONV, 3, 24, 3, 2
    yield "backbone.first.depthwise", DEPTHWISE, 24, 24, 3, 1
    yield "backbone.first.pointwise", CONV, 24, 16, 1, 1
    for at, (channels, within, to, side, step) in enumerate(BLOCKS):
        name = f"backbone.blocks.{at}"
        yield f"{name}.expand", CONV, channels, within, 1, 1
        if at in ASIDE:
            yield from separable(f"decoder.laterals.{list(ASIDE).index(at)}", *ASIDE[at])
        yield f"{name}.depthwise", DEPTHWISE, within, within, side, step
        yield f"{name}.project", CONV, within, to, 1, 1
    yield "backbone.last.pointwise", CONV, 144, 864, 1, 1
    yield "backbone.last.depthwise", DEPTHWISE, 864, 864, 3, 1
    yield from separable("decoder.laterals.4", 864, 48)
    yield from separable("decoder.narrow", 48, 8)
    for at in range(4):
        yield from separable(f"decoder.blocks.{at}", 8, 8)
    yield "decoder.mask", CONV, 8, 1, 3, 1
    yield "decoder.heatmap", CONV, 48, 39, 1, 1
    yield from separable("landmarks.narrow", 864, 288)
    for at in range(11):
        yield from separable(f"landmarks.blocks.{at}", 288, 288, 2 if at in (0, 5) else 1)
    yield "landmarks.places", CONV, 288, 195, 2, 1
    yield None, CONV, 288, 117, 2, 1
    yield "landmarks.flag", CONV, 288, 1, 2, 1


class Graph:
    def __init__(self, file):
        self.model = tflite.Model.GetRootAsModel(Path(file).read_bytes(), 0)
        assert self.model.SubgraphsLength() == 1
        self.graph = self.model.Subgraphs(0)
        operators = [self.graph.Operators(at) for at in range(self.graph.OperatorsLength())]
        # Weights are stored in 16 bits, and widened by an operator each.
        self.narrow = {op.Outputs(0): op.Inputs(0) for op in operators if self.kind(op) == tflite.BuiltinOperator.DEQUANTIZE}
        self.convolutions = [op for op in operators if self.kind(op) in (CONV, DEPTHWISE)]

    def kind(self, op):
        code = self.model.OperatorCodes(op.OpcodeIndex())
        return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())

    def step(self, op):
        options = tflite.Conv2DOptions() if self.kind(op) == CONV else tflite.DepthwiseConv2DOptions()
        table = op.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        assert options.StrideH() == options.StrideW()
        return options.StrideH()

    def weights(self, at):
        tensor = self.graph.Tensors(self.narrow[at])
        assert tensor.Type() == tflite.TensorType.FLOAT16
        return self.model.Buffers(tensor.Buffer()).DataAsNumpy().view("<f2").reshape(tensor.ShapeAsNumpy())


def tensors_of(graph):
    tensors = {}
    for (name, kind, channels, to, side, step), op in zip(convolutions(), graph.convolutions, strict=True):
        kernel, bias = graph.weights(op.Inputs(1)), graph.weights(op.Inputs(2))
        shape = (1, side, side, to) if kind == DEPTHWISE else (to, side, side, channels)
        found = (graph.kind(op), kernel.shape, bias.shape, graph.step(op))
        assert found == (kind, shape, (to,), step), f"{name}: {found}"
        assert np.isfinite(kernel).all() and np.isfinite(bias).all(), name
        if name is None:
            continue
        order = (3, 0, 1, 2) if kind == DEPTHWISE else (0, 3, 1, 2)
        tensors[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(order))
        tensors[f"{name}.bias"] = np.ascontiguousarray(bias)
    return tensors


def main(file, to):
    tensors = tensors_of(Graph(file))
    save_file(tensors, to, {"source": "npm @mediapipe/pose 0.5.1675469404: BlazePose, full"})
    numbers = sum(value.size for value in tensors.values())
    print(f"{len(tensors)} tensors, {numbers / 1e6:.2f} million numbers, {Path(to).stat().st_size / 1e6:.2f} MB: {to}")


if __name__ == "__main__":
    main(*sys.argv[1:])
