#!/usr/bin/env python3
"""Writes relation.safetensors: the paper's Eq. 1 to 6 in plain NumPy (f64), on random weights.

    python tests/goldens/make_relation.py

The loops follow the equations, one entity, head and kernel at a time; nothing is vectorised and
nothing guards against overflow, so that the text can be read against the paper. `crates/networks/tests/relation.rs`
compares the module with it. What the paper leaves open is said in crates/networks/src/dragentity/relation.rs.
"""

import math
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

DIM, DIM_OUT, HEADS, KERNELS = 10, 12, 6, 64
BATCH, ENTITIES = 2, 5
# The module adds this to every squared width.
MIN_VARIANCE = 1e-4


def relation(v, boxes, w):
    """Embeddings [n, DIM_OUT] of entities with features v [n, DIM] and boxes [n, 4]."""
    n = len(v)
    f = v @ w["f.weight"].T + w["f.bias"]
    out = np.array(f)
    d = DIM_OUT // HEADS
    variance_rho = w["rho_width"] ** 2 + MIN_VARIANCE
    variance_theta = w["theta_width"] ** 2 + MIN_VARIANCE
    for i in range(n):
        # Polar coordinates of each j around i.
        rho, theta = np.zeros(n), np.zeros(n)
        for j in range(n):
            dx, dy = boxes[j, 0] - boxes[i, 0], boxes[j, 1] - boxes[i, 1]
            rho[j] = math.hypot(dx, dy)
            theta[j] = math.atan2(dy, dx)
        # Eq. 1, 2 and 3: [n, KERNELS]
        omega_kernels = np.zeros((n, KERNELS))
        for k in range(KERNELS):
            for j in range(n):
                omega_rho = math.exp(-((rho[j] - w["rho_mean"][k]) ** 2) / (2 * variance_rho[k]))
                turn = theta[j] - w["theta_mean"][k]
                while turn > math.pi:
                    turn -= 2 * math.pi
                while turn < -math.pi:
                    turn += 2 * math.pi
                omega_theta = math.exp(-(turn**2) / (2 * variance_theta[k]))
                omega_kernels[j, k] = omega_rho * omega_theta
            omega_kernels[:, k] /= omega_kernels[:, k].sum()
        for h in range(HEADS):
            share = np.exp(w["mix"][h]) / np.exp(w["mix"][h]).sum()
            omega_p = omega_kernels @ share
            own = slice(h * d, (h + 1) * d)
            # Eq. 4
            omega_s = np.array([f[i, own] @ f[j, own] / math.sqrt(d) for j in range(n)])
            # Eq. 5
            omega_i = omega_p * np.exp(omega_s)
            omega_i /= omega_i.sum()
            # Eq. 6
            out[i, own] += sum(omega_i[j] * f[j, own] for j in range(n))
    return out


def main():
    rng = np.random.default_rng(6)
    weights = {
        "f.weight": rng.normal(0, 0.5, (DIM_OUT, DIM)),
        "f.bias": rng.normal(0, 0.2, DIM_OUT),
        "rho_mean": rng.uniform(0, 1, KERNELS),
        "rho_width": rng.uniform(0.1, 0.5, KERNELS),
        "theta_mean": rng.uniform(-math.pi, math.pi, KERNELS),
        "theta_width": rng.uniform(0.3, 1.5, KERNELS),
        "mix": rng.normal(0, 1, (HEADS, KERNELS)),
    }
    # The numbers that the file holds are those that are computed with.
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    features = rng.normal(0, 1, (BATCH, ENTITIES, DIM)).astype(np.float32)
    boxes = rng.uniform(0, 1, (BATCH, ENTITIES, 4)).astype(np.float32)
    # Two entities at one place.
    boxes[0, 3, :2] = boxes[0, 1, :2]
    valid = np.ones((BATCH, ENTITIES), np.float32)
    valid[1, 3:] = 0

    embeddings = np.zeros((BATCH, ENTITIES, DIM_OUT))
    for b in range(BATCH):
        n = int(valid[b].sum())
        embeddings[b, :n] = relation(
            features[b, :n].astype(np.float64), boxes[b, :n].astype(np.float64), exact
        )
    tensors = weights | {
        "features": features,
        "boxes": boxes,
        "valid": valid,
        "embeddings": embeddings.astype(np.float32),
    }
    save_file(tensors, Path(__file__).with_name("relation.safetensors"))


if __name__ == "__main__":
    main()
