"""Asks the other Zarr libraries, which run in an environment of their own (worker.py, ``make peers``)."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

WORKER = Path(__file__).with_name("worker.py")
TIMEOUT_S = 120.0


class PeerError(Exception):
    """A peer refused, failed, crashed or hung; the text is its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request: a value (and for reads an array), or the peer's error text."""

    ok: bool
    value: Any = None
    array: np.ndarray | None = None
    error: str = ""
    traceback: str = ""

    def unwrap(self) -> Answer:
        """This answer, or PeerError."""
        if not self.ok:
            raise PeerError(self.error)
        return self


def peers_python(root: Path) -> Path | None:
    """The interpreter of the peers' environment, if it has been made."""
    path = Path(os.environ.get("ZARRC_PEERS_PYTHON") or root / ".venv-peers" / "bin" / "python")
    return path if path.exists() else None


class Peers:
    """A worker process; started again after a peer has ended it.

    Parameters
    ----------
    python : Path
        The interpreter of the peers' environment.

    Examples
    --------
    ``peers.read("tensorstore", path)`` is an array or raises PeerError.  Many requests at a time are faster:
    ``peers.batch([{"op": "read", "lib": "zarr", "path": p} for p in paths])`` gives an `Answer` each.  In a
    request, "data" may be an array; "out" of a read may be left away.
    """

    def __init__(self, python: Path) -> None:
        self._python = python
        self._folder = tempfile.TemporaryDirectory(prefix="zarrc-peers-")
        self._n_files = 0
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._lock = threading.Lock()
        self.versions: dict[str, str] = self.batch([{"op": "versions"}])[0].unwrap().value

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and remove the files."""
        self._stop()
        self._folder.cleanup()

    def read(self, lib: str, path: str | os.PathLike[str]) -> np.ndarray:
        """The array at ``path`` as ``lib`` reads it."""
        array = self._ask(op="read", lib=lib, path=str(path)).array
        assert array is not None
        return array

    def write(
        self, lib: str, path: str | os.PathLike[str], data: np.ndarray, start: Iterable[int] = ()
    ) -> None:
        """Write ``data`` into the existing array at ``path``, from the offset ``start`` on."""
        self._ask(op="write", lib=lib, path=str(path), data=data, start=list(start))

    def create(
        self, lib: str, path: str | os.PathLike[str], metadata: dict[str, Any], data: np.ndarray | None = None
    ) -> None:
        """Make an array with the ``zarr.json`` or ``.zarray`` document ``metadata``, then write ``data``."""
        self._ask(op="create", lib=lib, path=str(path), metadata=metadata, data=data)

    def zarr_call(self, name: str, data: np.ndarray | None = None, **kwargs: Any) -> None:
        """Call ``zarr.<name>(**kwargs)`` and write ``data`` into the array that it gives."""
        self._ask(op="zarr_call", name=name, kwargs=kwargs, data=data)

    def run(self, source: str, **names: Any) -> Any:
        """What the Python ``source`` leaves in ``result`` (JSON), run with ``names``."""
        return self._ask(op="run", source=source, names=names).value

    def batch(self, requests: Iterable[dict[str, Any]]) -> list[Answer]:
        """One answer for each request, in order; a crash is the answer of the request that caused it."""
        with self._lock:
            prepared = [self._prepare(request) for request in requests]
            answers: list[Answer] = []
            while len(answers) < len(prepared):
                answers += self._send(prepared[len(answers) :])
            return answers

    def _ask(self, **request: Any) -> Answer:
        return self.batch([request])[0].unwrap()

    def _prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        request = dict(request)
        if request["op"] == "read":
            request.setdefault("out", self._new_file())
        if isinstance(request.get("data"), np.ndarray | np.generic):
            path = self._new_file()
            np.save(path, request["data"], allow_pickle=False)
            request["data"] = path
        return request

    def _new_file(self) -> str:
        self._n_files += 1
        return os.path.join(self._folder.name, f"{self._n_files}.npy")

    def _send(self, requests: list[dict[str, Any]]) -> list[Answer]:
        """Answers up to the end of ``requests`` or the first that ended the worker."""
        process = self._running()
        assert process.stdin is not None
        answers: list[Answer] = []
        try:
            process.stdin.write(json.dumps(requests) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return [self._failure("ended")]
        for request in requests:
            try:
                line = self._lines.get(timeout=TIMEOUT_S)
            except queue.Empty:
                return [*answers, self._failure(f"hung for {TIMEOUT_S:.0f} s")]
            if line is None:
                return [*answers, self._failure("ended")]
            answers.append(_answer(request, json.loads(line)))
            self._forget(request)
        return answers

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._process is not None
        return self._process

    def _start(self) -> None:
        self._stop()
        # The tests' own settings (import paths, sanitizers) are not the peers'.
        ours = ("PYTHON", "LD_PRELOAD", "ASAN_", "UBSAN_", "ZARRC_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        with self._log().open("w") as log:
            self._process = subprocess.Popen(
                [str(self._python), "-u", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=self._folder.name,
                text=True,
            )
        self._lines = queue.Queue()
        self._pump = threading.Thread(target=_pump, args=(self._process, self._lines), daemon=True)
        self._pump.start()

    def _stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._pump.join(10)  # which closes what it reads
        self._process = None

    def _failure(self, what: str) -> Answer:
        process = self._process
        assert process is not None
        if what != "ended":
            process.kill()
        code = process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._process = None
        lines = self._log().read_text("utf-8", "replace").strip().splitlines()
        said = [line for line in lines if "Check fail" in line] or lines[-12:]
        return Answer(ok=False, error=f"the peer {what} ({how}): " + "\n".join(said))

    def _log(self) -> Path:
        return Path(self._folder.name) / "stderr.txt"

    def _forget(self, request: dict[str, Any]) -> None:
        for field in ("data", "out"):
            path = request.get(field)
            if isinstance(path, str) and path.startswith(self._folder.name):
                Path(path).unlink(missing_ok=True)


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout as stdout:
        for line in stdout:
            lines.put(line)
    lines.put(None)


def _answer(request: dict[str, Any], reply: dict[str, Any]) -> Answer:
    if not reply["ok"]:
        return Answer(ok=False, error=reply["error"], traceback=reply["traceback"])
    array = np.load(request["out"]) if request["op"] == "read" else None
    return Answer(ok=True, value=reply["value"], array=array)
