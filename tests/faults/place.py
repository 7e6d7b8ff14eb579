"""A copy of the project to be harmed: programs started in it, its results held against an undisturbed one's."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

CONFIG = "tests/faults/faults.yaml"
SCALE = "results/faults"
# differ from run to run by nature: clocks, machine load, and what lists their hashes
UNSTABLE = {"timings.jsonl", "provenance.json", "report.html", "manifest.json", ".snakemake_timestamp"}
# lists the benchmarks that are done so far
GROWING = "/evaluation.json"
# what lists no results, and the records of what is drawn, which hold times
UNDECLARED = {"benchmarks", "logs", "work", "provenance"}
END_SECONDS = 1200
GLANCE_SECONDS = 0.02


class LostError(Exception):
    """Something promised did not hold; the message is the evidence."""


class SkippedError(Exception):
    """A try that proves nothing here; the message is the reason."""


def must(kept: bool, otherwise: str) -> None:
    """Raise :class:`LostError` with ``otherwise`` unless the promise was kept."""
    if not kept:
        raise LostError(otherwise)


class Program:
    """A program in a session of its own, its output in a file; what is left of it is killed on leaving."""

    def __init__(self, command: list[str], folder: Path, output: Path, environment: dict[str, str]):
        self.output = output
        with output.open("wb") as sink:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self.output.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait_until(self, happened: Callable[[], object], seconds: float = END_SECONDS) -> bool:
        """Whether it happened before the program ended and within ``seconds``."""
        end = time.monotonic() + seconds
        while not happened():
            if self.ended or time.monotonic() > end:
                return False
            time.sleep(GLANCE_SECONDS)
        return True

    def wait(self, seconds: float) -> None:
        """Until it ends, for ``seconds`` at most."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, seconds))

    def end(self, seconds: float = END_SECONDS) -> int:
        """Its exit code, once it has ended."""
        self.wait(seconds)
        must(self.ended, f"did not end within {seconds} s; its last lines: {last_lines(self.text)}")
        return self.process.returncode

    def send(self, number: int) -> None:
        """A signal to this process alone, not to those it started."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def jobs(self) -> list[psutil.Process]:
        """The ``python -m real`` processes that it started."""
        found = []
        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if child.cmdline()[1:3] == ["-m", "real"]:
                        found.append(child)
        return found


@dataclass(frozen=True)
class Ended:
    """A program that ran to its end."""

    code: int
    text: str


@dataclass(frozen=True)
class Place:
    """A copy of the finished reference in ``checkout``, to be harmed; ``scratch`` is beside it, and is never harmed."""

    checkout: Path
    reference: Path
    scratch: Path

    @property
    def results(self) -> Path:
        return self.checkout / SCALE

    def real(self, *arguments: str, before: tuple[str, ...] = (), **environment: str) -> Program:
        """``python -m real``; ``before`` are the words of a command that runs it."""
        return self._start([*before, sys.executable, "-m", "real", *arguments], environment)

    def snakemake(self, *arguments: str, before: tuple[str, ...] = ()) -> Program:
        """Snakemake at the harness's scale, one job at a time."""
        command = [*before, sys.executable, "-m", "snakemake", *arguments, "--cores", "1", "--configfile", CONFIG]
        return self._start(command, {})

    def finish(self, program: Program) -> Ended:
        """Wait for a program."""
        with program:
            return Ended(program.end(), program.text)

    def must_complete(self, program: Program) -> str:
        """What the program printed; it must end well."""
        ended = self.finish(program)
        must(ended.code == 0, f"the same command again ended with {ended.code}: {last_lines(ended.text)}")
        return ended.text

    def begin_anew(self, keep: bool = False) -> Path:
        """Let the checkout be the reference again, and keep the harmed one, or not; where it is kept."""
        kept = self.scratch / f"lost-{len(list(self.scratch.glob('lost-*')))}"
        self.checkout.rename(kept)
        shutil.copytree(self.reference, self.checkout, symlinks=True)
        if not keep:
            shutil.rmtree(kept)
        return kept

    def clear(self, *parts: str) -> None:
        """Delete files and folders of the results."""
        for part in parts:
            for path in self.results.glob(part):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def must_be_whole(self) -> None:
        """What stands under a final name now is byte for byte what an undisturbed run puts there."""
        ours, theirs = declared(self.results), declared(self.reference / SCALE)
        altered = (name for name in ours if ours[name] != theirs.get(name))
        _must_be_none(
            "half-written or altered",
            (name for name in altered if not (name.endswith(GROWING) and _is_part(ours[name], theirs[name]))),
        )

    def must_be_identical(self, part: str = "") -> None:
        """All declared files of the results, or those below ``part``, are there and byte for byte the reference's."""
        ours, theirs = declared(self.results), declared(self.reference / SCALE)
        _must_be_none("half-written or altered", (name for name in ours if ours[name] != theirs.get(name)))
        _must_be_none("missing", (name for name in theirs if name.startswith(part) and name not in ours))
        _must_be_none("left behind", (str(path) for path in self.results.rglob("*.partial")))

    def stamps(self, *parts: str) -> dict[Path, tuple[int, int]]:
        """Inode and time of the files of the parts, folders' too: another stamp means that it was written again."""
        found = {}
        for path in sorted(
            file for part in parts for below in ("", "/**/*") for file in self.results.glob(part + below)
        ):
            if path.is_file() and path.name != ".snakemake_timestamp":
                status = path.stat()
                found[path] = (status.st_ino, status.st_mtime_ns)
        return found

    def must_be_untouched(self, before: dict[Path, tuple[int, int]]) -> None:
        """No file of ``before`` was written again, changed or deleted."""
        now = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in before if path.exists()}
        _must_be_none("made again", (str(path) for path in before if now.get(path) != before[path]))

    def environment(self, **changes: str) -> dict[str, str]:
        """Of the programs: this interpreter first on the path, no mirror, no proxy before this machine's own server."""
        inherited = {key: value for key, value in os.environ.items() if key != "REAL_DATASETS_MIRROR"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}"
        return {**inherited, "PATH": path, "NO_PROXY": "127.0.0.1", **changes}

    def _start(self, command: list[str], changes: dict[str, str]) -> Program:
        output = self.scratch / f"{len(list(self.scratch.glob('*.log'))):03}.log"
        return Program(command, self.checkout, output, self.environment(**changes))


