"""Server programs as children: started on a free port, ended by their process id, their output kept."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Child", "ControlledChild", "ServerError", "free_port", "module_command", "wait_until_answering"]

START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 60.0

# The tests' own settings (import paths, sanitizers) are not the servers'.
_OURS = ("LD_PRELOAD", "ASAN_", "UBSAN_", "PYTHONMALLOC")

ROOT = Path(__file__).resolve().parent.parent.parent


class ServerError(Exception):
    """A server did not start, or does not answer; the text has the end of its output."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of the tests."""
    return [sys.executable, "-m", module, *arguments]


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return environment | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class Child:
    """A running program.

    Parameters
    ----------
    name : str
        What it is, for messages.
    command : sequence of str
        Program and arguments.
    log : Path
        The file that its output goes to.
    guarded : bool, default True
        Whether it runs below ``guard.py``, which ends it with us; a program of ours sees to that itself.
    environment : dict, optional
        Variables that it has besides ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        guarded: bool = True,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        guard = [sys.executable, "-IS", str(Path(__file__).with_name("guard.py"))] if guarded else []
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=output if guarded else subprocess.PIPE,
                stderr=output,
                env=_environment() | (environment or {}),
                cwd=ROOT,
            )

    @property
    def pid(self) -> int:
        """The process (the guard's, where there is one)."""
        return self.process.pid

    def log_tail(self, n_lines: int = 60) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-n_lines:])

    def stop(self) -> None:
        """End it; it is fine if it has ended."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def failed(self, what: str) -> ServerError:
        """The error that says what it failed to do."""
        return ServerError(f"{self.name} {what}; its output:\n{self.log_tail()}")


class ControlledChild(Child):
    """A program of ours (``--control``): it says where it listens, and answers commands in lines of JSON."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        super().__init__(name, [*command, "--control"], log, guarded=False)
        self._lock = threading.Lock()
        self._rest = b""
        self.url = str(self._line(START_TIMEOUT_S)["url"])

    def ask(self, op: str, **arguments: Any) -> Any:
        """What the program answers to a command."""
        assert self.process.stdin is not None
        with self._lock:
            self.process.stdin.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
            self.process.stdin.flush()
            answer = self._line(ANSWER_TIMEOUT_S)
        if "error" in answer:
            raise self.failed(f"refused {op}: {answer['error']}")
        return answer["answer"]

    def _line(self, timeout_s: float) -> dict[str, Any]:
        stdout = self.process.stdout
        assert stdout is not None
        deadline = time.monotonic() + timeout_s
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self.failed(f"did not answer for {timeout_s:.0f} s")
            data = os.read(stdout.fileno(), 1 << 20)
            if not data:
                raise self.failed("ended")
            parts.append(data)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


def wait_until_answering(child: Child, url: str) -> None:
    """Wait until something at the URL answers, with whatever status."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except (OSError, urllib.error.URLError) as error:
            if child.process.poll() is not None:
                raise child.failed("ended") from error
            if time.monotonic() > deadline:
                raise child.failed(f"did not answer at {url}") from error
        time.sleep(0.03)
