"""Pairs of LaTeX compared in worker processes, each within a hard deadline, and those that never end in bounded time.

A worker is a fresh interpreter that runs the file ``worker.py`` and talks over its pipes, so it never imports the
caller's ``__main__`` or a module of the current folder, and works from a script without a main guard, a notebook,
standard input, a thread, asyncio or a Ray actor. Everything happens in the calling thread, without signals. Workers
stay for the next call and end with this process.

A pair is tried twice: first for a moment of processor time, which is enough for ordinary pairs on a busy machine too
and which the worker's kernel keeps, then, when every pair had its moment, up to its deadline. So a batch of pairs that
never end delays ordinary pairs by moments, and second tries share a patience of their own (:class:`Patience`).
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path

from tqdm import tqdm

from real.system.errors import ExpectedError

DEADLINE_S = 6.0
FIRST_TRY_S = 0.5  # of processor time; ordinary pairs take milliseconds, one in a hundred some tenths
BATCH_S = 60.0
MEMORY_BYTES = 4 * 2**30
START_S = 120.0
INTERRUPTED_S = 10.0
TICK_S = 0.25
STALL_S = 1.0  # more than this in one tick: the caller was stopped, suspended, or starved
SAID_CHARACTERS = 500
# what comes of a try without a verdict: the deadline passed, the worker is gone, its fork is (of which it says why)
FAILURES = (None, "", "late", "died")
WORKER = Path(__file__).resolve().with_name("worker.py")

Pair = tuple[str, str]
Verdict = bool | str

# those that wait for the next pair; a list's own pop and append let threads share it without a lock
_idle: list["Worker"] = []


class GradingError(ExpectedError):
    """Worker processes can't be started; the message says what to check, and the last that a worker said."""


class Patience:
    """Seconds that second tries which come to nothing may still take, together, over the workers.

    Args:
        seconds: at first, and at most.
        recovery: how many it gains in each second that passes.
    """

    def __init__(self, seconds: float = BATCH_S, recovery: float = 0.0) -> None:
        self.limit, self.recovery = seconds, recovery
        self.left, self.since = seconds, time.monotonic()

    def take(self, seconds: float = 0.0) -> bool:
        """Take some off; whether any are left."""
        since, self.since = self.since, time.monotonic()
        self.left = min(self.limit, self.left + self.recovery * (self.since - since)) - seconds
        return self.left > 0


class Worker:
    """One worker process and the pair it is at; times are seconds of the batch's clock."""

    def __init__(self, now: float) -> None:
        command = [sys.executable, "-P", str(WORKER), str(MEMORY_BYTES)]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,  # a buffer has a lock, which a forked child could inherit closed
                process_group=0,  # a Ctrl-C in the terminal is for the caller, which finishes its step
                env=_environment(),
            )
        except OSError as error:
            raise GradingError(f"grading: a worker process can't be started ({error}); check {command[0]}") from None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions, self.answers = self.process.stdin, self.process.stdout
        self.ready = False
        self.pair: Pair | None = None
        self.began, self.deadline = now, now + START_S

    def send(self, pair: Pair, seconds: float, now: float, deadline_s: float) -> None:
        """Hand over a pair; a worker that died meanwhile shows it when its answer is read.

        Args:
            seconds: of processor time for this try.
        """
        self.pair, self.began, self.deadline = pair, now, now + deadline_s
        with contextlib.suppress(BrokenPipeError):
            self.questions.write(json.dumps([*pair, seconds]).encode() + b"\n")

    def interrupt(self, now: float) -> None:
        """Have it give up its pair; it says so by a line, or, if it was about to answer, by its answer."""
        self.process.send_signal(signal.SIGUSR1)
        self.pair, self.deadline = None, now + INTERRUPTED_S

    def receive(self) -> str:
        """The line that is waiting; empty: the worker died."""
        line = self.answers.readline().decode()
        return line.strip() if line.endswith("\n") else ""

    def end(self) -> str:
        """Kill the process and what it started, close its pipes, and say what it said last before it was ready."""
        with contextlib.suppress(BrokenPipeError), self.process:
            if self.process.returncode is None:  # nobody has reaped it, so the number is its own
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
            assert self.process.stderr is not None
            said = b"" if self.ready else self.process.stderr.read()
        return " ".join(said.decode(errors="replace").split())[-SAID_CHARACTERS:]


