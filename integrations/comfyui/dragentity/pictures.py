"""Between ComfyUI's pictures, tensors of `[batch, height, width, 3]` from 0 to 1, and what the server takes and gives."""

import math
import struct
import zlib

import numpy


def png(image):
    """The first picture of a batch as a PNG file. Alpha is left out."""
    first = image[0]
    pixels = numpy.asarray(first.cpu() if hasattr(first, "cpu") else first, dtype=numpy.float32)
    if pixels.ndim != 3 or pixels.shape[2] < 3:
        raise ValueError(f"a picture has the shape [height, width, 3], and this one {list(pixels.shape)}")
    pixels = numpy.nan_to_num(pixels[:, :, :3])
    rgb = numpy.rint(pixels.clip(0, 1) * 255).astype(numpy.uint8)
    height, width, _ = rgb.shape
    # Each row begins with the number of its filter, none.
    rows = numpy.zeros((height, 1 + 3 * width), numpy.uint8)
    rows[:, 1:] = rgb.reshape(height, -1)

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def frames(raw, width, height):
    """Frames as the server sends them, as ComfyUI's pictures; without torch, as a NumPy array."""
    return _tensor(_whole(raw, (height, width, 3)).astype(numpy.float32) / 255)


def masks(raw, width, height):
    """Masks as the server sends them, as ComfyUI's: 1 inside, where the reference is followed, however closely."""
    return _tensor((_whole(raw, (height, width)) >= 128).astype(numpy.float32))


def _whole(raw, shape):
    """Bytes as whole frames of a shape."""
    size = math.prod(shape)
    if size == 0 or len(raw) == 0 or len(raw) % size:
        raise ValueError(f"{len(raw)} bytes are not whole frames of {shape[1]} x {shape[0]} pixels")
    return numpy.frombuffer(raw, numpy.uint8).reshape(-1, *shape)


def _tensor(values):
    try:
        import torch
    except ImportError:
        return values
    return torch.from_numpy(values)
