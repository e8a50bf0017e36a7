"""Counts what a default generation with models/mini costs, by PyTorch's flop counter (a multiplication and an addition
are two) on diffusers' classes of the same configuration. Run: python tests/goldens/count_flops.py

The ControlNet is the UNet's first half. Not counted, being small: entity encoder, preview decoder, condition encoders.
"""

import inspect
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from torch.utils.flop_counter import FlopCounterMode

MINI = Path(__file__).parents[2] / "models" / "mini"


def configuration(part):
    values = json.loads((MINI / part / "config.json").read_text())
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if not k.startswith("_")}


def count(run):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return {name: sum(ops.values()) / 1e9 for name, ops in counter.get_flop_counts().items()}


index = json.loads((MINI / "model_index.json").read_text())
frames, steps, side = index["frames"], index["steps"], index["sample_side"]
latent = side // index["condition"]["vae_factor"]

config = configuration("unet")
unet = UNetSpatioTemporalConditionModel(**config).eval()
tokens = torch.randn(1, (side // 8) ** 2, config["cross_attention_dim"])
sample = torch.randn(1, frames, config["in_channels"], latent, latent)
flops = count(lambda: unet(sample, torch.tensor(1.0), tokens, torch.randn(1, 3)))
whole = flops["Global"]
prefix = type(unet).__name__ + "."
half = sum(v for name, v in flops.items() if name.removeprefix(prefix).split(".")[0] in
           ("conv_in", "time_embedding", "add_embedding", "mid_block") and name.count(".") == 1)
half += sum(v for name, v in flops.items() if name.startswith(prefix + "down_blocks.") and name.count(".") == 2)

config = configuration("vae")
groups = config.pop("norm_num_groups")
names = inspect.signature(AutoencoderKLTemporalDecoder.__init__).parameters
# diffusers fixes 32 groups, which these channels are not multiples of; norms cost nothing here.
norm = torch.nn.GroupNorm
torch.nn.GroupNorm = lambda num_groups, num_channels, **more: norm(groups, num_channels, **more)
vae = AutoencoderKLTemporalDecoder(**{k: v for k, v in config.items() if k in names}).eval()
picture = torch.randn(1, 3, side, side)
encode = count(lambda: vae.encode(picture))["Global"]
latents = torch.randn(frames, config["latent_channels"], latent, latent)
decode = count(lambda: vae.decode(latents, num_frames=frames))["Global"]

rows = [
    ("UNet, one step", whole),
    ("ControlNet, one step", half),
    (f"both, {steps} steps", (whole + half) * steps),
    (f"VAE, first frame and {frames} of the draft encoded", encode * (1 + frames)),
    (f"VAE, {frames} frames of the result and of the draft decoded", decode * 2),
]
for name, value in rows:
    print(f"{value:8.1f} GFLOP  {name}")
print(f"{sum(value for _, value in rows[2:]):8.1f} GFLOP  in all")
