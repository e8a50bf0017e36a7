"""Writes the goldens of crates/pipeline/tests/parity_draganything.rs. Run: python tests/goldens/make_draganything.py

With a directory, writes there instead what the test `full_size` of that file wants: the ControlNet and Stable Diffusion
1.5 at their published sizes with synthetic weights in f16 (3.5 GB), and expected.safetensors. Run:
python tests/goldens/make_draganything.py DIR

draganything_tensors.json: names and shapes of the public ControlNet, built on the meta device from diffusers' blocks
as its authors' program builds it. sd15_tensors.json: those of Stable Diffusion 1.5.
draganything.json: what the maps and the steered pipeline are made from.
draganything.safetensors: the maps, as NumPy draws what the authors' data sets draw; features of Stable Diffusion, by
diffusers and transformers; the pipeline of diffusers with a steered UNet. All on synthetic weights.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLTemporalDecoder,
    DDIMScheduler,
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

import make_svd
from make_unet import UNET, ControlNet, SteeredUNet
from synthetic import fill, picture

HERE = Path(__file__).parent
out = {}

# config.json of the public weights, as far as it decides on shapes.
CONDITIONS = dict(
    conditioning_channels=3,
    conditioning_embedding_out_channels=[16, 32, 96, 256],
    # Not in the file: fixed in the program.
    feature_embedding_out_channels=[160, 160, 256, 256],
)
# A step of Stable Diffusion's training.
TIMESTEP = 261

# Masks are unions of boxes [x0, y0, x1, y1]; of tracks, only the way from the first position counts.
CASES = {
    # An L, a box at the lower edge that the second covers in part, one too small to be drawn, one that leaves.
    "maps": dict(
        width=40,
        height=32,
        frames=2,
        entities=[
            dict(boxes=[[2, 3, 12, 20], [2, 12, 24, 20]], track=[[0.0, 0.0], [6.4, -1.6]]),
            dict(boxes=[[14, 20, 40, 32]], track=[[5.0, 5.0], [5.0, 5.0]]),
            dict(boxes=[[30, 4, 34, 7]], track=[[31.0, 5.0], [20.0, 20.0]]),
            dict(boxes=[[28, 8, 38, 19]], track=[[30.0, 10.0], [42.3, 3.0]]),
        ],
    ),
    "steered": dict(
        width=32,
        height=24,
        frames=3,
        entities=[
            dict(boxes=[[3, 4, 15, 18]], track=[[9.0, 9.0], [12.0, 9.0], [16.0, 11.0]]),
            dict(boxes=[[20, 2, 31, 20]], track=[[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]),
        ],
    ),
}


def inputs(name, *shape):
    return torch.from_numpy(picture(name, shape))


def mask_of(case, entity):
    mask = np.zeros((case["height"], case["width"]), bool)
    for x0, y0, x1, y1 in entity["boxes"]:
        mask[y0:y1, x0:x1] = True
    return mask


def deepest(mask):
    """The pixel furthest from those outside, nearest to the centroid of several, and the whole distance."""
    inside, outside = np.argwhere(mask), np.argwhere(~mask)
    squared = ((inside[:, None] - outside[None]) ** 2).sum(-1).min(1)
    off = ((inside - inside.mean(0)) ** 2).sum(-1)
    best = min(range(len(inside)), key=lambda i: (-squared[i], off[i]))
    return inside[best][::-1], int(math.sqrt(squared[best]))


def heat():
    """200 x 200, sigma 40, nothing beyond the circle, whole numbers."""
    y, x = np.mgrid[:200, :200] - 100
    squared = x**2 + y**2
    values = np.exp(-squared / 2 / 40**2) / 2 / np.pi / 40**2 * (squared <= 100**2)
    values = (values / values.max()).astype(np.float32)
    return (values / values.max() * 255).astype(np.uint8)


def resized(image, width, height):
    """Bilinear between pixel centres, rounded."""

    def axis(size, old):
        at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
        first = at.astype(int)
        return first, np.minimum(first + 1, old - 1), at - first

    y0, y1, fy = axis(height, image.shape[0])
    x0, x1, fx = axis(width, image.shape[1])
    image = image.astype(np.float64)
    rows = image[y0] * (1 - fy)[:, None] + image[y1] * fy[:, None]
    return np.floor(rows[:, x0] * (1 - fx) + rows[:, x1] * fx + 0.5)


def vectors_of(case, features):
    """The mean feature of each entity's cells, every two channels made one."""
    channels, height, width = features.shape
    found = []
    for entity in case["entities"]:
        mask = mask_of(case, entity)
        cell_h, cell_w = case["height"] // height, case["width"] // width
        covered = mask.reshape(height, cell_h, width, cell_w).mean((1, 3))
        weights = (covered >= 0.5).astype(np.float64) if (covered >= 0.5).any() else covered
        mean = (features * weights).sum((1, 2)) / weights.sum()
        found.append(mean.reshape(channels // 2, 2).mean(1))
    return np.array(found)


def maps_of(case, vectors):
    """Heat map [frames, height, width] and entity map [frames, channels, height, width]."""
    width, height = case["width"], case["height"]
    heats = np.zeros((case["frames"], height, width))
    entity_map = np.zeros((case["frames"], vectors.shape[1], height, width))
    kernel = heat()
    for entity, vector in zip(case["entities"], vectors):
        center, radius = deepest(mask_of(case, entity))
        track = np.array(entity["track"])
        for frame, moved in enumerate(track - track[0]):
            x, y = center + np.sign(moved) * np.floor(np.abs(moved) + 0.5)
            x, y = int(x), int(y)
            x1, x2 = max(x - radius, 1), min(x + radius, width - 1)
            y1, y2 = max(y - radius, 1), min(y + radius, height - 1)
            if x2 - x1 < 5 or y2 - y1 < 5:
                continue
            blob = resized(kernel, x2 - x1, y2 - y1)
            area = heats[frame, y1:y2, x1:x2]
            # Their data sets write the zeros of the corners, too.
            area[blob > 0] = blob[blob > 0]
            rows, columns = np.mgrid[:height, :width]
            disc = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
            entity_map[frame][:, disc] = vector[:, None]
    return heats, entity_map


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def maps():
    case = CASES["maps"]
    vectors = vectors_of(case, picture("maps.features", (4, 8, 10)).astype(np.float64))
    heats, entity_map = maps_of(case, vectors)
    out["maps.vectors"], out["maps.heat"], out["maps.entity"] = tensor(vectors), tensor(heats), tensor(entity_map)


def last_features(unet, run):
    """What the last block of the way up gives while `run` runs the UNet."""
    seen = []
    hook = unet.up_blocks[-1].register_forward_hook(lambda _m, _a, x: seen.append(x))
    run()
    hook.remove()
    return seen[0]


@torch.no_grad()
def stable_diffusion():
    configs = {}
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=20,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=7,
            hidden_act="quick_gelu",
        )
    )
    # Under the names of the published files.
    prefix = "" if next(iter(text.state_dict())).startswith("text_model.") else "text_model."
    fill(text, prefix)
    tokens = torch.tensor([[18, 3, 7, 7, 12, 19, 19], [18] + [19] * 6])
    context = text(tokens).last_hidden_state
    out["sd.text"] = context
    vae = fill(
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(32, 32, 64),
            layers_per_block=1,
            latent_channels=4,
        )
    )
    image = inputs("sd.picture", 1, 3, 24, 32)
    moments = vae.encode(image).latent_dist
    latents = (moments.mean + moments.std * inputs("sd.draw", 2, 4, 6, 8)) * vae.config.scaling_factor
    out["sd.latents"] = latents
    unet = fill(
        UNet2DConditionModel(
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(32, 64),
            layers_per_block=1,
            cross_attention_dim=16,
            attention_head_dim=4,
        )
    )
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    noisy = scheduler.add_noise(latents, inputs("sd.noise", 2, 4, 6, 8), torch.tensor([TIMESTEP]))
    empty = context[1:].repeat(2, 1, 1)
    run = lambda x: unet(x, TIMESTEP, empty, return_dict=False)[0]
    out["sd.features"] = last_features(unet, lambda: run(noisy)).mean(0, keepdim=True)
    out["sd.unet"] = run(noisy)
    # 5 is odd: the way up has to meet the size of the way down.
    out["sd.odd"] = run(inputs("sd.odd_input", 2, 4, 5, 3))
    for name, network in [("text_encoder", text), ("vae", vae), ("unet", unet)]:
        as_json = getattr(network.config, "to_json_string", network.to_json_string if name != "text_encoder" else None)
        configs[name] = json.loads(as_json())
    configs["scheduler"] = json.loads(scheduler.to_json_string())
    return configs


