"""Numbers that Python and Rust make alike from a tensor's name, so that goldens need not hold weights.

crates/testkit/src/lib.rs has the same functions. Element i of tensor `name` is a hash (splitmix64, started from
the FNV-1a hash of the name) as a number from -1 to 1, then scaled by what kind of tensor it is:
weights as PyTorch's default would have them, biases small, weights of norms about 1.
"""

import numpy as np


def uniform(name: str, count: int) -> np.ndarray:
    """`count` float64 numbers from -1 to 1, each a multiple of 2^-23."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0


def tensor(name: str, shape) -> np.ndarray:
    """The float32 parameter `name`."""
    shape = tuple(shape)
    u = uniform(name, int(np.prod(shape)))
    if name.endswith("mix_factor"):
        values = u
    elif len(shape) > 1:
        # Variance 1 / fan_in, so that signals neither die nor grow on their way through.
        values = u * np.sqrt(3.0 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        # As if ReLU had taken half of it.
        values = 0.5 + 0.1 * u
    elif name.endswith(("bias", "running_mean")):
        values = 0.1 * u
    else:
        values = 1.0 + 0.2 * u
    return values.astype(np.float32).reshape(shape)


def fill(module, prefix: str = ""):
    """Gives every parameter and buffer of a PyTorch module its synthetic values."""
    import torch

    with torch.no_grad():
        for name, parameter in module.state_dict().items():
            parameter.copy_(torch.from_numpy(tensor(prefix + name, parameter.shape)))
    return module.eval()


def picture(name: str, shape) -> np.ndarray:
    """The float32 input `name`, from -1 to 1."""
    return uniform(name, int(np.prod(shape))).astype(np.float32).reshape(shape)
