"""Writes the goldens of crates/lab/tests/parity_metrics.rs. Run: python tests/goldens/make_metrics.py

InceptionV3 as pytorch-fid has it and I3D as the public checkpoint of Kinetics has it, both at their published sizes, written
here from their papers and their files' names, with synthetic weights; Frechet distances by SciPy.
metrics_tensors.json: names and shapes of both files. metrics.safetensors: what the networks say, and the distances.
"""

import json
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from safetensors.torch import save_file
from synthetic import fill, picture, uniform
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent


class BasicConv2d(nn.Module):
    def __init__(self, c_in, c_out, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(c_out, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def around(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class Branches(nn.Module):
    """Layers by name; `run` says how they are put together."""

    def __init__(self, run, **layers):
        super().__init__()
        for name, (c_in, c_out, kwargs) in layers.items():
            setattr(self, name, BasicConv2d(c_in, c_out, **kwargs))
        self.run = run

    def forward(self, x):
        return torch.cat(self.run(self, x), 1)


K1 = dict(kernel_size=1)
K3 = dict(kernel_size=3, padding=1)
K5 = dict(kernel_size=5, padding=2)
HALF = dict(kernel_size=3, stride=2)
ROW7 = dict(kernel_size=(1, 7), padding=(0, 3))
COL7 = dict(kernel_size=(7, 1), padding=(3, 0))
ROW3 = dict(kernel_size=(1, 3), padding=(0, 1))
COL3 = dict(kernel_size=(3, 1), padding=(1, 0))


def inception_a(c, pool):
    def run(m, x):
        return [
            m.branch1x1(x),
            m.branch5x5_2(m.branch5x5_1(x)),
            m.branch3x3dbl_3(m.branch3x3dbl_2(m.branch3x3dbl_1(x))),
            m.branch_pool(around(x)),
        ]

    return Branches(
        run,
        branch1x1=(c, 64, K1),
        branch5x5_1=(c, 48, K1),
        branch5x5_2=(48, 64, K5),
        branch3x3dbl_1=(c, 64, K1),
        branch3x3dbl_2=(64, 96, K3),
        branch3x3dbl_3=(96, 96, K3),
        branch_pool=(c, pool, K1),
    )


def inception_b(c):
    def run(m, x):
        return [
            m.branch3x3(x),
            m.branch3x3dbl_3(m.branch3x3dbl_2(m.branch3x3dbl_1(x))),
            F.max_pool2d(x, 3, stride=2),
        ]

    return Branches(
        run,
        branch3x3=(c, 384, HALF),
        branch3x3dbl_1=(c, 64, K1),
        branch3x3dbl_2=(64, 96, K3),
        branch3x3dbl_3=(96, 96, HALF),
    )


def inception_c(c, c7):
    def run(m, x):
        seven = m.branch7x7_3(m.branch7x7_2(m.branch7x7_1(x)))
        double = x
        for i in range(1, 6):
            double = getattr(m, f"branch7x7dbl_{i}")(double)
        return [m.branch1x1(x), seven, double, m.branch_pool(around(x))]

    return Branches(
        run,
        branch1x1=(c, 192, K1),
        branch7x7_1=(c, c7, K1),
        branch7x7_2=(c7, c7, ROW7),
        branch7x7_3=(c7, 192, COL7),
        branch7x7dbl_1=(c, c7, K1),
        branch7x7dbl_2=(c7, c7, COL7),
        branch7x7dbl_3=(c7, c7, ROW7),
        branch7x7dbl_4=(c7, c7, COL7),
        branch7x7dbl_5=(c7, 192, ROW7),
        branch_pool=(c, 192, K1),
    )


def inception_d(c):
    def run(m, x):
        seven = x
        for i in range(1, 5):
            seven = getattr(m, f"branch7x7x3_{i}")(seven)
        return [m.branch3x3_2(m.branch3x3_1(x)), seven, F.max_pool2d(x, 3, stride=2)]

    return Branches(
        run,
        branch3x3_1=(c, 192, K1),
        branch3x3_2=(192, 320, HALF),
        branch7x7x3_1=(c, 192, K1),
        branch7x7x3_2=(192, 192, ROW7),
        branch7x7x3_3=(192, 192, COL7),
        branch7x7x3_4=(192, 192, HALF),
    )


def inception_e(c, pool):
    def run(m, x):
        three = m.branch3x3_1(x)
        double = m.branch3x3dbl_2(m.branch3x3dbl_1(x))
        return [
            m.branch1x1(x),
            m.branch3x3_2a(three),
            m.branch3x3_2b(three),
            m.branch3x3dbl_3a(double),
            m.branch3x3dbl_3b(double),
            m.branch_pool(pool(x)),
        ]

    return Branches(
        run,
        branch1x1=(c, 320, K1),
        branch3x3_1=(c, 384, K1),
        branch3x3_2a=(384, 384, ROW3),
        branch3x3_2b=(384, 384, COL3),
        branch3x3dbl_1=(c, 448, K1),
        branch3x3dbl_2=(448, 384, K3),
        branch3x3dbl_3a=(384, 384, ROW3),
        branch3x3dbl_3b=(384, 384, COL3),
        branch_pool=(c, 192, K1),
    )


class InceptionV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, **HALF)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, **K3)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, **K1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, kernel_size=3)
        self.Mixed_5b = inception_a(192, 32)
        self.Mixed_5c = inception_a(256, 64)
        self.Mixed_5d = inception_a(288, 64)
        self.Mixed_6a = inception_b(288)
        self.Mixed_6b = inception_c(768, 128)
        self.Mixed_6c = inception_c(768, 160)
        self.Mixed_6d = inception_c(768, 160)
        self.Mixed_6e = inception_c(768, 192)
        self.Mixed_7a = inception_d(768)
        self.Mixed_7b = inception_e(1280, around)
        self.Mixed_7c = inception_e(2048, lambda x: F.max_pool2d(x, 3, stride=1, padding=1))
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        x = F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        for name in ["5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"]:
            x = getattr(self, f"Mixed_{name}")(x)
        return x.mean((2, 3))


