"""Unpacks the pictures of Qt resource files (format of Qt's `rcc`, versions 1 to 3).

Usage: unpack-rcc.py FOLDER FILE.rcc...
"""

import pathlib
import struct
import sys
import zlib

PICTURES = (".webp", ".jpg", ".jpeg", ".png")
COMPRESSED, DIRECTORY, ZSTD = 1, 2, 4


def unpack(path, folder):
    data = pathlib.Path(path).read_bytes()
    if data[:4] != b"qres":
        sys.exit(f"{path}: not a Qt resource file")
    version, tree, blobs, names = struct.unpack_from(">4I", data, 4)
    node_size = 14 if version == 1 else 22

    def name_at(offset):
        (length,) = struct.unpack_from(">H", data, names + offset)
        start = names + offset + 6
        return data[start : start + 2 * length].decode("utf-16-be")

    def walk(index, parts):
        node = tree + index * node_size
        name, flags = struct.unpack_from(">IH", data, node)
        if index:
            parts = parts + [name_at(name)]
        if flags & DIRECTORY:
            count, first = struct.unpack_from(">2I", data, node + 6)
            for child in range(first, first + count):
                walk(child, parts)
            return
        if not parts[-1].endswith(PICTURES) or flags & ZSTD or ".." in parts:
            return
        (offset,) = struct.unpack_from(">I", data, node + 10)
        (length,) = struct.unpack_from(">I", data, blobs + offset)
        content = data[blobs + offset + 4 : blobs + offset + 4 + length]
        if flags & COMPRESSED:
            content = zlib.decompress(content[4:])
        target = pathlib.Path(folder, *parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    walk(0, [])


for file in sys.argv[2:]:
    unpack(file, sys.argv[1])
