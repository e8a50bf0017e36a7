"""Writes consistency.json, the goldens of crates/core/src/scheduler/consistency.rs: runs of AnimateLCM's scheduler on single
numbers. Its code is not a package: have animatelcm_svd/animatelcm_scheduler.py of its repository (Apache-2.0) on the path. Run:
PYTHONPATH=FOLDER_OF_IT python tests/goldens/make_consistency.py
"""

import json
from pathlib import Path

import animatelcm_scheduler as published
import torch

HERE = Path(__file__).parent
FRESH = [0.25, -1.5, 0.75, 2.0, -0.5, 1.25, -0.125, 0.625]
CONFIG = dict(
    num_train_timesteps=40, sigma_min=0.002, sigma_max=700.0, sigma_data=1.0, s_noise=1.0, rho=7, clip_denoised=False
)


def run(steps):
    scheduler = published.AnimateLCMSVDStochasticIterativeScheduler(**CONFIG)
    scheduler.set_timesteps(steps)
    x = torch.tensor([0.3 * float(scheduler.init_noise_sigma)])
    trace = []
    for index, time in enumerate(scheduler.timesteps):
        published.randn_tensor = lambda *_, **__: torch.tensor([FRESH[index]])
        scaled = scheduler.scale_model_input(x, time)
        output = torch.tensor([0.4 - 0.1 * index])
        after = scheduler.step(output, time, x).prev_sample
        # With one step alone it adds none, and there is no level to add any at.
        trace.append([float(v) for v in (x, scaled, output, FRESH[index], after)])
        x = after
    return dict(
        steps=steps,
        sigmas=[float(v) for v in scheduler.sigmas],
        timesteps=[float(v) for v in scheduler.timesteps],
        init_noise_sigma=float(scheduler.init_noise_sigma),
        trace=trace,
    )


(HERE / "consistency.json").write_text(json.dumps([run(steps) for steps in (1, 2, 4, 6, 8)]) + "\n")
