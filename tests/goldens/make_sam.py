#!/usr/bin/env python3
"""Writes sam.safetensors and sam_tensors.json: SAM as PyPI's segment-anything has it, and MobileSAM, in PyTorch.

    pip install segment-anything pillow && python tests/goldens/make_sam.py

TinyViT is written here from its paper (Wu and others, 2022) and the names and shapes of the public checkpoint
`mobile_sam.pt`. Weights are synthetic (synthetic.py). `crates/networks/tests/parity_sam.rs` compares the module with both.
"""

import itertools
import json
import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from synthetic import fill, uniform

# The package resizes pictures with torchvision, which is PIL's way; nothing else of that is needed here.
for name in ["torchvision", "torchvision.transforms", "torchvision.transforms.functional"]:
    sys.modules.setdefault(name, types.ModuleType(name))
for function in ["resize", "to_pil_image"]:
    setattr(sys.modules["torchvision.transforms.functional"], function, None)
sys.modules["torchvision.ops"] = types.ModuleType("torchvision.ops")
sys.modules["torchvision.ops.boxes"] = types.ModuleType("torchvision.ops.boxes")
for function in ["batched_nms", "box_area"]:
    setattr(sys.modules["torchvision.ops.boxes"], function, None)
from segment_anything.build_sam import build_sam_vit_b  # noqa: E402
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer  # noqa: E402
from segment_anything.modeling.common import LayerNorm2d  # noqa: E402

HERE = Path(__file__).parent
MEAN, DEVIATION = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
# Width and height of the picture, and within the network's square of 64 pixels.
PICTURE, INNER = (48, 40), (64, 53)
MOBILE = dict(dims=[64, 128, 160, 320], depths=[2, 2, 6, 2], heads=[4, 5, 10], windows=[7, 14, 7], head=1000)
SMALL = dict(dims=[8, 16, 24, 32], depths=[1, 1, 2, 1], heads=[2, 3, 4], windows=[3, 3, 4], head=5)


