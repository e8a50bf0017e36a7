#!/usr/bin/env python3
"""Writes cotracker.safetensors and cotracker_tensors.json: CoTracker3 with a sliding window, in PyTorch.

    python tests/goldens/make_cotracker.py

Written from the paper (Karaev and others, 2024) and the names and shapes of the public checkpoint
`scaled_online.pth`, for points that are asked for in the first frame. Weights are synthetic
(synthetic.py). `crates/pipeline/tests/parity_cotracker.rs` compares the module with it.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from synthetic import fill, picture

HERE = Path(__file__).parent
SMALL = dict(window=4, radius=1, latent=16, corr=(24, 8), hidden=96, depth=2, virtual=4, size=(32, 48))
PUBLISHED = dict(window=16, radius=3, latent=128, corr=(384, 256), hidden=384, depth=3, virtual=64, size=(384, 512))
LEVELS, STRIDE, HEAD = 4, 4, 48


class Block(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1)
        self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, stride), nn.InstanceNorm2d(b)) if stride > 1 else None

    def forward(self, x):
        y = F.relu(F.instance_norm(self.conv1(x)))
        y = F.relu(F.instance_norm(self.conv2(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Encoder(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.conv1 = nn.Conv2d(3, d // 2, 7, 2, 3)
        widths, before = [d // 2, d // 4 * 3, d, d], d // 2
        for i, (width, stride) in enumerate(zip(widths, [1, 2, 2, 2])):
            setattr(self, f"layer{i + 1}", nn.Sequential(Block(before, width, stride), Block(width, width, 1)))
            before = width
        self.conv2 = nn.Conv2d(sum(widths), 2 * d, 3, 1, 1)
        self.conv3 = nn.Conv2d(2 * d, d, 1)

    def forward(self, x):
        size = (x.shape[2] // STRIDE, x.shape[3] // STRIDE)
        x = F.relu(F.instance_norm(self.conv1(x)))
        levels = []
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
            levels.append(F.interpolate(x, size, mode="bilinear", align_corners=True))
        return self.conv3(F.relu(F.instance_norm(self.conv2(torch.cat(levels, 1)))))


class Mlp(nn.Module):
    def __init__(self, a, b, c, approximate="none"):
        super().__init__()
        self.fc1, self.fc2, self.act = nn.Linear(a, b), nn.Linear(b, c), nn.GELU(approximate)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.to_q, self.to_kv, self.to_out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x, context):
        heads = lambda t: t.unflatten(-1, (-1, HEAD)).transpose(1, 2)
        k, v = self.to_kv(context).chunk(2, -1)
        y = F.scaled_dot_product_attention(heads(self.to_q(x)), heads(k), heads(v))
        return self.to_out(y.transpose(1, 2).flatten(-2))


def norm(x):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


class SelfBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attn, self.mlp = Attention(width), Mlp(width, 4 * width, width, "tanh")

    def forward(self, x):
        x = x + self.attn(norm(x), norm(x))
        return x + self.mlp(norm(x))


class CrossBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm_context = nn.LayerNorm(width)
        self.cross_attn, self.mlp = Attention(width), Mlp(width, 4 * width, width, "tanh")

    def forward(self, x, context):
        x = x + self.cross_attn(norm(x), self.norm_context(context))
        return x + self.mlp(norm(x))


class Former(nn.Module):
    def __init__(self, inputs, width, depth, virtual):
        super().__init__()
        self.input_transform = nn.Linear(inputs, width)
        self.flow_head, self.vis_conf_head = nn.Linear(width, 2), nn.Linear(width, 2)
        self.virual_tracks = nn.Parameter(torch.zeros(1, virtual, 1, width))
        self.time_blocks = nn.ModuleList(SelfBlock(width) for _ in range(depth))
        self.space_virtual_blocks = nn.ModuleList(SelfBlock(width) for _ in range(depth))
        self.space_point2virtual_blocks = nn.ModuleList(CrossBlock(width) for _ in range(depth))
        self.space_virtual2point_blocks = nn.ModuleList(CrossBlock(width) for _ in range(depth))

    def forward(self, x):  # [points, frames, inputs]
        n = len(x)
        x = torch.cat([self.input_transform(x), self.virual_tracks[0].expand(-1, x.shape[1], -1)])
        for i, time in enumerate(self.time_blocks):
            x = time(x).transpose(0, 1)
            points, others = x[:, :n], x[:, n:]
            others = self.space_virtual2point_blocks[i](others, points)
            others = self.space_virtual_blocks[i](others)
            points = self.space_point2virtual_blocks[i](points, others)
            x = torch.cat([points, others], 1).transpose(0, 1)
        x = x[:n]
        return torch.cat([self.flow_head(x), self.vis_conf_head(x)], -1)


class CoTracker(nn.Module):
    def __init__(self, window, radius, latent, corr, hidden, depth, virtual, size):
        super().__init__()
        self.window, self.radius, self.size = window, radius, size
        inputs = 2 + LEVELS * corr[1] + 84
        self.fnet = Encoder(latent)
        self.updateformer = Former(inputs, hidden, depth, virtual)
        self.corr_mlp = Mlp((2 * radius + 1) ** 4, *corr)
        omega = 10000.0 ** -(torch.arange(inputs // 2, dtype=torch.float64) / (inputs / 2))
        angle = torch.arange(window, dtype=torch.float64)[:, None] * omega
        self.register_buffer("time_emb", torch.cat([angle.sin(), angle.cos()], 1)[None].float())

    def features(self, frames):
        f = self.fnet(frames)
        f = f / f.square().sum(1, keepdim=True).clamp(min=1e-12).sqrt()
        levels = [f]
        for _ in range(LEVELS - 1):
            levels.append(F.avg_pool2d(levels[-1], 2))
        return levels

    def patches(self, levels, coords):  # coords [frames, points, 2] -> [frames, points, cells, channels]
        r = torch.arange(-self.radius, self.radius + 1).float()
        around = torch.stack(torch.meshgrid(r, r, indexing="ij"), -1).reshape(-1, 2)
        out = []
        for i, f in enumerate(levels):
            places = coords[:, :, None] / 2**i + around
            side = torch.tensor([max(f.shape[3] - 1, 1), max(f.shape[2] - 1, 1)])
            grid = places * 2 / side - 1
            out.append(F.grid_sample(f, grid, padding_mode="border", align_corners=True).permute(0, 2, 3, 1))
        return out

    def correct(self, levels, support, coords, vis, conf, iterations):
        for _ in range(iterations):
            parts = [vis, conf]
            for seen, wanted in zip(self.patches(levels, coords), support):
                parts.append(self.corr_mlp(torch.einsum("tnac,nbc->tnab", seen, wanted).flatten(2)))
            step = torch.zeros_like(coords)
            back = torch.zeros_like(coords)
            step[:-1] = coords[:-1] - coords[1:]
            back[1:] = coords[1:] - coords[:-1]
            scale = torch.tensor([self.size[1], self.size[0]]) / STRIDE
            steps = torch.cat([step / scale, back / scale], -1)
            waves = torch.cat([steps * 2**k for k in range(10)], -1)
            parts += [steps, waves.sin(), (waves + torch.pi / 2).sin()]
            x = torch.cat(parts, -1).transpose(0, 1) + self.time_emb
            delta = self.updateformer(x).transpose(0, 1)
            coords, vis, conf = coords + delta[..., :2], vis + delta[..., 2:3], conf + delta[..., 3:]
        return coords, vis, conf

    def forward(self, frames, queries, iterations):
        total, n, step = len(frames), len(queries), self.window // 2
        frames = torch.cat([frames, frames[-1:].expand(self.window, -1, -1, -1)])
        levels = self.features(frames)
        start = queries / STRIDE
        support = [p[0] for p in self.patches([f[:1] for f in levels], start[None])]
        coords = start.expand(self.window, n, 2)
        vis = conf = torch.zeros(self.window, n, 1)
        out = [torch.zeros(total + self.window, n, c) for c in (2, 1, 1)]
        at = 0
        while True:
            part = [f[at : at + self.window] for f in levels]
            found = self.correct(part, support, coords, vis, conf, iterations)
            for all_frames, values in zip(out, found):
                all_frames[at : at + self.window] = values
            if at + self.window >= total:
                break
            at += step
            coords, vis, conf = (torch.cat([v[step:], v[-1:].expand(step, -1, -1)]) for v in found)
        coords, vis, conf = (v[:total] for v in out)
        return coords * STRIDE, vis[..., 0].sigmoid(), conf[..., 0].sigmoid()


def small():
    model = CoTracker(**SMALL)
    time_emb = model.time_emb.clone()
    fill(model)
    model.time_emb.copy_(time_emb)
    # Corrections are small, as the published training begins with them. Steps are encoded by waves up to 512 times as fast:
    # large ones would make noise of every difference in rounding.
    with torch.no_grad():
        model.updateformer.flow_head.weight.mul_(0.1)
        model.updateformer.flow_head.bias.mul_(0.1)
    return model


@torch.no_grad()
def main():
    model = small()
    h, w = SMALL["size"]
    frames = torch.from_numpy(picture("cotracker.frames", (7, 3, h, w)))
    queries = torch.tensor([[10.0, 12.0], [30.5, 20.25], [46.0, 3.0]])
    levels = model.features(frames[:4])
    support = [p[0] for p in model.patches([f[:1] for f in levels], (queries / STRIDE)[None])]
    start = (queries / STRIDE).expand(4, 3, 2)
    nothing = torch.zeros(4, 3, 1)
    coords, vis, conf = model.correct(levels, support, start, nothing, nothing, 1)
    tracks, visibility, confidence = model(frames, queries, 2)
    goldens = {
        "features": levels[0], "features_3": levels[3], "support": support[1],
        "coords": coords, "vis": vis, "conf": conf,
        "tracks": tracks, "visibility": visibility, "confidence": confidence,
    }
    save_file({name: value.contiguous() for name, value in goldens.items()}, HERE / "cotracker.safetensors")
    with torch.device("meta"):
        tensors = CoTracker(**PUBLISHED).state_dict()
    rows = [json.dumps([name, list(tensors[name].shape)]) for name in sorted(tensors)]
    (HERE / "cotracker_tensors.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
