"""``python -m tests.faults``: interrupt, damage and starve the real programs at random, and count what was lost.

One undisturbed run of tests/faults/faults.yaml is the reference. Every round of a fault works in a copy of it, from a
random seed of its own, so that any try can be repeated: ``--seed N --only FAULT``. A moment in time repeats as far as
the machine's load does. Exit code 1 if anything was lost; the copy is then kept.
"""

import argparse
import filecmp
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from pathlib import Path

from tests.faults.place import CONFIG, Place, last_lines
from tests.faults.rounds import FAULTS, play
from tests.faults.tries import Tried
from tests.support.checkout import copy_checkout
from tests.support.paths import ROOT

SIDE_BY_SIDE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults asked for, print the table, and return the exit code."""
    parsed = _parser().parse_args(arguments)
    chosen = [fault for fault in FAULTS if parsed.only is None or fault.name in parsed.only]
    seed = random.randrange(10**6) if parsed.seed is None else parsed.seed
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    log = folder / "tries.log"
    started = time.monotonic()
    print(f"seed {seed}; every try is a line of {log}", flush=True)
    reference = parsed.reference or make_reference(folder / "reference")
    refuse_another_code(reference)
    rounds = [
        (fault.name, number, tries)
        for fault in chosen
        for count, tries in [fault.short if parsed.short else fault.full]
        for number in range(count)
    ]
    tried: dict[str, list[Tried]] = {fault.name: [] for fault in chosen}
    with log.open("a") as lines:
        for name, key, one in played(rounds, seed, folder, reference):
            tried[name].append(one)
            evidence = one.lost or one.skipped
            line = f"{name} | {key!r} | {one.outcome} | {one.what}{f' | {evidence}' if evidence else ''}"
            print(line, file=lines, flush=True)
            print(line, flush=True)
    if parsed.reference is None:
        shutil.rmtree(reference)
    print(table(tried))
    lost = sum(one.outcome == "lost" for tries in tried.values() for one in tries)
    print(f"seed {seed}, {time.monotonic() - started:.0f} s; every try is a line of {log}")
    if lost:
        print(f"lost {lost}: the copies of the project in {folder} hold the evidence")
    return 1 if lost else 0


def played(
    rounds: Sequence[tuple[str, int, int]], seed: int, folder: Path, reference: Path
) -> Iterator[tuple[str, str, Tried]]:
    """Every try with its fault's name and its round's seed, rounds two at a time; interrupted, it ends what it started.

    Args:
        rounds: name of the fault, number of the round, tries.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ProcessPoolExecutor(SIDE_BY_SIDE, mp_context=get_context("spawn")) as pool:
        keys = {}
        for name, number, tries in rounds:
            words, key = f"{name.replace(',', '').replace(' ', '-')}-{number}", f"{seed} {name} {number}"
            place = Place(folder / words, reference, folder / f"{words}-programs")
            keys[pool.submit(play, name, place, key, tries)] = name, key
        try:
            for done in as_completed(keys):
                yield from ((*keys[done], one) for one in done.result())
        except KeyboardInterrupt:
            for worker in active_children():
                worker.terminate()  # its programs and disks go with it: rounds.play
            pool.shutdown(cancel_futures=True)
            raise


def make_reference(checkout: Path) -> Path:
    """A copy of the project in which the harness's scale has run undisturbed."""
    copy_checkout(checkout)
    print("making the reference, undisturbed", flush=True)
    command = [sys.executable, "-m", "snakemake", "--cores", str(SIDE_BY_SIDE), "--configfile", CONFIG]
    environment = Place(checkout, checkout, checkout).environment()
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the undisturbed run failed: {last_lines(done.stdout + done.stderr, 12)}")
    return checkout


def refuse_another_code(reference: Path) -> None:
    """Leave unless the reference was made from the code and the configuration that are here."""
    for room in ("real", "figures", "workflow", "paper_configs"):
        for path in (ROOT / room).rglob("*"):
            present = reference / path.relative_to(ROOT)
            if path.suffix in (".py", ".smk", ".yaml") and not filecmp.cmp(path, present, shallow=False):
                sys.exit(f"{reference}: was made with another {path.relative_to(ROOT)}; leave --reference out")


def table(tried: dict[str, list[Tried]]) -> str:
    """fault | tried | survived | lost, with the sum in the last row; what isn't counted is named below."""
    rows = [(name, *_counts(tries)) for name, tries in tried.items() if tries]
    rows.append(("all", *map(sum, zip(*(row[1:] for row in rows), strict=True))) if rows else ("all", 0, 0, 0))
    width = max(len(row[0]) for row in rows)
    lines = [f"| {'fault':{width}} | tried | survived | lost |", f"|:{'-' * width}-|------:|---------:|-----:|"]
    lines += [f"| {name:{width}} | {all_:5} | {kept:8} | {lost:4} |" for name, all_, kept, lost in rows]
    lines += [
        f"not counted: {name}: {one.what}: {one.skipped}" for name, ones in tried.items() for one in ones if one.skipped
    ]
    return "\n".join(lines)


def _counts(tries: Sequence[Tried]) -> tuple[int, int, int]:
    outcomes = [one.outcome for one in tries]
    survived, lost = outcomes.count("survived"), outcomes.count("lost")
    return survived + lost, survived, lost


def _parser() -> argparse.ArgumentParser:
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="a few tries of the commonest faults, in minutes")
    parser.add_argument("--seed", type=int, help="of every random draw (default: another one each time)")
    parser.add_argument("--only", nargs="+", choices=names, metavar="FAULT", help=", ".join(names))
    parser.add_argument("--reference", type=Path, help="a checkout of this code whose faults scale is finished")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
