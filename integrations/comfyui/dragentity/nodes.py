"""The node."""

from .client import Client
from .pictures import frames, masks, png


def _watch():
    """What hears a job's events: ComfyUI's bar, and its button to stop. Elsewhere nobody."""
    try:
        import comfy.model_management
        import comfy.utils
    except ImportError:
        return lambda event: None
    bar = comfy.utils.ProgressBar(100)

    def hear(event):
        comfy.model_management.throw_exception_if_processing_interrupted()
        done, total = event.get("done", event.get("step")), event.get("total", event.get("steps"))
        if isinstance(done, int) and isinstance(total, int) and total > 0:
            bar.update_absolute(done, total)

    return hear


class DragEntity:
    """Moves the things of a picture along the paths of a preset."""

    CATEGORY = "DragEntity"
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "INT", "IMAGE", "MASK")
    RETURN_NAMES = ("frames", "fps", "reference", "reference_masks")
    DESCRIPTION = (
        "Moves the things of a picture along paths. The preset is what the page's \"Copy link\" gives, or the text of a"
        " preset file. A server must run: dragentity serve"
    )

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE",),
                "preset": ("STRING", {"multiline": True, "default": ""}),
                "server": ("STRING", {"default": "http://127.0.0.1:8080"}),
            },
            "optional": {
                "token": ("STRING", {"default": ""}),
                "plate": ("IMAGE",),
            },
        }

    def run(self, image, preset, server, token="", plate=None):
        client = Client(server, token)
        job = client.submit(png(image), preset, None if plate is None else png(plate), reference=True)
        done = client.wait(job, _watch())
        size = done["width"], done["height"]
        made = frames(client.frames(job), *size)
        animation, where = client.reference(job)
        # The server need not keep what has been fetched.
        client.cancel(job)
        return made, done["fps"], frames(animation, *size), masks(where, *size)


NODE_CLASS_MAPPINGS = {"DragEntity": DragEntity}
NODE_DISPLAY_NAME_MAPPINGS = {"DragEntity": "DragEntity (move things along paths)"}