def _environment() -> dict[str, str]:
    """The variables of this process, with a PYTHONPATH that names nothing by the current folder."""
    paths = filter(os.path.isabs, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def decide(
    pairs: Sequence[Pair], processes: int, deadline_s: float = DEADLINE_S, patience: Patience | None = None
) -> dict[Pair, Verdict]:
    """A verdict for every distinct pair: True, False, or the status of one that has none.

    ``"timeout"``, ``"worker_died"`` (twice on this pair), or what the worker says (``"not_understood"``).

    Args:
        processes: workers at most.
        deadline_s: seconds a pair may take.
        patience: of the batch, which several calls may share; what a call takes is taken off.

    Raises:
        GradingError: workers can't be started at all.
    """
    batch = _Batch(pairs, processes, deadline_s, patience or Patience())
    if batch.waiting:
        batch.run()
    return batch.verdicts


class _Batch:
    """What is asked, what is known and who is at work."""

    def __init__(self, pairs: Sequence[Pair], processes: int, deadline_s: float, patience: Patience) -> None:
        self.processes, self.deadline_s, self.patience = processes, deadline_s, patience
        self.waiting = deque(dict.fromkeys(pairs))  # those that failed once are behind those that were never tried
        self.verdicts: dict[Pair, Verdict] = {}
        self.late: set[Pair] = set()
        self.died: set[Pair] = set()
        self.busy: list[Worker] = []
        self.now = 0.0  # seconds that this process was seen to run

    def run(self) -> None:
        """Decide every pair."""
        total = len(self.waiting)
        progress = tqdm(total=total, desc="compare", disable=None if total > 100 else True)
        try:
            while self.waiting or self.busy:
                while self.waiting and len(self.busy) < self.processes:
                    self._employ()
                for worker, line in self._due():
                    self._hear(worker, line)
                progress.update(len(self.verdicts) - progress.n)
        finally:
            progress.close()
            for worker in self.busy:
                worker.end()

    def _employ(self) -> None:
        """Give the next pair to a worker that is ready, else start one."""
        pair = self.waiting[0]
        if pair in self.late and not self.patience.take():
            self.verdicts[self.waiting.popleft()] = "timeout"
            return
        worker = _checked_out(self.now)
        self.busy.append(worker)
        if worker.ready:
            worker.send(self.waiting.popleft(), self._seconds(pair), self.now, self.deadline_s)

    def _seconds(self, pair: Pair) -> float:
        return self.deadline_s if pair in self.late else min(FIRST_TRY_S, self.deadline_s)

    def _due(self) -> list[tuple[Worker, str | None]]:
        """The workers that have answered or died, with their line, and those past their deadline; waits a tick at most.

        What waits in a pipe is read before any deadline is judged. Time in which this process didn't run, because it
        was stopped or the machine was suspended, is no worker's time.
        """
        nearest = max(0.0, min((worker.deadline for worker in self.busy), default=0.0) - self.now)
        before = time.monotonic()
        readable = wait([worker.answers.fileno() for worker in self.busy], min(TICK_S, nearest))
        self.now += min(time.monotonic() - before, STALL_S)
        heard: list[tuple[Worker, str | None]] = []
        for worker in self.busy:
            if worker.answers.fileno() in readable:
                heard.append((worker, worker.receive()))
            elif worker.deadline <= self.now:
                heard.append((worker, None))
        return heard

    def _hear(self, worker: Worker, line: str | None) -> None:
        """Take what a worker said (None: nothing, until its deadline) for the pair it was at."""
        self.busy.remove(worker)
        pair = worker.pair
        if pair is None:
            if not worker.ready:
                _check_started(worker, line)
            _give_back(worker, alive=bool(line))
            return
        if pair in self.late and line in FAILURES:
            self.patience.take(self.now - worker.began)
        verdict = self._verdict(pair, line)
        if verdict is None:
            self.waiting.append(pair)
        else:
            self.verdicts[pair] = verdict
        if line is None:
            worker.interrupt(self.now)
            self.busy.append(worker)
        else:
            _give_back(worker, alive=line != "")

    def _verdict(self, pair: Pair, line: str | None) -> Verdict | None:
        """What a line says of a pair; None: it is to be tried again."""
        if line is None:
            return "timeout"
        if line == "late":
            final = self._seconds(pair) == self.deadline_s
            self.late.add(pair)
            return "timeout" if final else None
        if line in ("", "died"):
            final = pair in self.died
            self.died.add(pair)
            return "worker_died" if final else None
        verdict: Verdict = json.loads(line)
        return verdict


def _check_started(worker: Worker, line: str | None) -> None:
    if line == "ready":
        return
    reason = f"gave no sign of life for {START_S:.0f} s" if line is None else "ended at once"
    said = worker.end()
    raise GradingError(
        f"grading: a worker process {reason}{f', saying: {said}' if said else ''}; check that '{sys.executable} -P "
        f"{WORKER} {MEMORY_BYTES}' starts (math-verify with an antlr4 runtime must be installed)"
    )


def _checked_out(now: float) -> Worker:
    """An idle worker that is still alive, or a new one."""
    with contextlib.suppress(IndexError):
        while (worker := _idle.pop()).process.poll() is not None:
            worker.end()
        return worker
    return Worker(now)


def _give_back(worker: Worker, alive: bool) -> None:
    """Let a worker that has answered wait for the next pair; end any other."""
    if not worker.ready:  # from here on it says nothing but verdicts
        assert worker.process.stderr is not None
        worker.process.stderr.close()
    worker.pair, worker.ready = None, True
    if alive:
        _idle.append(worker)
    else:
        worker.end()


def end_idle_workers() -> None:
    """End the workers that wait for the next call; called when the process ends."""
    with contextlib.suppress(IndexError):
        while True:
            _idle.pop().end()


def _after_fork() -> None:
    """In a forked child: its parent's workers aren't its own, and what a thread of the parent had locked stays so."""
    _idle.clear()
    tqdm.set_lock(threading.RLock())


atexit.register(end_idle_workers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
