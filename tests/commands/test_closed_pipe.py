"""A reader that goes before a command has printed all, as ``head`` does, ends the command in silence."""

import os
import shlex
import subprocess
import sys

import pytest

from real.commands.streams import READER_GONE
from tests.support import tiny_scale as tiny
from tests.support.paths import ROOT
from tests.support.processes import environment

COMMANDS = {"status": READER_GONE, "plan": READER_GONE, "verify": READER_GONE, "--help": 0}
"""with their exit codes; argparse, which prints the help, passes over a broken pipe"""
JOB = "import sys; from real.commands.command_line import main; from real.commands import start; {}; sys.exit(main({}))"


def into_a_closed_pipe(command: list[str], also: str = "stdout") -> tuple[int, str]:
    """Exit code of a command whose output, and perhaps errors, nobody reads; what it said of that."""
    reading, writing = os.pipe()
    os.close(reading)
    ends = {"stdout": writing, "stderr": writing if also == "stderr" else subprocess.PIPE}
    done = subprocess.run([sys.executable, *command], env=environment(PYTHONPATH=str(ROOT)), text=True, **ends)
    os.close(writing)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize(("verb", "code"), COMMANDS.items())
def test_a_command_into_a_closed_pipe_says_nothing(tiny_copy, verb, code):
    config = [] if verb == "--help" else tiny.CONFIG
    assert into_a_closed_pipe(["-m", "real", verb, *config]) == (code, "")


def test_a_line_without_an_end_into_a_closed_pipe_says_nothing_either(tiny_copy):
    script = JOB.format("start.make_base = lambda *_: print('x', end='')", ["base", *tiny.CONFIG])
    assert into_a_closed_pipe(["-c", script]) == (READER_GONE, "")


@pytest.mark.parametrize("command", [["status", *tiny.CONFIG], ["status", "--scale", "none"]], ids=" ".join)
def test_a_command_whose_errors_nobody_reads_either_ends_alike(tiny_copy, command):
    assert into_a_closed_pipe(["-m", "real", *command], also="stderr") == (READER_GONE, "")


def test_head_shows_one_line_and_nothing_is_said(tiny_copy):
    command = shlex.join([sys.executable, "-m", "real", "status", *tiny.CONFIG])
    shell = f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    env = environment(PYTHONPATH=str(ROOT))
    done = subprocess.run(["bash", "-c", shell], env=env, text=True, capture_output=True)
    line, code = done.stdout.splitlines()
    assert line.startswith("smoke+tiny: ")
    # head may go before the last line or after it
    assert int(code) in (0, READER_GONE)
    assert done.stderr == ""


def test_a_broken_pipe_of_the_jobs_own_is_one_sentence(tiny_copy):
    # nobody reads what a child was to be told, but somebody reads standard output
    broken = "start.make_base = lambda *_: __import__('os').write(int(sys.argv[1]), b'x')"
    reading, writing = os.pipe()
    os.close(reading)
    script = JOB.format(broken, ["base", *tiny.CONFIG])
    env = environment(PYTHONPATH=str(ROOT))
    command = [sys.executable, "-c", script, str(writing)]
    done = subprocess.run(command, env=env, text=True, capture_output=True, pass_fds=[writing])
    os.close(writing)
    assert (done.returncode, done.stderr.count("\n"), done.stderr[:6]) == (1, 1, "real: ")
