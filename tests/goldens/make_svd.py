"""Writes the goldens of crates/pipeline/tests/parity_svd.rs: svd.safetensors (outputs of transformers and diffusers on synthetic
weights), svd_configs.json (the small networks' configurations as diffusers writes them) and
svd_image_encoder_tensors.json (names and shapes of the published image encoder). Run:
python tests/goldens/make_svd.py

With a directory, writes there instead what the test `full_size` of that file wants: a model of the published
sizes with synthetic weights in f16 (4.5 GB, and 12 GB of memory while it runs), and expected.safetensors. Run:
python tests/goldens/make_svd.py DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    StableVideoDiffusionPipeline,
    UNetSpatioTemporalConditionModel,
)
from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as svd
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from synthetic import fill, picture

HERE = Path(__file__).parent
out = {}
configs = {}

CLIP = dict(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    patch_size=32,
    image_size=224,
    projection_dim=16,
    hidden_act="gelu",
    layer_norm_eps=1e-5,
)

# image_encoder/config.json of the published model.
VIT_H = CLIPVisionConfig(
    hidden_size=1280,
    intermediate_size=5120,
    num_hidden_layers=32,
    num_attention_heads=16,
    patch_size=14,
    projection_dim=1024,
    hidden_act="gelu",
)


def inputs(name, *shape):
    return torch.from_numpy(picture(name, shape))


@torch.no_grad()
def image_encoder():
    for name, change in [
        ("clip", {}),
        # A patch that does not divide the picture, and OpenAI's nonlinearity.
        ("clip.quick", dict(hidden_act="quick_gelu", patch_size=9, image_size=30, layer_norm_eps=1e-2)),
    ]:
        config = CLIPVisionConfig(**(CLIP | change))
        encoder = fill(CLIPVisionModelWithProjection(config))
        side = config.image_size
        out[name] = encoder(inputs(f"{name}.pictures", 2, 3, side, side)).image_embeds
        configs[name] = json.loads(config.to_json_string())


@torch.no_grad()
def feature_extractor():
    extractor = CLIPImageProcessor()
    for width, height in [(96, 64), (500, 300)]:
        x = inputs(f"features.{width}", height, width, 3).permute(2, 0, 1)[None]
        x = (svd._resize_with_antialiasing(x, (224, 224)) + 1.0) / 2.0
        x = extractor(
            images=x, do_normalize=True, do_center_crop=False, do_resize=False, do_rescale=False, return_tensors="pt"
        ).pixel_values
        # Every ninth pixel, borders and all.
        out[f"features.{width}"] = x[0, :, ::9, ::9]
        out[f"features.{width}.border"] = x[0, :, -1]


def assemble(vae, encoder, unet):
    """The pipeline of these networks, with the published scheduler/scheduler_config.json."""
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        interpolation_type="linear",
        num_train_timesteps=1000,
        prediction_type="v_prediction",
        sigma_max=700.0,
        sigma_min=0.002,
        steps_offset=1,
        timestep_spacing="leading",
        timestep_type="continuous",
        use_karras_sigmas=True,
    )
    pipe = StableVideoDiffusionPipeline(fill(vae), fill(encoder), fill(unet), scheduler, CLIPImageProcessor())
    pipe.set_progress_bar_config(disable=True)
    return pipe


def shown(width, height):
    """The picture; the noise that is added to it is the same from here on."""
    svd.randn_tensor = lambda shape, **_: inputs("svd.noise", *shape)
    return ((picture("svd.picture", (height, width, 3)) + np.float32(1)) * np.float32(127.5)).astype(np.uint8)


def run(pipe, width, height, frames, steps):
    """Runs the pipeline and keeps what each stage gives."""
    pixels = shown(width, height)

    def seen(name, function):
        def watched(*args, **kwargs):
            out[name] = function(*args, **kwargs)
            return out[name].clone()

        return watched

    # The second halves of these are those with the picture; the first are zeros.
    pipe._encode_image = seen("svd.embedding", pipe._encode_image)
    pipe._encode_vae_image = seen("svd.image_latents", pipe._encode_vae_image)
    pipe.decode_latents = seen("svd.frames", pipe.decode_latents)

    def after_step(_pipe, step, _time, tensors):
        out[f"svd.latents.{step}"] = tensors["latents"].clone()
        return {}

    call(pipe, width, height, frames, steps, pixels, after_step, 1.0, 3.0)


def call(pipe, width, height, frames, steps, pixels, after_step, first_scale, last_scale):
    factor = pipe.vae_scale_factor
    pipe(
        Image.fromarray(pixels),
        height=height,
        width=width,
        num_frames=frames,
        num_inference_steps=steps,
        min_guidance_scale=first_scale,
        max_guidance_scale=last_scale,
        fps=7,
        motion_bucket_id=100,
        noise_aug_strength=0.3,
        decode_chunk_size=2,
        latents=inputs("svd.latents", 1, frames, 4, height // factor, width // factor),
        callback_on_step_end=after_step,
        output_type="pt",
    )


def scales_of_at_most_1(pipe, width, height, frames, steps):
    """The pipeline where no scale is above 1, before `run`: diffusers runs no guidance then, whatever the scales are."""
    pixels = shown(width, height)

    def after_step(_pipe, step, _time, tensors):
        out[f"plain.latents.{step}"] = tensors["latents"].clone()
        return {}

    call(pipe, width, height, frames, steps, pixels, after_step, 0.2, 1.0)


@torch.no_grad()
def few_steps(pipe, width, height, frames, steps):
    """AnimateLCM-SVD's sampling around the same networks, after `run`: its levels and factors, written out."""
    factor = pipe.vae_scale_factor
    size = (1, frames, 4, height // factor, width // factor)
    ids = pipe._get_add_time_ids(6, 100, 0.3, torch.float32, 1, 1, False)
    picture_latents = out["svd.image_latents"][1:].unsqueeze(1).repeat(1, frames, 1, 1, 1)
    high, low = 700 ** (1 / 7), 0.002 ** (1 / 7)
    sigmas = [(high + step * (40 // steps) / 39 * (low - high)) ** 7 for step in range(steps)] + [0.0]
    x = inputs("svd.latents", *size) * (sigmas[0] ** 2 + 1) ** 0.5
    for step, (sigma, after) in enumerate(zip(sigmas, sigmas[1:])):
        scale = (sigma**2 + 1) ** 0.5
        time = torch.tensor(0.25 * np.log(sigma), dtype=torch.float32)
        seen = torch.cat([x / scale, picture_latents], dim=2)
        said = pipe.unet(seen, time, encoder_hidden_states=out["svd.embedding"][1:], added_time_ids=ids).sample
        x = x / scale**2 - said * sigma / scale + inputs(f"few.noise.{step}", *size) * after
        out[f"few.latents.{step}"] = x


@torch.no_grad()
def dual_clock(pipe, width, height, frames, steps, weak, strong):
    """Time-to-Move's loop around the same networks, after `run`, whose conditions it takes."""
    scheduler = pipe.scheduler
    scheduler.set_timesteps(steps)
    scheduler.set_begin_index(weak)
    factor = pipe.vae_scale_factor
    size = (height // factor, width // factor)
    reference = inputs("clock.reference", 1, frames, 4, *size)
    noise = inputs("clock.noise", 1, frames, 4, *size)
    mask = (inputs("clock.mask", 1, frames, 1, *size) > 0).float()
    picture_latents = out["svd.image_latents"].unsqueeze(1).repeat(1, frames, 1, 1, 1)
    ids = pipe._get_add_time_ids(6, 100, 0.3, reference.dtype, 1, 1, True)
    guidance = torch.linspace(1.0, 3.0, frames)[None, :, None, None, None]
    latents = scheduler.add_noise(reference, noise, scheduler.timesteps[weak : weak + 1])
    for step, time in enumerate(scheduler.timesteps[weak:], weak):
        x = scheduler.scale_model_input(torch.cat([latents] * 2), time)
        x = torch.cat([x, picture_latents], dim=2)
        said = pipe.unet(x, time, encoder_hidden_states=out["svd.embedding"], added_time_ids=ids).sample
        plain, steered = said.chunk(2)
        latents = scheduler.step(plain + guidance * (steered - plain), time, latents).prev_sample
        if step < strong:
            back = reference
            if step + 1 < steps:
                # After a step the scheduler adds the noise of the next one.
                back = scheduler.add_noise(reference, noise, scheduler.timesteps[step + 1 : step + 2])
            latents = latents * (1 - mask) + back * mask
        out[f"clock.latents.{step}"] = latents


def pipeline():
    """The whole pipeline as published, on small networks."""
    channels = (32, 32, 64)
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=4,
    )
    unet = UNetSpatioTemporalConditionModel(**json.loads((HERE / "unet_config.json").read_text()))
    pipe = assemble(vae, CLIPVisionModelWithProjection(CLIPVisionConfig(**CLIP)), unet)
    for name in ["vae", "unet", "scheduler", "feature_extractor"]:
        configs[name] = json.loads(getattr(pipe, name).to_json_string())
    size = dict(width=32, height=24, frames=3)
    scales_of_at_most_1(pipe, **size, steps=2)
    run(pipe, **size, steps=4)
    few_steps(pipe, **size, steps=3)
    dual_clock(pipe, **size, steps=5, weak=1, strong=3)


def full_size(folder):
    """The same at the published sizes."""
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
    )
    encoder = CLIPVisionModelWithProjection(VIT_H)
    pipe = assemble(vae, encoder, UNetSpatioTemporalConditionModel())
    networks = [pipe.vae, pipe.image_encoder, pipe.unet]
    for network in networks:
        network.half()
    pipe.save_pretrained(folder)
    for network in networks:
        network.float()
    run(pipe, width=64, height=64, frames=2, steps=2)
    save_file({k: v.contiguous() for k, v in out.items()}, Path(folder) / "expected.safetensors")


def published_tensors():
    """Names and shapes of Stable Video Diffusion's image encoder, without its weights."""
    with torch.device("meta"):
        encoder = CLIPVisionModelWithProjection(VIT_H)
    rows = [json.dumps([name, list(t.shape)]) for name, t in sorted(encoder.state_dict().items())]
    (HERE / "svd_image_encoder_tensors.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    return len(rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        full_size(sys.argv[1])
    else:
        image_encoder()
        feature_extractor()
        pipeline()
        save_file({k: v.contiguous() for k, v in out.items()}, HERE / "svd.safetensors")
        (HERE / "svd_configs.json").write_text(json.dumps(configs, indent=1) + "\n")
        print(published_tensors(), "tensors;", sum(v.numel() for v in out.values()), "numbers")