class Controlled(SteeredUNet):
    """A UNet that asks a ControlNet first."""

    def forward(self, sample, timestep, encoder_hidden_states, added_time_ids, **kwargs):
        if self.control is not None:
            batch = sample.shape[0]
            maps = [m.expand(batch, *m.shape[1:]) for m in self.maps]
            time = timestep.expand(batch).to(torch.float32)
            self.residuals = self.control(sample, time, encoder_hidden_states, added_time_ids, *maps)
        return super().forward(
            sample, timestep, encoder_hidden_states=encoder_hidden_states, added_time_ids=added_time_ids, **kwargs
        )


@torch.no_grad()
def steered():
    """diffusers' pipeline, steered by a ControlNet of DragAnything's kind with features of the UNet itself."""
    case = CASES["steered"]
    width, height, frames = case["width"], case["height"], case["frames"]
    conditions = dict(
        conditioning_channels=3,
        conditioning_embedding_out_channels=[4, 6, 8],
        feature_embedding_out_channels=[16, 6, 8],
    )
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 3,
        block_out_channels=(32, 32, 64),
        layers_per_block=1,
        latent_channels=4,
    )
    unet = Controlled(**UNET)
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**make_svd.CLIP))
    pipe = make_svd.assemble(vae, encoder, unet)
    unet.control = None
    make_svd.run(pipe, width, height, frames, steps=1)
    embedding, image_latents = (make_svd.out[f"svd.{n}"][1:] for n in ["embedding", "image_latents"])

    alpha = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod[TIMESTEP]
    sigma = ((1 - alpha) / alpha).sqrt()
    features = []
    for noise in inputs("steered.noise", 2, 1, 4, height // 4, width // 4):
        noisy = (image_latents * vae.config.scaling_factor + sigma * noise) / (sigma**2 + 1).sqrt()
        sample = torch.cat([noisy, image_latents], 1)[None]
        ids = torch.tensor([[6.0, 100.0, 0.3]])
        features.append(
            last_features(unet, lambda: unet(sample, 0.25 * sigma.log(), embedding, ids))
        )
    features = torch.stack(features).mean(0)
    out["steered.features"] = features
    vectors = vectors_of(case, features[0].numpy().astype(np.float64))
    heats, entity_map = maps_of(case, vectors)
    unet.maps = tensor(heats)[None, :, None].expand(1, frames, 3, height, width), tensor(entity_map)[None]
    unet.control = fill(ControlNet(UNET, conditions), "control.")
    unet.steer()
    make_svd.run(pipe, width, height, frames, steps=3)
    for step in range(3):
        out[f"steered.latents.{step}"] = make_svd.out[f"svd.latents.{step}"]
    return {**UNET, **{k: v for k, v in conditions.items()}}


def rows(state, prefix=""):
    return [json.dumps([prefix + name, list(t.shape)]) for name, t in sorted(state.items())]


def published_controlnet():
    with torch.device("meta"):
        unet = dict(UNetSpatioTemporalConditionModel().config)
    config = {k: v for k, v in unet.items() if not k.startswith("_")}
    return config, ControlNet(config, CONDITIONS)


def published_stable_diffusion():
    """Text encoder, VAE and UNet of Stable Diffusion 1.5."""
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        hidden_act="quick_gelu",
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
    )
    return CLIPTextModel(config), vae, UNet2DConditionModel(cross_attention_dim=768)


