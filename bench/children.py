"""The parent's side of `bench.worker`: a child process for each library, asked by lines of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Where the bench is, for its children to find it: not resolved, since it may be a link in a folder of links.
ROOT = Path(__file__).parent.parent


class Failed(Exception):
    """A child did not do what it was asked; ``kind`` is "cannot" or "wrong"."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Child:
    """One child, started when first asked, and started again after it died."""

    def __init__(self, name: str, directory: Path, size: str, threads: int | None = None) -> None:
        self.name = name
        self._arguments = [name, str(directory), size] + ([str(threads)] if threads else [])
        self._threads = threads
        self._log = directory / "logs" / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""

    def _start(self) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(exist_ok=True)
        environment = dict(os.environ)
        if self._threads:
            # What each library has no call for.
            environment["ZARRC_NUM_THREADS"] = environment["RAYON_NUM_THREADS"] = str(self._threads)
        self._pending = b""
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bench.worker", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=ROOT,
            )

    def ask(self, op: str, timeout: float = 300.0, **request: Any) -> Any:
        """Send a request and return its answer; `Failed` where there is none or it is an error."""
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"op": op, **request}).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._line(process, timeout)
        if line is None:
            code = self.stop(kill=True)
            reason = f"took more than {timeout:g} s" if code is None else f"the process ended with {code}"
            raise Failed("cannot", reason)
        answer = json.loads(line)
        if not answer["ok"]:
            raise Failed(answer["kind"], answer["error"])
        return answer["value"]

    def _line(self, process: subprocess.Popen[bytes], timeout: float) -> bytes | None:
        assert process.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                return None
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                return None
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def stop(self, kill: bool = False) -> int | None:
        """End the process; return its code if it had ended by itself."""
        process, self._process = self._process, None
        if process is None:
            return None
        code = process.poll()
        if code is None:
            assert process.stdin is not None
            if kill:
                process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return code
