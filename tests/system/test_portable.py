"""Kernels that round alike on every processor: when they are asked for, and when a job says that they are not there."""

import json
import platform

import pytest

from real.system import portable
from tests.support.processes import python

ASKED = """
import json, os, sys
from pathlib import Path
from real.system import portable
portable.CPU_FACTS = Path(sys.argv[1])
portable.pin()
kernels = {name: os.environ.get(name) for name in portable.KERNELS}
print(json.dumps([kernels, portable.not_portable_because()]))
"""


def asked(tmp_path, flags="fpu avx avx2 fma", **variables):
    """The variables after pinning in a process of its own on a processor with these flags, and why not portable."""
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"processor\t: 0\nmodel name\t: A processor\nflags\t\t: {flags}\n")
    forget = (
        f"import os\nfor name in {list(portable.KERNELS)}: os.environ.pop(name, None)\nos.environ.update({variables})"
    )
    done = python("-c", f"{forget}\n{ASKED}", facts)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no x86-64 processor")


@x86
def test_every_library_is_asked_for_the_kernels_that_all_processors_with_avx2_have(tmp_path):
    assert asked(tmp_path) == [portable.KERNELS, ""]


@x86
def test_a_processor_without_avx2_is_asked_for_nothing_and_named(tmp_path):
    kernels, reason = asked(tmp_path, flags="fpu avx")
    assert set(kernels.values()) == {None}
    assert "has no AVX2" in reason


def test_another_architecture_is_asked_for_nothing(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert not portable._has_avx2()


@x86
def test_a_kernel_that_is_chosen_already_stays_and_is_named(tmp_path):
    kernels, reason = asked(tmp_path, ATEN_CPU_CAPABILITY="avx512")
    assert kernels == portable.KERNELS | {"ATEN_CPU_CAPABILITY": "avx512"}
    assert reason.startswith("ATEN_CPU_CAPABILITY ")


@x86
def test_threads_that_a_cluster_sets_for_its_jobs_change_nothing(tmp_path):
    assert asked(tmp_path, OPENBLAS_NUM_THREADS="8") == [portable.KERNELS, ""]


def test_pinning_after_numpy_is_refused():
    with pytest.raises(RuntimeError, match="numpy and torch: imported already"):
        portable.pin()


@x86
def test_the_libraries_take_the_kernels_that_are_asked_for():
    """torch says so itself; of OpenBLAS the bytes of the smoke scale tell (tests/workflow)."""
    script = (
        "from real.system import portable; portable.pin(); import torch; print(torch.backends.cpu.get_cpu_capability())"
    )
    assert python("-c", script).stdout.strip() == "AVX2"


def test_nothing_is_asked_in_the_environment_of_the_engines(monkeypatch):
    monkeypatch.setattr(portable, "find_spec", lambda name: name == portable.ENGINES)
    before = dict(portable.os.environ)
    portable.pin()  # numpy is imported already, which is no matter there
    assert dict(portable.os.environ) == before
    assert "chooses its own kernels" in portable.not_portable_because.__wrapped__()


@x86
def test_the_tests_themselves_run_by_the_kernels_that_all_processors_have():
    if portable._has_avx2() and not portable.find_spec(portable.ENGINES):
        assert portable.not_portable_because() == ""