@torch.no_grad()
def full_size(folder):
    """Networks of the published sizes with synthetic weights, and what they give."""

    def write(network, part, config, prefix=""):
        fill(network, prefix).half()
        directory = folder / part
        directory.mkdir(parents=True, exist_ok=True)
        state = {prefix + k: v.contiguous() for k, v in network.state_dict().items()}
        save_file(state, directory / "diffusion_pytorch_model.safetensors")
        (directory / "config.json").write_text(json.dumps(config))
        return network.float()

    config, control = published_controlnet()
    control = write(control, "controlnet", {**config, "_class_name": "DragAnythingSDVModel"})
    maps = inputs("full.heat", 1, 2, 3, 64, 64), inputs("full.entities", 1, 2, 160, 64, 64)
    ids = torch.tensor([[6.0, 127.0, 0.02]])
    sample, context = inputs("full.sample", 1, 2, 8, 8, 8), inputs("full.context", 1, 1, 1024)
    down, mid = control(sample, torch.tensor([0.9]), context, ids, *maps)
    out["full.mid"] = mid
    for i in (0, 4, 11):
        out[f"full.down.{i}"] = down[i]
    del control

    text, vae, unet = published_stable_diffusion()
    prefix = "" if next(iter(text.state_dict())).startswith("text_model.") else "text_model."
    text = write(text, "sd15/text_encoder", {"model_type": "clip_text_model"}, prefix)
    context = text(torch.tensor([[49406] + [49407] * 76])).last_hidden_state
    vae = write(vae, "sd15/vae", {"block_out_channels": [128, 256, 512, 512]})
    moments = vae.encode(inputs("full.picture", 1, 3, 64, 64)).latent_dist
    latents = (moments.mean + moments.std * inputs("full.draw", 1, 4, 8, 8)) * 0.18215
    unet = write(unet, "sd15/unet", {"_class_name": "UNet2DConditionModel"})
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    noisy = scheduler.add_noise(latents, inputs("full.noise", 1, 4, 8, 8), torch.tensor([TIMESTEP]))
    out["full.features"] = last_features(unet, lambda: unet(noisy, TIMESTEP, context))
    (folder / "sd15/scheduler").mkdir(exist_ok=True)
    (folder / "sd15/scheduler/scheduler_config.json").write_text(scheduler.to_json_string())
    save_file({k: v.contiguous() for k, v in out.items()}, folder / "expected.safetensors")


