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
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import wait

from tqdm import tqdm

from real.system.code import ROOT
from real.system.errors import ExpectedError

DEADLINE_S = 6.0
MEMORY_BYTES = 4 * 2**30
START_S = 120.0
TASKS_PER_WORKER = 2000  # sympy's caches grow; a fresh worker gives the memory back

Pair = tuple[str, str]

# those that wait for the next pair; a list's own pop and append let threads share it without a lock
_idle: list["Worker"] = []


class GradingError(ExpectedError):
    """Worker processes can't be started; the message says what to check."""


class Worker:
    """One worker process and the pair it is at."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "real.grading.worker", str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,  # a Ctrl-C in the terminal is for the caller, which finishes its step
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions, self.answers = self.process.stdin, self.process.stdout
        self.tasks, self.ready = 0, False
        self.pair: Pair | None = None
        self.deadline = time.monotonic() + START_S

    def send(self, pair: Pair, deadline_s: float) -> None:
        """Hand over a pair; a worker that died meanwhile shows it when its answer is read."""
        self.pair, self.tasks, self.deadline = pair, self.tasks + 1, time.monotonic() + deadline_s
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(pair), file=self.questions, flush=True)

    def receive(self) -> str | None:
        """The line that is waiting; empty: the worker died; None: it is past its deadline."""
        if self.deadline <= time.monotonic():
            return None
        line = self.answers.readline()
        return line.strip() if line.endswith("\n") else ""

    def end(self) -> None:
        """Kill the process and close its pipes."""
        with contextlib.suppress(BrokenPipeError), self.process:
            self.process.kill()


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
                busy.append(worker := _checked_out())
                if worker.ready:
                    worker.send(waiting.popleft(), deadline_s)
            for worker in _due(busy):
                pair, line = worker.pair, worker.receive()
                if pair is None:
                    _check_started(line)
                elif line == "" and pair not in died_once:
                    died_once.add(pair)
                    waiting.append(pair)
                else:
                    verdicts[pair] = "timeout" if line is None else json.loads(line) if line else "worker_died"
                    progress.update()
                busy.remove(worker)
                _give_back(worker, alive=bool(line))
    finally:
        progress.close()
        for worker in busy:
            worker.end()
    return verdicts


def _due(busy: Sequence[Worker]) -> list[Worker]:
    """The workers that have answered, died, or reached their deadline; waits for the first of them."""
    patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
    readable = wait([worker.answers.fileno() for worker in busy], patience)
    due = [worker for worker in busy if worker.answers.fileno() in readable]
    return due or [worker for worker in busy if worker.deadline <= time.monotonic()]


def _check_started(line: str | None) -> None:
    if line != "ready":
        reason = f"gave no sign of life for {START_S:.0f} s" if line is None else "ended at once"
        raise GradingError(
            f"grading: a worker process {reason}; check that '{sys.executable} -m real.grading.worker {MEMORY_BYTES}' "
            "starts (math-verify with an antlr4 runtime must be installed)"
        )


def _checked_out() -> Worker:
    """An idle worker that is still alive, or a new one."""
    with contextlib.suppress(IndexError):
        while (worker := _idle.pop()).process.poll() is not None:
            worker.end()
        return worker
    return Worker()


def _give_back(worker: Worker, alive: bool) -> None:
    """Let a worker that has answered wait for the next pair; end any other, and one that has answered enough."""
    worker.pair, worker.ready = None, True
    if alive and worker.tasks < TASKS_PER_WORKER:
        _idle.append(worker)
    else:
        worker.end()


def end_idle_workers() -> None:
    """End the workers that wait for the next call; called when the process ends."""
    with contextlib.suppress(IndexError):
        while True:
            _idle.pop().end()


atexit.register(end_idle_workers)
if hasattr(os, "register_at_fork"):
    # a forked child must not talk to its parent's workers
    os.register_at_fork(after_in_child=_idle.clear)
