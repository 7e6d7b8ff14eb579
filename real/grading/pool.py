"""Pairs of LaTeX compared in worker processes, each pair within a hard deadline.

A worker is a fresh interpreter that runs ``real.grading.worker`` and talks over its pipes, so it never imports the
caller's ``__main__`` and works from a script without a main guard, a notebook, standard input, a thread, asyncio or a
Ray actor. Everything happens in the calling thread, without signals. Workers stay for the next call and end with this
process.
"""

import atexit
import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from real.system.errors import ExpectedError

DEADLINE_S = 6.0
MEMORY_BYTES = 4 * 2**30
START_S = 120.0
TASKS_PER_WORKER = 2000  # sympy's caches grow; a fresh worker gives the memory back

Pair = tuple[str, str]

_idle: list["Worker"] = []
_lock = threading.Lock()


class GradingError(ExpectedError):
    """Worker processes can't be started; the message says what to check."""


class Worker:
    """One worker process and the pair it is at."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "real.grading.worker", str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # a Ctrl-C in the terminal is for the caller, which finishes its step
            env={**os.environ, "PYTHONPATH": path},
        )
        self.tasks = 0
        self.ready = False
        self.pair: Pair | None = None
        self.deadline = time.monotonic() + START_S

    def send(self, pair: Pair, deadline_s: float) -> None:
        """Hand over a pair; a worker that died meanwhile shows it when its answer is read."""
        assert self.process.stdin is not None
        self.pair, self.tasks, self.deadline = pair, self.tasks + 1, time.monotonic() + deadline_s
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(pair).encode() + b"\n")
            self.process.stdin.flush()

    def receive(self) -> str:
        """The line that is waiting; empty: the worker died."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return line.decode().strip() if line.endswith(b"\n") else ""

    def end(self) -> None:
        """Kill the process and close its pipes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def decide(pairs: Sequence[Pair], processes: int, deadline_s: float = DEADLINE_S) -> dict[Pair, bool | str]:
    """A verdict for every distinct pair: True, False, ``"timeout"`` or ``"worker_died"`` (twice on this pair).

    Args:
        processes: workers at most.
        deadline_s: seconds a pair may take.

    Raises:
        GradingError: workers can't be started at all.
    """
    if not pairs:
        return {}
    waiting = deque(dict.fromkeys(pairs))
    verdicts: dict[Pair, bool | str] = {}
    died_once: set[Pair] = set()
    busy: list[Worker] = []
    progress = tqdm(total=len(waiting), desc="compare", disable=None if len(waiting) > 100 else True)
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                worker = _checked_out()
                busy.append(worker)
                if worker.ready:
                    worker.send(waiting.popleft(), deadline_s)
            for worker in _due(busy):
                pair, line = worker.pair, worker.receive() if worker.deadline > time.monotonic() else None
                if not worker.ready:
                    _check_started(worker, line)
                    worker.ready = True
                elif pair is not None:
                    if line == "" and pair not in died_once:
                        died_once.add(pair)
                        waiting.append(pair)
                    else:
                        verdicts[pair] = "timeout" if line is None else json.loads(line) if line else "worker_died"
                        progress.update()
                worker.pair = None
                if not line or worker.tasks >= TASKS_PER_WORKER:
                    busy.remove(worker)
                    worker.end()
                elif waiting:
                    worker.send(waiting.popleft(), deadline_s)
                else:
                    busy.remove(worker)
                    _give_back(worker)
    finally:
        progress.close()
        for worker in busy:
            worker.end()
    return verdicts


def _due(busy: Sequence[Worker]) -> list[Worker]:
    """The workers that have answered, died, or reached their deadline; waits for the first of them."""
    with selectors.DefaultSelector() as selector:
        for worker in busy:
            assert worker.process.stdout is not None
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
        due = [key.data for key, _ in selector.select(patience)]
    return due or [worker for worker in busy if worker.deadline <= time.monotonic()]


def _check_started(worker: Worker, line: str | None) -> None:
    if line != "ready":
        reason = f"gave no sign of life for {START_S:.0f} s" if line is None else "ended at once"
        raise GradingError(
            f"grading: a worker process {reason}; check that '{sys.executable} -m real.grading.worker {MEMORY_BYTES}' "
            "starts (math-verify with an antlr4 runtime must be installed)"
        )


def _checked_out() -> Worker:
    """An idle worker that is still alive, or a new one."""
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.process.poll() is None:
                return worker
            worker.end()
    return Worker()


def _give_back(worker: Worker) -> None:
    with _lock:
        _idle.append(worker)


def end_idle_workers() -> None:
    """End the workers that wait for the next call; called when the process ends."""
    with _lock:
        while _idle:
            _idle.pop().end()


def _forget_workers() -> None:
    """A forked child must not talk to its parent's workers."""
    global _lock
    _idle.clear()
    _lock = threading.Lock()


atexit.register(end_idle_workers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
