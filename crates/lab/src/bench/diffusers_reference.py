"""The other side of `dragentity-lab bench --reference PYTHON`: diffusers on the same model directory, processor and sizes.

Started by the program with one argument, a JSON object; reads a command a line ("step", "generate") from standard
input, does it once and answers with one line of JSON. So both sides take turns within one run.
"""

import json
import re
import sys
import time
from pathlib import Path

import torch
from diffusers import StableVideoDiffusionPipeline
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

job = json.loads(sys.argv[1])
device, dtype = torch.device(job["device"]), getattr(torch, job["dtype"])
frames, width, height = job["frames"], job["width"], job["height"]
if device.type == "cpu":
    torch.set_num_threads(job["threads"])


def answer(**what):
    print(json.dumps(what), flush=True)


def finish():
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_memory():
    """Bytes at most in use since the last call: of the GPU, or of this process."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return peak
    try:
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
        return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) * 1024
    except (OSError, TypeError):
        return None


started = time.perf_counter()
pipe = StableVideoDiffusionPipeline.from_pretrained(job["model"], torch_dtype=dtype).to(device)
pipe.set_progress_bar_config(disable=True)
factor = 2 ** (len(pipe.vae.config.block_out_channels) - 1)
random = torch.Generator().manual_seed(0)


def randn(*shape):
    return torch.randn(shape, generator=random).to(device, dtype)


context = pipe.unet.config.cross_attention_dim
context = context if isinstance(context, int) else context[0]
step_inputs = (
    randn(1, frames, pipe.unet.config.in_channels, height // factor, width // factor),
    torch.tensor(1.0, device=device),
    randn(1, 1, context),
    torch.tensor([[6.0, 127.0, 0.02]], device=device, dtype=dtype),
)


@torch.no_grad()
def step():
    pipe.unet(*step_inputs)


@torch.no_grad()
def generate():
    picture = Image.new("RGB", (width, height), (90, 120, 60))
    pipe(
        picture, height=height, width=width, num_frames=frames, num_inference_steps=job["steps"],
        decode_chunk_size=job["decode_at_once"], generator=torch.Generator().manual_seed(0), output_type="np",
    )


with FlopCounterMode(display=False) as counter:
    step()
finish()
name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
peak_memory()
answer(
    name=f"PyTorch {torch.__version__} on {name}", load_seconds=time.perf_counter() - started,
    flops=counter.get_total_flops(),
)
commands = {"step": step, "generate": generate}
for line in sys.stdin:
    started = time.perf_counter()
    commands[line.strip()]()
    finish()
    answer(seconds=time.perf_counter() - started, peak_memory=peak_memory())
