"""A job writes its own log: what it prints, what its children print, and what earlier attempts printed."""

import subprocess
from pathlib import Path

import pytest

from tests.support.processes import python

SCRIPT = """
import subprocess, sys
from pathlib import Path
from real.commands.log import log_to
log_to(Path(sys.argv[1]), keeps_attempts=sys.argv[2] == "keeps")
print("attempt", sys.argv[3], flush=True)
subprocess.run(["echo", "its child"], check=True)
sys.exit("its error")
"""


def attempt(log: Path, keeps: str, number: int) -> subprocess.CompletedProcess[str]:
    return python("-c", SCRIPT, log, keeps, str(number))


def lines_of(*numbers: int) -> str:
    return "".join(f"attempt {number}\nits child\nits error\n" for number in numbers)


@pytest.mark.parametrize(("keeps", "left"), [("keeps", lines_of(1, 2)), ("replaces", lines_of(2))])
def test_the_log_holds_what_a_process_and_its_children_print_and_the_terminal_nothing(tmp_path, keeps, left):
    log = tmp_path / "logs" / "train" / "seed0.log"
    for number in (1, 2):
        log.unlink(missing_ok=True)  # as Snakemake does before it starts a job
        done = attempt(log, keeps, number)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert log.read_text() == left


def test_without_hard_links_the_log_holds_the_last_attempt(tmp_path):
    log = tmp_path / "seed0.log"
    (tmp_path / "seed0.log.attempts").mkdir()  # no file, so nothing can be linked to it
    for number in (1, 2):
        log.unlink(missing_ok=True)
        attempt(log, "keeps", number)
    assert log.read_text() == lines_of(2)


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    command = ["-m", "real", "make", "benchmarks", "--config", "paper_configs/published.yaml"]
    done = python(*command, "--log", tmp_path / "logs" / "x.log")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("real: ")
    assert "logs" in done.stderr
    assert done.stderr.count("\n") == 1
