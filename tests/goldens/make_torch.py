#!/usr/bin/env python3
"""Writes torch.pth, nested.pth, view.pth and old.pth: checkpoints as PyTorch saves them. `crates/networks/tests/weights/torch.rs` reads them.

    python tests/goldens/make_torch.py
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent


def main():
    ramp = torch.arange(24, dtype=torch.float32)
    weights = OrderedDict(
        {
            "a.weight": nn.Parameter(ramp.reshape(2, 3, 4) / 8 - 1),
            "a.half": (ramp[:6] - 2.5).half(),
            "a.brain": (ramp[:4] - 1.5).bfloat16(),
            "a.double": ramp[:3].double() / 3,
            # A part of what the first holds: one storage, two tensors.
            "b.part": (ramp.reshape(2, 3, 4) / 8 - 1)[1],
            "b.one": torch.tensor(7.5),
            "b.none": torch.zeros(0, 5),
            "b.num_batches_tracked": torch.tensor(3),
        }
    )
    torch.save(weights, HERE / "torch.pth")
    torch.save({"epoch": 3, "model": weights, "args": {"lr": 0.1, "names": ["x", None, True]}}, HERE / "nested.pth")
    torch.save({"turned": ramp.reshape(4, 6).t()}, HERE / "view.pth")
    torch.save(weights, HERE / "old.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