class ConvBn(nn.Sequential):
    def __init__(self, a, b, kernel=1, stride=1, groups=1):
        super().__init__()
        self.add_module("c", nn.Conv2d(a, b, kernel, stride, kernel // 2, groups=groups, bias=False))
        self.add_module("bn", nn.BatchNorm2d(b))


class MbConv(nn.Module):
    def __init__(self, width):
        super().__init__()
        inner = 4 * width
        self.conv1, self.conv2, self.conv3 = ConvBn(width, inner), ConvBn(inner, inner, 3, 1, inner), ConvBn(inner, width)

    def forward(self, x):
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class Merge(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = ConvBn(a, b), ConvBn(b, b, 3, stride, b), ConvBn(b, b)

    def forward(self, x):
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class Attention(nn.Module):
    def __init__(self, width, heads, window):
        super().__init__()
        self.heads = heads
        self.norm, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        cells = list(itertools.product(range(window), range(window)))
        index = [[abs(a[0] - b[0]) * window + abs(a[1] - b[1]) for b in cells] for a in cells]
        self.register_buffer("index", torch.tensor(index), persistent=False)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2).chunk(3, -1)
        bias = self.attention_biases[:, self.index]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(y.transpose(1, 2).flatten(-2))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.fc1, self.fc2 = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class Block(nn.Module):
    def __init__(self, width, heads, window):
        super().__init__()
        self.window = window
        self.attn, self.mlp = Attention(width, heads, window), Mlp(width)
        self.local_conv = ConvBn(width, width, 3, 1, width)

    def forward(self, x):
        n, c, h, w = x.shape
        s = self.window
        down, right = -h % s, -w % s
        y = F.pad(x, (0, right, 0, down)).permute(0, 2, 3, 1)
        y = y.unflatten(1, (-1, s)).unflatten(3, (-1, s)).transpose(2, 3)  # [n, rows, columns, s, s, c]
        seen = self.attn(y.reshape(-1, s * s, c)).reshape(y.shape)
        seen = seen.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :h, :w].permute(0, 3, 1, 2)
        x = self.local_conv(x + seen)
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Layer(nn.Module):
    def __init__(self, blocks, downsample):
        super().__init__()
        self.blocks, self.downsample = nn.ModuleList(blocks), downsample

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class TinyViT(nn.Module):
    def __init__(self, dims, depths, heads, windows, head, out, img_size):
        super().__init__()
        self.img_size = img_size
        self.patch_embed = nn.Module()
        self.patch_embed.seq = nn.Sequential(ConvBn(3, dims[0] // 2, 3, 2), nn.GELU(), ConvBn(dims[0] // 2, dims[0], 3, 2))
        merge = lambda i: Merge(dims[i], dims[i + 1], 1 if i == 2 else 2) if i < 3 else None
        layers = [Layer([MbConv(dims[0]) for _ in range(depths[0])], merge(0))]
        for i in range(1, 4):
            blocks = [Block(dims[i], heads[i - 1], windows[i - 1]) for _ in range(depths[i])]
            layers.append(Layer(blocks, merge(i)))
        self.layers = nn.ModuleList(layers)
        self.norm_head, self.head = nn.LayerNorm(dims[3]), nn.Linear(dims[3], head)
        self.neck = nn.Sequential(
            nn.Conv2d(dims[3], out, 1, bias=False), LayerNorm2d(out),
            nn.Conv2d(out, out, 3, padding=1, bias=False), LayerNorm2d(out),
        )

    def forward(self, x):
        x = self.patch_embed.seq(x)
        for layer in self.layers:
            x = layer(x)
        return self.neck(x)


def small(encoder, grid):
    transformer = TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=48, num_heads=8)
    return Sam(
        image_encoder=encoder,
        prompt_encoder=PromptEncoder(32, (grid, grid), (64, 64), 8),
        mask_decoder=MaskDecoder(transformer_dim=32, transformer=transformer, iou_head_depth=3, iou_head_hidden_dim=24),
        pixel_mean=MEAN,
        pixel_std=DEVIATION,
    )


def small_vit():
    return small(
        ImageEncoderViT(
            img_size=64, patch_size=8, embed_dim=32, depth=2, num_heads=2, mlp_ratio=3, out_chans=32,
            norm_layer=partial(nn.LayerNorm, eps=1e-6), use_rel_pos=True, window_size=3, global_attn_indexes=(1,),
        ),
        8,
    )


def small_mobile():
    return small(TinyViT(**SMALL, out=32, img_size=64), 4)


def picture():
    """Bands and noise, of PICTURE's size."""
    w, h = PICTURE
    y, x = np.mgrid[0:h, 0:w]
    noise = uniform("sam.picture", h * w * 3).reshape(h, w, 3)
    bands = np.stack([x * 5, y * 6, (x + y) * 2], -1)
    return np.clip(bands + 20 * noise, 0, 255).astype(np.uint8)


@torch.no_grad()
def main():
    goldens = {}
    small_picture = picture()
    resized = np.array(Image.fromarray(small_picture).resize(INNER, Image.BILINEAR))
    inner = torch.from_numpy(resized).permute(2, 0, 1).float()
    # Whole numbers up to 255, which half precision holds.
    goldens["resized"] = inner.half()

    sam = fill(small_vit())
    embedding = sam.image_encoder(sam.preprocess(inner[None]))
    goldens["vit"] = embedding
    mobile = fill(small_mobile())
    goldens["tiny"] = mobile.image_encoder(mobile.preprocess(inner[None]))

    def predict(points=None, box=None, mask=None, multimask=False, model=sam, embedding=embedding):
        if points is not None:
            points = (torch.tensor([[p[:2] for p in points]]), torch.tensor([[p[2] for p in points]]))
        box = None if box is None else torch.tensor([box])
        sparse, dense = model.prompt_encoder(points, box, mask)
        return sparse, dense, *model.mask_decoder(embedding, model.prompt_encoder.get_dense_pe(), sparse, dense, multimask)

    click = [[20.5, 31.0, 1]]
    clicks = click + [[50.25, 7.0, 0]]
    _, _, masks, scores = predict(click, multimask=True)
    goldens["several.masks"], goldens["several.scores"] = masks, scores
    best = masks[:, scores.argmax().item()][:, None]
    goldens["enlarged"] = sam.postprocess_masks(best, INNER[::-1], PICTURE[::-1])
    _, _, masks, scores = predict(clicks, mask=best)
    goldens["refined.masks"], goldens["refined.scores"] = masks, scores
    _, _, masks, scores = predict(clicks, box=[3.0, 5.5, 40.0, 50.0])
    goldens["box.masks"], goldens["box.scores"] = masks, scores
    _, _, masks, _ = predict(click, multimask=True, model=mobile, embedding=goldens["tiny"])
    goldens["mobile.masks"] = masks
    save_file({name: value.contiguous() for name, value in goldens.items()}, HERE / "sam.safetensors")
    for name, value in goldens.items():
        print(name, list(value.shape), float(value.abs().max()))

    with torch.device("meta"):
        vit = build_sam_vit_b().state_dict()
        mobile = TinyViT(**MOBILE, out=256, img_size=1024).state_dict()
    # MobileSAM's prompt encoder and mask decoder are SAM's.
    names = {"vit_b": vit, "mobile": {f"image_encoder.{name}": value for name, value in mobile.items()}}
    rows = []
    for key, tensors in names.items():
        shapes = [f'["{name}",{json.dumps(list(tensors[name].shape), separators=(",", ":"))}]' for name in sorted(tensors)]
        rows.append(f'"{key}":[\n' + ",\n".join(shapes) + "\n]")
    (HERE / "sam_tensors.json").write_text("{" + ",\n".join(rows) + "}\n")


if __name__ == "__main__":
    main()