def tensors():
    with torch.device("meta"):
        control = published_controlnet()[1]
        text, vae, unet = published_stable_diffusion()
    found = rows(control.state_dict())
    (HERE / "draganything_tensors.json").write_text("[\n" + ",\n".join(found) + "\n]\n")
    text = text.state_dict()
    prefix = "" if next(iter(text)).startswith("text_model.") else "text_model."
    parts = {"unet": rows(unet.state_dict()), "vae": rows(vae.state_dict()), "text_encoder": rows(text, prefix)}
    lists = ",\n".join(f'"{name}": [\n' + ",\n".join(part) + "\n]" for name, part in parts.items())
    (HERE / "sd15_tensors.json").write_text("{\n" + lists + "\n}\n")
    return len(found), {name: len(part) for name, part in parts.items()}


if __name__ == "__main__" and len(sys.argv) > 1:
    full_size(Path(sys.argv[1]))
elif __name__ == "__main__":
    print(*tensors())
    maps()
    configs = stable_diffusion()
    controlnet = steered()
    written = {"cases": CASES, "stable_diffusion": configs, "controlnet": controlnet}
    (HERE / "draganything.json").write_text(json.dumps(written, indent=1) + "\n")
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "draganything.safetensors")
    print(sum(v.numel() for v in out.values()), "numbers")
