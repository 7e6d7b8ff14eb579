"""Which kernels move a run, and how far: one smoke training, by other kernels of the same libraries.

    python -m benchmarks.rounding

Runs ask for the same kernels on every processor (real/system/portable.py). The first settings hide instructions from
the libraries, as an older processor would: no run may move. The others ask for other kernels. Every run starts from one
base model. Printed per setting: the largest difference to the first run, after one step and after six.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch
import yaml
from safetensors.torch import load_file

from real.system.code import versions

ROOT = Path(__file__).resolve().parent.parent
SETTINGS: dict[str, dict[str, str]] = {
    "as it is": {},
    "as it is, again": {},
    "hidden from MKL: AVX and later": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "hidden from glibc: AVX, FMA and later": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4"},
    "hidden from numpy: AVX2 and FMA": {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX AVX2 FMA3"},
    "MKL by the processor": {"MKL_CBWR": "AUTO"},
    "oneDNN by the processor": {"ONEDNN_MAX_CPU_ISA": "ALL"},
    "ATen with AVX-512": {"ATEN_CPU_CAPABILITY": "avx512"},
    "ATen without AVX2": {"ATEN_CPU_CAPABILITY": "default"},
    "OpenBLAS for Skylake-X": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "OpenBLAS for Sandy Bridge": {"OPENBLAS_CORETYPE": "Sandybridge"},
}
STEPS = (1, 6)


def real(folder: Path, variables: dict[str, str], *command: str) -> None:
    """`python -m real COMMAND` in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    subprocess.run([sys.executable, "-m", "real", *command], cwd=folder, env=environment, check=True)


def trained(folder: Path, base: Path, variables: dict[str, str], steps: int) -> tuple[pd.DataFrame, torch.Tensor]:
    """Metrics by step, and all weights, of a run of so many steps."""
    training = {"steps": steps, "validation_every": 1, "gradient_sample_steps": [1]}
    (folder / "steps.yaml").write_text(yaml.safe_dump({"training": training}), encoding="utf-8")
    results = folder / "results" / "smoke+steps"
    results.mkdir(parents=True)
    (folder / "paper_configs").symlink_to(ROOT / "paper_configs")
    (results / "base").symlink_to(base)
    configured = ["--config", "paper_configs/smoke.yaml", "steps.yaml"]
    real(folder, variables, "train", *configured, "--method", "real", "--seed", "0")
    run = results / "runs" / "real" / "seed0"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    weights = load_file(run / "model" / "model.safetensors")
    return pd.DataFrame(lines).set_index("step").astype(float), torch.cat([w.flatten() for w in weights.values()])


def main() -> None:
    print(versions("torch", "transformers"), torch.backends.cpu.get_cpu_capability())
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        start = Path(temporary, "start")
        start.mkdir()
        (start / "paper_configs").symlink_to(ROOT / "paper_configs")
        real(start, {}, "base", "--config", "paper_configs/smoke.yaml")
        base = start / "results" / "smoke" / "base"
        first = {}
        for name, variables in SETTINGS.items():
            row: dict[str, str | float] = {"setting": name}
            for steps in STEPS:
                folder = Path(temporary, f"{len(rows)}-{steps}")
                folder.mkdir()
                metrics, weights = trained(folder, base, variables, steps)
                reference, reference_weights = first.setdefault(steps, (metrics, weights))
                difference = (metrics - reference).abs().max()
                row |= {
                    f"weights, {steps}": float((weights - reference_weights).abs().max()),
                    f"grad_norm, {steps}": difference["grad_norm"],
                    f"reward_mean, {steps}": difference["reward_mean"],
                    f"val_pass_at_1, {steps}": difference["val_pass_at_1"],
                }
            rows.append(row)
    print(pd.DataFrame(rows).to_markdown(index=False, floatfmt=".2g"))


if __name__ == "__main__":
    main()
