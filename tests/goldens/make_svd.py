"""Writes the goldens of tests/parity_svd.rs: svd.safetensors (outputs of transformers and diffusers on synthetic
weights), svd_configs.json (the small networks' configurations as diffusers writes them) and
svd_image_encoder_tensors.json (names and shapes of the published image encoder). Run:
python tests/goldens/make_svd.py
"""

import json
from pathlib import Path

import torch
from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as svd
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
        configs[name] = config.to_dict()


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


def published_tensors():
    """Names and shapes of Stable Video Diffusion's image encoder, without its weights."""
    config = CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=16,
        patch_size=14,
        projection_dim=1024,
        hidden_act="gelu",
    )
    with torch.device("meta"):
        encoder = CLIPVisionModelWithProjection(config)
    rows = [json.dumps([name, list(t.shape)]) for name, t in sorted(encoder.state_dict().items())]
    (HERE / "svd_image_encoder_tensors.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    return len(rows)


image_encoder()
feature_extractor()
save_file({k: v.contiguous() for k, v in out.items()}, HERE / "svd.safetensors")
(HERE / "svd_configs.json").write_text(json.dumps(configs, indent=1) + "\n")
print(published_tensors(), "tensors;", sum(v.numel() for v in out.values()), "numbers")
