"""A server's jobs, by Python's standard library alone. What the routes are, `/api/openapi.json` of the server says."""

import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request

# Seconds between two looks at a job.
LOOK_EVERY = 0.25
# Seconds that a server may say nothing.
SILENCE = 60
# How often a job is sent again to a server that has no place for it.
TRIES = 20
# Phases after which nothing comes.
ENDS = ("done", "failed", "cancelled")


class ServerError(Exception):
    """What the server, or the way to it, says went wrong, in a sentence."""


class Client:
    """A server: its address, and its token where it needs one."""

    def __init__(self, address, token=""):
        address = address.strip().rstrip("/")
        if "://" not in address:
            address = "http://" + address
        # Else a "file:" would read this machine's.
        if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
            raise ServerError(f"{address} is no server's address; write it as http://127.0.0.1:8080")
        self.address = address
        self.token = token.strip()

    def info(self):
        """What the server says of itself: devices, model, limits."""
        return json.loads(self._ask("GET", "/api/info"))

    def submit(self, picture, preset, plate=None, reference=False):
        """Sends a job and returns its id. `picture` and `plate` are the bytes of files, `preset` is JSON or a link; with `reference`
        what other models would follow is made, too."""
        parts = {"picture": picture, "preset": preset.encode()}
        if plate is not None:
            parts["plate"] = plate
        if reference:
            parts["reference"] = b"true"
        body, kind = _form(parts)
        for attempt in range(TRIES):
            try:
                return json.loads(self._ask("POST", "/api/jobs", body, kind))["id"]
            except _Busy as busy:
                if attempt + 1 == TRIES:
                    raise ServerError(str(busy)) from None
                time.sleep(busy.seconds)

    def wait(self, job, on_event=lambda event: None):
        """Waits until a job ends, and returns its last event, `{"phase": "done", "width": .., "height": .., ..}`.

        `on_event` hears each event as it becomes the newest of its kind. What it raises cancels the job."""
        heard = {}
        try:
            while True:
                news = json.loads(self._ask("GET", f"/api/jobs/{job}"))["news"]
                for event in news:
                    phase = event["phase"]
                    if heard.get(phase) == event:
                        continue
                    heard[phase] = event
                    on_event(event)
                last = next((event for event in news if event["phase"] in ENDS), None)
                if last is not None:
                    break
                time.sleep(LOOK_EVERY)
        except BaseException:
            self.cancel(job)
            raise
        if last["phase"] == "failed":
            raise ServerError(last["error"])
        if last["phase"] == "cancelled":
            raise ServerError("the job was cancelled on the server")
        return last

    def frames(self, job):
        """All frames of a job that is done: red, green and blue of each pixel, one after the other."""
        return self._ask("GET", f"/api/jobs/{job}/video.rgb")

    def reference(self, job):
        """What other models would follow, of a job that was sent with `reference`: frames like those of `frames`, and as large; and
        where they are followed, a byte a pixel."""
        return tuple(self._ask("GET", f"/api/jobs/{job}/reference{kind}") for kind in (".rgb", "-masks.gray"))

    def cancel(self, job):
        """Cancels a job, or forgets its result. That the server is gone is no error here."""
        try:
            self._ask("DELETE", f"/api/jobs/{job}")
        except ServerError:
            pass

    def _ask(self, method, path, body=None, kind=None):
        headers = {"Content-Type": kind} if kind else {}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        request = urllib.request.Request(self.address + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SILENCE) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:
                why = _why(error.read(1 << 16)) or f"the server answered {error.code}"
            if error.code == 429:
                raise _Busy(why, error.headers.get("Retry-After")) from None
            raise ServerError(why) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ServerError(
                f"{self.address} does not answer ({reason}); start it with dragentity serve, or correct the address"
            ) from None


class _Busy(ServerError):
    def __init__(self, why, retry_after):
        super().__init__(why)
        self.seconds = min(int(retry_after), 30) if (retry_after or "").isdigit() else 5


def _why(body):
    try:
        return json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return None


def _form(parts):
    """A body of `multipart/form-data`, and its type."""
    boundary = secrets.token_hex(16)
    lines = []
    for name, content in parts.items():
        file = f'; filename="{name}.png"' if name in ("picture", "plate") else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        lines += [head.encode(), content, b"\r\n"]
    lines.append(f"--{boundary}--\r\n".encode())
    return b"".join(lines), f"multipart/form-data; boundary={boundary}"
