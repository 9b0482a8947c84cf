"""Chromium without a window, told what to do through its DevTools protocol over a pipe."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
)
PATIENCE = 60  # seconds


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
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

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
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"]
        return found.get("value")

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