def declared(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below the results that repeats from run to run."""
    return {
        name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in UNSTABLE
        and ".partial" not in (name := str(path.relative_to(folder)))
        and name.split("/")[0] not in UNDECLARED
    }


def _is_part(ours: bytes, theirs: bytes) -> bool:
    """Whether an evaluation.json lists some benchmarks of another one, and is the same otherwise."""
    part, whole = json.loads(ours), json.loads(theirs)
    benchmarks = {name: whole["benchmarks"].get(name) for name in part["benchmarks"]}
    return part == {**whole, "benchmarks": benchmarks}


def must_be_one_sentence(ended: Ended, *words: str) -> None:
    """It ended with code 1, without a traceback, and one of the lines that it printed holds all the words."""
    must(ended.code == 1, f"ended with {ended.code}: {last_lines(ended.text)}")
    must_have_no_traceback(ended.text)
    sentences = [line for line in ended.text.splitlines() if all(word in line for word in words)]
    must(bool(sentences), f"no sentence with {' and '.join(map(repr, words))}: {last_lines(ended.text)}")


def must_have_no_traceback(text: str) -> None:
    must("Traceback (most recent call last)" not in text, f"a traceback: {last_lines(text, 8)}")


def last_lines(text: str, count: int = 4) -> str:
    """The end of what a program printed, in one line."""
    return " / ".join([line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()][-count:])[-900:]


def _must_be_none(what: str, names: Iterable[str]) -> None:
    found = list(names)
    must(not found, f"{what}: {', '.join(found[:3])}{f' and {len(found) - 3} more' if len(found) > 3 else ''}")
