"""Memory that is refused, by the system or by a limit, ends a command in one sentence and exit code 1."""

import resource
import subprocess

import pytest

from tests.support.processes import python, started

SMOKE = ["--config", "paper_configs/smoke.yaml"]
FEW_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# a job whose body is another one
JOB = """
import sys
from real.commands import start
from real.commands.command_line import main

def body(*_):
    {body}

start.make_base = body
sys.exit(main(["base", "--config", "paper_configs/smoke.yaml"]))
"""
WRAPPED = """
    try:
        bytearray(10**18)
    except MemoryError as error:
        raise RuntimeError("could not load the model") from error
"""


def one_sentence(done: subprocess.CompletedProcess[str], *parts: str) -> bool:
    lines = done.stderr.splitlines()
    told = len(lines) == 1 and lines[0].startswith("real: not enough memory (") and "; " in lines[0]
    return told and done.returncode == 1 and all(part in lines[0] for part in parts)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("import torch; torch.empty(10**15)", ["tried to allocate 4000000000000000 bytes"]),
        ("import numpy; numpy.empty(10**15)", ["Unable to allocate"]),
        ("bytearray(10**18)", []),
        ("import torch; raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20 GiB.')", ["20 GiB"]),
        ("raise OSError(12, 'Cannot allocate memory')", ["Cannot allocate memory"]),
        (WRAPPED, []),
    ],
    ids=["torch", "numpy", "python", "cuda", "system", "wrapped"],
)
def test_an_allocation_that_is_refused_is_one_sentence(workplace, body, parts):
    done = python("-c", JOB.format(body=body.strip("\n").lstrip()), folder=workplace)
    assert one_sentence(done, *parts), done.stderr


def test_another_error_of_a_library_keeps_its_traceback(workplace):
    done = python("-c", JOB.format(body="raise RuntimeError('shapes differ')"), folder=workplace)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("command", "megabytes"),
    [(["plan", *SMOKE], 50), (["base", *SMOKE], 650)],
    ids=["while the command line is imported", "while torch is imported"],
)
def test_an_import_that_the_address_space_has_no_room_for_is_one_sentence(workplace, command, megabytes):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    process = started(
        *("-m", "real", *command), folder=workplace, variables=FEW_THREADS, stderr=subprocess.PIPE, preexec_fn=limit
    )
    out, said = process.communicate(timeout=120)
    assert one_sentence(subprocess.CompletedProcess(command, process.returncode, out, said)), said
