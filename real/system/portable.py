"""Arithmetic that rounds alike on every x86-64 processor that has AVX2, so that a run has the same bytes there.

Libraries choose kernels by the processor, and other kernels add in another order. :func:`pin` asks each of them for its
AVX2 kernels by a variable that it reads when it is loaded, so it must come before numpy and torch are imported.
MKL's AVX2 kernels can be asked for on Intel's processors alone, and what it has for all is three times slower:
:mod:`real.models.products` takes OpenBLAS for matrix products, and MKL is left with what costs little.
"""

import os
import platform
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

AVX512 = ("AVX512F", "AVX512CD", "AVX512_SKX", "AVX512_CLX", "AVX512_CNL", "AVX512_ICL", "AVX512_SPR", "X86_V4")
KERNELS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "NPY_DISABLE_CPU_FEATURES": " ".join(AVX512),
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
}
PORTABLE = "the same on every x86-64 processor with AVX2"
ENGINES = "vllm"
CPU_FACTS = Path("/proc/cpuinfo")


def pin() -> None:
    """Ask for the same kernels as everywhere, where the processor has them.

    A variable that is set already chooses other kernels on purpose and stays (benchmarks/rounding.py).

    Where vLLM is installed nothing is asked: it and verl choose for themselves, and nothing repeats byte by byte there.

    Raises:
        RuntimeError: numpy or torch is imported already, and has chosen.
    """
    if find_spec(ENGINES):
        return
    if loaded := sorted({"numpy", "torch"} & sys.modules.keys()):
        raise RuntimeError(f"{' and '.join(loaded)}: imported already; call pin() before")
    if _has_avx2():
        for name, value in KERNELS.items():
            os.environ.setdefault(name, value)
        # clusters set it; a job has one thread, and more would add in another order
        os.environ["OPENBLAS_NUM_THREADS"] = KERNELS["OPENBLAS_NUM_THREADS"]


@cache
def not_portable_because() -> str:
    """Why this process's arithmetic rounds as its processor does; empty where it rounds as on every other."""
    if find_spec(ENGINES):
        return f"the environment of {ENGINES} and verl chooses its own kernels"
    if not _has_avx2():
        return f"this processor ({platform.machine()}) has no AVX2"
    if changed := [name for name, value in KERNELS.items() if os.environ.get(name) != value]:
        return f"{', '.join(changed)} {'is' if len(changed) == 1 else 'are'} set otherwise, or too late"
    import numpy  # not before pin()

    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    if "DYNAMIC_ARCH" not in blas.get("openblas configuration", ""):
        return f"numpy's BLAS is {blas.get('name', 'unknown')}, not the OpenBLAS of its wheels"
    return ""


def _has_avx2() -> bool:
    """Asked of Linux alone: torch has no builds for other systems on x86-64."""
    if platform.machine() not in ("x86_64", "AMD64") or not CPU_FACTS.exists():
        return False
    flags = next((line for line in CPU_FACTS.read_text(encoding="utf-8").splitlines() if line.startswith("flags")), "")
    return {"avx2", "fma"} <= set(flags.split())