def same(x, kernel, stride):
    """TensorFlow's SAME padding with zeros."""
    pads = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride)):
        all_ = max(k - (size % s or s), 0)
        pads += [all_ // 2, all_ - all_ // 2]
    return F.pad(x, pads)


class Unit3D(nn.Module):
    def __init__(self, c_in, c_out, kernel=1, stride=1, bn=True):
        super().__init__()
        self.conv3d = nn.Conv3d(c_in, c_out, kernel, stride, bias=not bn)
        if bn:
            self.bn = nn.BatchNorm3d(c_out, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv3d(same(x, self.conv3d.kernel_size, self.conv3d.stride))))


def pool(x, kernel, stride):
    return F.max_pool3d(same(x, kernel, stride), kernel, stride)


class Mixed(nn.Module):
    def __init__(self, c, out):
        super().__init__()
        self.b0 = Unit3D(c, out[0])
        self.b1a, self.b1b = Unit3D(c, out[1]), Unit3D(out[1], out[2], 3)
        self.b2a, self.b2b = Unit3D(c, out[3]), Unit3D(out[3], out[4], 3)
        self.b3b = Unit3D(c, out[5])

    def forward(self, x):
        pooled = pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


class InceptionI3d(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3D(3, 64, 7, 2)
        self.Conv3d_2b_1x1 = Unit3D(64, 64)
        self.Conv3d_2c_3x3 = Unit3D(64, 192, 3)
        self.Mixed_3b = Mixed(192, [64, 96, 128, 16, 32, 32])
        self.Mixed_3c = Mixed(256, [128, 128, 192, 32, 96, 64])
        self.Mixed_4b = Mixed(480, [192, 96, 208, 16, 48, 64])
        self.Mixed_4c = Mixed(512, [160, 112, 224, 24, 64, 64])
        self.Mixed_4d = Mixed(512, [128, 128, 256, 24, 64, 64])
        self.Mixed_4e = Mixed(512, [112, 144, 288, 32, 64, 64])
        self.Mixed_4f = Mixed(528, [256, 160, 320, 32, 128, 128])
        self.Mixed_5b = Mixed(832, [256, 160, 320, 32, 128, 128])
        self.Mixed_5c = Mixed(832, [384, 192, 384, 48, 128, 128])
        self.logits = Unit3D(1024, 400, bn=False)

    def forward(self, x):
        n, c, t, h, w = x.shape
        x = x.transpose(1, 2).reshape(n * t, c, h, w)
        x = F.interpolate(x, size=(224, 224), mode="bilinear", align_corners=False)
        x = x.reshape(n, t, c, 224, 224).transpose(1, 2)
        x = pool(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        x = pool(self.Mixed_3c(self.Mixed_3b(x)), (3, 3, 3), (2, 2, 2))
        for name in "bcdef":
            x = getattr(self, f"Mixed_4{name}")(x)
        x = self.Mixed_5c(self.Mixed_5b(pool(x, (2, 2, 2), (2, 2, 2))))
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)
        return self.logits.conv3d(x).mean((2, 3, 4))


def frechet(a, b):
    mean_1, mean_2 = a.mean(0), b.mean(0)
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    return np.sum((mean_1 - mean_2) ** 2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(root)


out, names = {}, {}
with torch.no_grad():
    for key, network, shape in [
        ("inception", InceptionV3(), (2, 3, 80, 120)),
        # Long enough for two windows of the last pooling.
        ("i3d", InceptionI3d(), (1, 3, 17, 90, 70)),
    ]:
        names[key] = {name: list(value.shape) for name, value in network.state_dict().items()}
        # Named apart, as both have tensors of the same names.
        fill(network, key + ".")
        out[key] = network(torch.from_numpy(picture(key, shape)))
        print(key, out[key].abs().mean().item(), out[key].std().item())

# More samples than features and fewer: SciPy's root is exact enough for the first only where it is regular.
sets = lambda name, n: uniform(name, n * 12).reshape(n, 12)
out["frechet"] = torch.tensor(
    [
        frechet(sets("a", 100), 0.5 + 2 * sets("b", 60)),
        frechet(sets("c", 40) ** 3, sets("d", 50)),
    ]
)
(HERE / "metrics_tensors.json").write_text(json.dumps(names, separators=(",", ":")) + "\n")
save_file({k: v.contiguous() for k, v in out.items()}, HERE / "metrics.safetensors")
