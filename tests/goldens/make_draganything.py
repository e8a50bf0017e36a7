"""Writes draganything_tensors.json: names and shapes of the public DragAnything ControlNet, built on the meta device
from diffusers' blocks as its authors' program builds it. Run: python tests/goldens/make_draganything.py
"""

import json
from pathlib import Path

import torch
from diffusers import UNetSpatioTemporalConditionModel

from make_unet import ControlNet

HERE = Path(__file__).parent

# config.json of the public weights, as far as it decides on shapes.
CONDITIONS = dict(
    conditioning_channels=3,
    conditioning_embedding_out_channels=[16, 32, 96, 256],
    # Not in the file: fixed in the program.
    feature_embedding_out_channels=[160, 160, 256, 256],
)


def tensors():
    with torch.device("meta"):
        unet = dict(UNetSpatioTemporalConditionModel().config)
        control = ControlNet({k: v for k, v in unet.items() if not k.startswith("_")}, CONDITIONS)
    state = control.state_dict()
    rows = [json.dumps([name, list(t.shape)]) for name, t in sorted(state.items())]
    (HERE / "draganything_tensors.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    return len(rows), sum(t.numel() for t in state.values())


if __name__ == "__main__":
    print("%d tensors, %d numbers" % tensors())
