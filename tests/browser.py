"""Chromium without a window, told what to do through its DevTools protocol over a pipe."""

import base64
import contextlib
import io
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
)
PATIENCE = 180  # seconds


class Browser:
    """One page. `with Browser(folder) as browser: browser.open("http://127.0.0.1:8000")`."""

    def __init__(self, profile: Path, *, width: int = 1000, height: int = 1100):
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        os.set_blocking(self._from, False)
        size = f"--window-size={width},{height}"
        line = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'  # the numbers that Chromium expects
        self._process = subprocess.Popen(
            ["bash", "-c", line, CHROMIUM, *OPTIONS.split(), size, f"--user-data-dir={profile}"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._said, self._number, self._session = b"", 0, {}
        self.complaints = []  # errors on the console, of scripts and of addresses
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, **parameters):
        """What one command of the protocol answers."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            answer = self._next()
            if answer is None:
                time.sleep(0.02)
            elif answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            else:
                self.complaints += _complaints(answer)
        raise TimeoutError(f"Chromium did not answer {method}")

    def _next(self):
        """A message of Chromium's, or None if none is there."""
        with contextlib.suppress(BlockingIOError):
            self._said += os.read(self._from, 1 << 20)
        message, found, rest = self._said.partition(b"\0")
        if not found:
            return None
        self._said = rest
        return json.loads(message)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({address!r})")

    def value(self, script: str):
        """What a JavaScript expression is."""
        given = {"expression": script, "returnByValue": True, "awaitPromise": True}
        return self.call("Runtime.evaluate", **given)["result"].get("value")

    def screenshot(self):
        """The window as an image."""
        shot = self.call("Page.captureScreenshot", format="png")["data"]
        return Image.open(io.BytesIO(base64.b64decode(shot)))

    def look_as(self, *, theme: str, width: int, height: int = 900) -> None:
        """Be a window so many pixels wide, of somebody who likes it `light` or `dark`."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": theme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def violations(self) -> list[str]:
        """What axe finds wrong with the page: rule, what it says, and the first elements."""
        from axe_core_python.base import AXE_SCRIPT

        self.value(f"{AXE_SCRIPT}; null")
        found = self.value("axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [
            f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes'][:3]]}"
            for rule in found
        ]

    def wait(self, script: str) -> None:
        """Until an expression is true."""
        until = time.monotonic() + PATIENCE
        while not self.value(script):
            assert time.monotonic() < until, f"never came: {script}"
            time.sleep(0.05)

    def choose_file(self, selector: str, path: Path) -> None:
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


def _complaints(event: dict) -> list[str]:
    """What an event of the protocol says went wrong, if it is such a one."""
    kind, about = event.get("method"), event.get("params", {})
    if kind == "Runtime.exceptionThrown":
        return [about["exceptionDetails"]["exception"].get("description", "?")]
    if kind == "Log.entryAdded" and about["entry"]["level"] == "error":
        return [f"{about['entry']['text']} {about['entry'].get('url', '')}"]
    if kind == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
        return [str([each.get("value") for each in about["args"]])]
    return []
