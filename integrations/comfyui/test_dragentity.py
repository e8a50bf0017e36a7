"""The node against a running server: DRAGENTITY_SERVER is its address, DRAGENTITY_TOKEN its token, DRAGENTITY_PRESET a preset for
a picture of 3 to 2. Needs numpy; uses torch where there is one.

    python3 integrations/comfyui/test_dragentity.py

`cargo test --test serve` runs it where python3 has numpy.
"""

import os
import struct
import unittest
import zlib

import numpy

from dragentity.client import Client, ServerError
from dragentity.nodes import NODE_CLASS_MAPPINGS
from dragentity.pictures import frames, masks, png

SERVER = os.environ.get("DRAGENTITY_SERVER", "")
TOKEN = os.environ.get("DRAGENTITY_TOKEN", "")
PRESET = os.environ.get("DRAGENTITY_PRESET", "")


def picture(width=60, height=40):
    """A batch of one picture, as ComfyUI has them."""
    rng = numpy.random.default_rng(1)
    return rng.random((1, height, width, 3), dtype=numpy.float32)


class Pictures(unittest.TestCase):
    def test_a_png_has_the_pixels(self):
        image = picture()
        file = png(image)
        self.assertEqual(struct.unpack(">II", file[16:24]), (60, 40))
        at = file.index(b"IDAT")
        (length,) = struct.unpack(">I", file[at - 4 : at])
        rows = numpy.frombuffer(zlib.decompress(file[at + 4 : at + 4 + length]), numpy.uint8).reshape(40, -1)
        self.assertFalse(rows[:, 0].any())
        expected = numpy.rint(image[0] * 255).reshape(40, -1)
        self.assertTrue((rows[:, 1:] == expected).all())

    def test_what_is_no_number_or_too_bright_is_still_a_picture(self):
        image = picture()
        image[0, 0, 0] = [numpy.nan, 9, -9]
        self.assertTrue(png(image).startswith(b"\x89PNG"))

    def test_bytes_that_are_no_frames_are_refused(self):
        for raw, width, height in ((b"", 2, 2), (b"12345", 2, 2), (b"12", 0, 0)):
            with self.assertRaises(ValueError):
                frames(raw, width, height)

    def test_masks_are_inside_or_outside(self):
        made = numpy.asarray(masks(bytes([0, 127, 128, 255, 255, 0]), 3, 1))
        self.assertEqual(made.tolist(), [[[0, 0, 1]], [[1, 1, 0]]])
        with self.assertRaises(ValueError):
            masks(b"1234", 3, 1)


class Addresses(unittest.TestCase):
    def test_only_servers_are_asked(self):
        with self.assertRaisesRegex(ServerError, "no server's address"):
            Client("file:///etc/passwd")
        with self.assertRaisesRegex(ServerError, "dragentity serve"):
            Client("127.0.0.1:9").info()


@unittest.skipUnless(SERVER, "DRAGENTITY_SERVER names no running server")
class Jobs(unittest.TestCase):
    def test_the_node_makes_frames(self):
        node = NODE_CLASS_MAPPINGS["DragEntity"]()
        given = getattr(node, node.FUNCTION)(picture(), PRESET, SERVER, TOKEN)
        self.assertEqual(len(given), len(node.RETURN_TYPES))
        self.assertEqual(len(given), len(node.RETURN_NAMES))
        made, fps, animation, where = given
        made, animation, where = (numpy.asarray(one) for one in (made, animation, where))
        self.assertEqual(made.ndim, 4)
        self.assertGreaterEqual(made.shape[0], 2)
        self.assertEqual(made.shape[3], 3)
        self.assertEqual(made.dtype, numpy.float32)
        self.assertTrue(0 <= made.min() and made.max() <= 1)
        self.assertTrue((made[0] != made[-1]).any(), "nothing moved")
        self.assertGreater(fps, 0)
        # What other models follow: as long and as large, and begins with everything known.
        self.assertEqual(animation.shape, made.shape)
        self.assertEqual(where.shape, made.shape[:3])
        self.assertTrue((animation[0] != animation[-1]).any(), "nothing moved in the reference")
        self.assertTrue(where[0].all())
        self.assertTrue(0 < where[-1].mean() < 1, "nothing is left to the model, or everything")

    def test_refusals_are_the_servers_sentences(self):
        client = Client(SERVER, TOKEN)
        with self.assertRaisesRegex(ServerError, "preset"):
            client.submit(png(picture()), "{}")
        with self.assertRaisesRegex(ServerError, "no such job"):
            client.wait("none")

    def test_stopping_cancels_the_job(self):
        client = Client(SERVER, TOKEN)
        job = client.submit(png(picture()), PRESET)

        def stop(event):
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            client.wait(job, stop)
        # Cancelled where it ran, forgotten where it was done.
        with self.assertRaisesRegex(ServerError, "cancelled|no such job"):
            client.wait(job)


if __name__ == "__main__":
    unittest.main()
