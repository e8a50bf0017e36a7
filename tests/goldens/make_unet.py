"""Writes the goldens of crates/networks/tests/parity_unet.rs and crates/core/src/scheduler/mod.rs: unet.safetensors (outputs of diffusers
on synthetic weights), unet_config.json and controlnet_config.json, svd_unet_tensors.json (names and shapes of
the published UNet), scheduler.json. Run: python tests/goldens/make_unet.py
"""

import json
from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from diffusers.models.unets.unet_3d_blocks import CrossAttnDownBlockSpatioTemporal
from safetensors.torch import save_file
from torch import nn

from synthetic import fill, picture

HERE = Path(__file__).parent
out = {}

UNET = dict(
    in_channels=8,
    out_channels=4,
    down_block_types=["CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
    up_block_types=["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
    block_out_channels=[32, 64],
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=24,
    layers_per_block=1,
    cross_attention_dim=16,
    num_attention_heads=[2, 4],
)
CONDITIONS = dict(
    conditioning_channels=3,
    conditioning_embedding_out_channels=[4, 6, 8],
    feature_embedding_out_channels=[5, 6, 8],
    moved_latent_channels=4,
    zero_init=True,
)


def inputs(**shapes):
    return {name: torch.from_numpy(picture(f"unet.{name}", shape)) for name, shape in shapes.items()}


class ControlNet(nn.Module):
    """DragAnything's ControlNet put together from diffusers' parts: the encoder of a UNet, two
    stacks of convolutions for the conditions, one 1x1 convolution for each feature."""

    def __init__(self, config, conditions, accumulate=True):
        super().__init__()
        self.accumulate = accumulate
        unet = UNetSpatioTemporalConditionModel(**config)
        for part in ["conv_in", "time_embedding", "add_embedding", "down_blocks", "mid_block"]:
            setattr(self, part, getattr(unet, part))
        self.time_proj, self.add_time_proj = [unet.time_proj], [unet.add_time_proj]
        channels = unet.config.block_out_channels
        first, last = channels[0], channels[-1]
        heat = conditions["conditioning_embedding_out_channels"]
        entity = conditions["feature_embedding_out_channels"]

        def halving(widths):
            convs = nn.ModuleList()
            for a, b in zip(widths, widths[1:]):
                convs += [nn.Conv2d(a, a, 3, padding=1), nn.Conv2d(a, b, 3, padding=1, stride=2)]
            return convs

        embedding = nn.Module()
        embedding.conv_in = nn.Conv2d(conditions["conditioning_channels"], heat[0], 3, padding=1)
        embedding.blocks = halving(heat)
        embedding.conv_out = nn.Conv2d(heat[-1], first, 3, padding=1)
        embedding.blocks_feature = halving(entity)
        embedding.conv_out_feature = nn.Conv2d(entity[-1], first, 3, padding=1)
        self.controlnet_cond_embedding = embedding
        if conditions.get("moved_latent_channels"):
            moved = nn.Module()
            moved.conv_in = nn.Conv2d(conditions["moved_latent_channels"], first, 3, padding=1)
            moved.conv_out = nn.Conv2d(first, first, 3, padding=1)
            self.moved_latent_embedding = moved
        # conv_in, then of each level its layers and, but for the last, its downsampler.
        self.levels, widths = [None], [first]
        for level, block in enumerate(unet.down_blocks):
            count = len(block.resnets) + len(block.downsamplers or [])
            self.levels += [level] * count
            widths += [channels[level]] * count
        self.controlnet_down_blocks = nn.ModuleList(nn.Conv2d(c, c, 1) for c in widths)
        self.controlnet_mid_block = nn.Conv2d(last, last, 1)

    def forward(self, sample, timestep, context, ids, heat_map, entity_map, moved=None, scale=1.0):
        silu = nn.functional.silu
        batch, frames = sample.shape[:2]
        emb = self.time_embedding(self.time_proj[0](timestep))
        emb = emb + self.add_embedding(self.add_time_proj[0](ids.flatten()).reshape(batch, -1))
        emb = emb.repeat_interleave(frames, 0)
        context = context.repeat_interleave(frames, 0)

        conditions = self.controlnet_cond_embedding
        heat = silu(conditions.conv_in(heat_map.flatten(0, 1)))
        for conv in conditions.blocks:
            heat = silu(conv(heat))
        entity = entity_map.flatten(0, 1)
        for conv in conditions.blocks_feature:
            entity = silu(conv(entity))
        x = self.conv_in(sample.flatten(0, 1))
        x = x + conditions.conv_out(heat) + conditions.conv_out_feature(entity)
        if moved is not None:
            m = self.moved_latent_embedding
            x = x + m.conv_out(silu(m.conv_in(moved.flatten(0, 1))))

        image_only = torch.zeros(batch, frames)
        features = (x,)
        for block in self.down_blocks:
            if getattr(block, "has_cross_attention", False):
                x, new = block(x, emb, context, image_only)
            else:
                x, new = block(x, emb, image_only)
            features += new
        x = self.mid_block(x, emb, context, image_only)
        n = len(self.down_blocks)
        out = []
        for level, feature, conv in zip(self.levels, features, self.controlnet_down_blocks):
            times = 1 if not self.accumulate else n if level is None else n - level
            out.append(conv(feature) * scale * times)
        return out, self.controlnet_mid_block(x) * scale


class SteeredUNet(UNetSpatioTemporalConditionModel):
    """diffusers' UNet whose middle block's output and skipped features get a ControlNet's added, `residuals`."""

    def steer(self):
        def block_hook(first, count):
            def hook(_module, _args, output):
                x, skips = output
                down, _ = self.residuals
                return x, tuple(s + r for s, r in zip(skips, down[first : first + count]))

            return hook

        first = 1
        for block in self.down_blocks:
            count = len(block.resnets) + (len(block.downsamplers) if block.downsamplers else 0)
            block.register_forward_hook(block_hook(first, count))
            first += count
        self.mid_block.register_forward_hook(lambda _m, _a, x: x + self.residuals[1])

        # conv_in's own feature is skipped to the last layer of the last up block.
        def last_skip(_module, args, kwargs):
            skips = kwargs["res_hidden_states_tuple"]
            kwargs["res_hidden_states_tuple"] = (skips[0] + self.residuals[0][0], *skips[1:])
            return args, kwargs

        self.up_blocks[-1].register_forward_pre_hook(last_skip, with_kwargs=True)


@torch.no_grad()
def down_block():
    block = CrossAttnDownBlockSpatioTemporal(
        in_channels=32,
        out_channels=64,
        temb_channels=16,
        num_layers=2,
        num_attention_heads=2,
        cross_attention_dim=12,
    )
    fill(block)
    batch, frames = 2, 3
    tensors = inputs(x=(batch * frames, 32, 6, 4), temb=(batch * frames, 16), context=(batch, 7, 12))
    run = lambda x: block(
        x, tensors["temb"], tensors["context"].repeat_interleave(frames, 0), torch.zeros(batch, frames)
    )
    x, skips = run(tensors["x"])
    # So faint that the first norm's epsilon shows.
    out["down_block.faint"] = run(tensors["x"] * 0.001)[0]
    out["down_block"] = x
    for i, skip in enumerate(skips):
        out[f"down_block.skips.{i}"] = skip.clone()


@torch.no_grad()
def unet_and_controlnet():
    unet = SteeredUNet(**UNET)
    fill(unet)
    batch, frames, height, width = 2, 3, 6, 4
    tensors = inputs(
        sample=(batch, frames, 8, height, width),
        context=(batch, 5, 16),
        one_token=(batch, 1, 16),
        # 3 is odd: the way up has to meet the size of the way down.
        odd_sample=(batch, frames, 8, 5, 3),
    )
    timestep, ids = torch.tensor([0.9, -1.3]), torch.tensor([[6.0, 127.0, 0.02], [7.0, 40.0, 0.1]])
    run = lambda sample, context: unet(sample, timestep, context, ids, return_dict=False)[0]
    out["unet"] = run(tensors["sample"], tensors["context"])
    out["unet.one_token"] = run(tensors["sample"], tensors["one_token"])
    out["unet.odd"] = run(tensors["odd_sample"], tensors["context"])

    control = ControlNet(UNET, CONDITIONS)
    fill(control)
    maps = inputs(
        heat_map=(batch, frames, 3, 4 * height, 4 * width),
        entity_map=(batch, frames, 5, 4 * height, 4 * width),
        moved=(batch, frames, 4, height, width),
    )
    args = (tensors["sample"], timestep, tensors["context"], ids)
    down, mid = control(*args, maps["heat_map"], maps["entity_map"], maps["moved"], 0.75)
    for i, residual in enumerate(down):
        out[f"controlnet.down.{i}"] = residual
    out["controlnet.mid"] = mid

    unet.residuals = (down, mid)
    unet.steer()
    out["unet.steered"] = run(tensors["sample"], tensors["context"])
    (HERE / "unet_config.json").write_text(json.dumps(UNET, indent=1) + "\n")
    (HERE / "controlnet_config.json").write_text(json.dumps({**UNET, **CONDITIONS}, indent=1) + "\n")


def tensor_list():
    """Names and shapes of Stable Video Diffusion's UNet, without its weights."""
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel()
    rows = [json.dumps([name, list(v.shape)]) for name, v in sorted(unet.state_dict().items())]
    (HERE / "svd_unet_tensors.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


def scheduler():
    svd = dict(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_spacing="leading",
        timestep_type="continuous",
        use_karras_sigmas=True,
        steps_offset=1,
        interpolation_type="linear",
        num_train_timesteps=1000,
    )
    cases = []
    for change, steps in [
        ({}, 25),
        ({}, 8),
        ({}, 1),
        ({"prediction_type": "epsilon", "timestep_spacing": "linspace", "sigma_max": 20.0}, 6),
        ({"prediction_type": "sample", "timestep_type": "discrete", "beta_schedule": "linear"}, 5),
        ({"timestep_type": "discrete", "final_sigmas_type": "sigma_min", "timestep_spacing": "trailing"}, 5),
    ]:
        config = svd | change
        s = EulerDiscreteScheduler(**config)
        s.set_timesteps(steps)
        s.set_begin_index(0)  # clamped discrete timesteps may repeat
        generator = torch.Generator().manual_seed(7)
        x = torch.randn(1, generator=generator) * s.init_noise_sigma
        trace = []
        for t in s.timesteps:
            scaled = s.scale_model_input(x, t)
            y = torch.randn(1, generator=generator)
            before = x
            result = s.step(y, t, x)
            x = result.prev_sample
            trace.append(
                [float(v) for v in (before, scaled, y, x, result.pred_original_sample)]
            )
        cases.append(
            dict(
                config=config,
                steps=steps,
                sigmas=s.sigmas.double().tolist(),
                timesteps=s.timesteps.double().tolist(),
                init_noise_sigma=float(s.init_noise_sigma),
                trace=trace,
            )
        )
    (HERE / "scheduler.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    scheduler()
    down_block()
    unet_and_controlnet()
    tensor_list()
    save_file(out, HERE / "unet.safetensors")
