#!/usr/bin/env python3
"""Writes schp.safetensors and schp_tensors.json: the network of Self-Correction for Human Parsing, in PyTorch.

    python tests/goldens/make_schp.py

Written from the papers (Li and others, 2020; Ruan and others, 2019; Zhao and others, 2017) and the names and shapes of
the public checkpoint `exp-schp-201908261155-lip.pth`. Weights are synthetic (synthetic.py), as named in that file.
`crates/networks/tests/parity_schp.rs` compares the module with it.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from synthetic import fill, picture

HERE = Path(__file__).parent
SMALL = dict(stem=(8, 12), planes=(4, 6, 8, 10), layers=(1, 2, 2, 2), context=16, head=12, low=8)
PUBLISHED = dict(stem=(64, 128), planes=(64, 128, 256, 512), layers=(3, 4, 23, 3), context=512, head=256, low=48)
LABELS = 20


def up(x, like):
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def plain(a, b, k=1, stride=1, dilation=1):
    return nn.Conv2d(a, b, k, stride, dilation * (k // 2), dilation, bias=False)


class Activated(nn.BatchNorm2d):
    """What the published program calls an activated batch norm."""

    def forward(self, x):
        return F.leaky_relu(super().forward(x), 0.01)


def head(a, b, k=1):
    return nn.Sequential(plain(a, b, k), Activated(b))


class Block(nn.Module):
    def __init__(self, a, planes, stride, dilation):
        super().__init__()
        b = 4 * planes
        self.conv1, self.bn1 = plain(a, planes), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = plain(planes, planes, 3, stride, dilation), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = plain(planes, b), nn.BatchNorm2d(b)
        self.downsample = None
        if stride != 1 or a != b:
            self.downsample = nn.Sequential(plain(a, b, 1, stride), nn.BatchNorm2d(b))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Pyramid(nn.Module):
    def __init__(self, a, b, sides=(1, 2, 3, 6)):
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(s), *head(a, b)) for s in sides)
        self.bottleneck = head(a + len(sides) * b, b, 3)

    def forward(self, x):
        return self.bottleneck(torch.cat([up(stage(x), x) for stage in self.stages] + [x], 1))


class Edge(nn.Module):
    def __init__(self, levels, b):
        super().__init__()
        for i, a in enumerate(levels):
            setattr(self, f"conv{i + 1}", head(a, b))
        self.conv4, self.conv5 = nn.Conv2d(b, 2, 3, padding=1), nn.Conv2d(6, 2, 1)

    def forward(self, levels):
        made = [getattr(self, f"conv{i + 1}")(x) for i, x in enumerate(levels)]
        return torch.cat([made[0]] + [up(x, made[0]) for x in made[1:]], 1)


class Decoder(nn.Module):
    def __init__(self, context, low, b, few):
        super().__init__()
        self.conv1, self.conv2 = head(context, b), head(low, few)
        self.conv3 = nn.Sequential(*head(b + few, b), *head(b, b))
        self.conv4 = nn.Conv2d(b, LABELS, 1)

    def forward(self, x, low):
        return self.conv3(torch.cat([up(self.conv1(x), low), self.conv2(low)], 1))


class Schp(nn.Module):
    def __init__(self, stem, planes, layers, context, low, head: int):
        super().__init__()
        b = head
        self.conv1, self.bn1 = plain(3, stem[0], 3, 2), nn.BatchNorm2d(stem[0])
        self.conv2, self.bn2 = plain(stem[0], stem[0], 3), nn.BatchNorm2d(stem[0])
        self.conv3, self.bn3 = plain(stem[0], stem[1], 3), nn.BatchNorm2d(stem[1])
        a = stem[1]
        for i, (p, n, stride, dilation) in enumerate(zip(planes, layers, (1, 2, 2, 1), (1, 1, 1, 2))):
            blocks = [Block(a, p, stride, dilation)] + [Block(4 * p, p, 1, dilation) for _ in range(n - 1)]
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
            a = 4 * p
        levels = [4 * p for p in planes]
        self.context_encoding = Pyramid(levels[3], context)
        self.edge = Edge(levels[:3], b)
        self.decoder = Decoder(context, levels[0], b, low)
        self.fushion = nn.Sequential(plain(4 * b, b), Activated(b), nn.Dropout2d(0.1), nn.Conv2d(b, LABELS, 1))

    def forward(self, x):
        for i in "123":
            x = F.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        x = F.max_pool2d(x, 3, 2, 1)
        levels = []
        for i in "1234":
            x = getattr(self, f"layer{i}")(x)
            levels.append(x)
        parsed = self.decoder(self.context_encoding(x), levels[0])
        return self.fushion(torch.cat([parsed, self.edge(levels[:3])], 1))


def names(network):
    return {name: list(value.shape) for name, value in network.state_dict().items()}


with torch.device("meta"):
    published = names(Schp(**PUBLISHED))
small = Schp(**SMALL).eval()
fill(small)
x = torch.from_numpy(picture("schp", (1, 3, 53, 69)))
with torch.no_grad():
    logits = small(x)
    labels = F.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=True)
print(len(published), sum(torch.Size(s).numel() for s in published.values()), logits.shape, logits.std())
save_file({"logits": logits.contiguous(), "corner": labels[:, :, :9, :9].contiguous()}, HERE / "schp.safetensors")
json.dump({"published": published, "small": names(small)}, (HERE / "schp_tensors.json").open("w"), separators=(",", ":"))
(HERE / "schp_tensors.json").open("a").write("\n")
