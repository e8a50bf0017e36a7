"""Writes vae.safetensors (outputs of diffusers on synthetic weights) and svd_vae_tensors.json (names and
shapes of the published autoencoder). Run: python tests/goldens/make_vae.py
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKLTemporalDecoder
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D, SpatioTemporalResBlock, TemporalResnetBlock
from diffusers.models.upsampling import Upsample2D
from safetensors.torch import save_file

from synthetic import fill, picture

HERE = Path(__file__).parent
torch.manual_seed(0)
out = {}


def inputs(name, *shape):
    return torch.from_numpy(picture(name, shape))


@torch.no_grad()
def blocks():
    # Widths change, height is not width, two clips of three frames.
    x = inputs("block.x", 6, 32, 2, 3)
    temb = inputs("block.temb", 6, 24)
    block = fill(ResnetBlock2D(in_channels=32, out_channels=64, temb_channels=24, eps=1e-5))
    out["resnet"] = block(x, temb)
    block = fill(ResnetBlock2D(in_channels=32, out_channels=32, temb_channels=None))
    out["resnet_no_temb"] = block(x, None)

    clip = x.reshape(2, 3, 32, 2, 3).permute(0, 2, 1, 3, 4)
    block = fill(TemporalResnetBlock(in_channels=32, out_channels=64, temb_channels=24, eps=1e-5))
    out["temporal"] = block(clip, temb.reshape(2, 3, 24)).permute(0, 2, 1, 3, 4).reshape(6, 64, 2, 3)

    video = torch.zeros(2, 3)
    for strategy in ["learned", "fixed", "learned_with_images"]:
        for switch in [False, True]:
            block = fill(
                SpatioTemporalResBlock(
                    in_channels=32,
                    out_channels=64,
                    temb_channels=24,
                    eps=1e-5,
                    temporal_eps=1e-2,
                    merge_strategy=strategy,
                    switch_spatial_to_temporal_mix=switch,
                )
            )
            out[f"spatio_temporal.{strategy}.{int(switch)}"] = block(x, temb, video)

    y = inputs("block.y", 2, 32, 5, 6)
    out["down.1"] = fill(Downsample2D(32, use_conv=True, out_channels=64, padding=1))(y)
    out["down.0"] = fill(Downsample2D(32, use_conv=True, out_channels=64, padding=0))(y)
    up = fill(Upsample2D(32, use_conv=True, out_channels=64))
    out["up"] = up(y[:, :, :2, :3])
    out["up.sized"] = up(y[:, :, :2, :3], output_size=(3, 5))
    attention = Attention(
        query_dim=32, heads=1, dim_head=32, eps=1e-6, norm_num_groups=32, bias=True, residual_connection=True
    )
    out["attention"] = fill(attention)(y)


@torch.no_grad()
def autoencoder():
    for name, channels, layers, latent, size in [
        ("small", (32, 64), 2, 4, (8, 12)),
        # The mini model's form: three levels, one layer, eight latent channels.
        ("mini", (32, 32, 64), 1, 8, (8, 16)),
        ("flat", (32,), 1, 4, (3, 4)),
    ]:
        vae = fill(
            AutoencoderKLTemporalDecoder(
                down_block_types=("DownEncoderBlock2D",) * len(channels),
                block_out_channels=channels,
                layers_per_block=layers,
                latent_channels=latent,
            )
        )
        moments = vae.encode(inputs(f"{name}.picture", 2, 3, *size)).latent_dist
        out[f"{name}.mean"] = moments.mean
        out[f"{name}.logvar"] = moments.logvar
        factor = 2 ** (len(channels) - 1)
        # Two clips of three frames.
        z = inputs(f"{name}.latent", 6, latent, size[0] // factor, size[1] // factor)
        out[f"{name}.frames"] = vae.decode(z, num_frames=3).sample


def published_tensors():
    # vae/config.json of stabilityai/stable-video-diffusion-img2vid.
    with torch.device("meta"):
        vae = AutoencoderKLTemporalDecoder(
            down_block_types=("DownEncoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=4,
        )
    rows = [json.dumps([name, list(t.shape)]) for name, t in sorted(vae.state_dict().items())]
    (HERE / "svd_vae_tensors.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    return len(rows)


blocks()
autoencoder()
save_file({k: v.contiguous() for k, v in out.items()}, HERE / "vae.safetensors")
print(published_tensors(), "tensors;", sum(v.numel() for v in out.values()), "numbers")
