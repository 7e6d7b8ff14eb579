"""What only a GPU can tell, in minutes on one: kernels, precision, verl's worker and the torch engine.

    python -m benchmarks.gpu_check all                   # or names of parts; about eight minutes on one GPU of 80 GB
    python -m benchmarks.gpu_check all --tiny            # the same lines on a CPU, tiny: what the tests run

- ``kernels``: the head, attention and the rounding of the temperature (gpu_kernels.py); torch alone, verl for the fused
  heads.
- ``precision``: the objectives and their weights in float32 and bfloat16 against float64 (exact_precision.py).
- ``engine``: verl's worker with REAL's objective at the sizes of DeepSeek-R1-Distill-Qwen-1.5B with random weights
  (exact_pass_verl.py), by two heads and two kernels of attention: time of an update, what the extra pass adds, memory,
  and how far the gradient moves with micro-batches and attention.
- ``laptop``: some steps of the laptop's base model, REAL and GRPO on the CPU and on the GPU.

Every part is a process of its own with a time limit, and what it measured until then is kept: none stops the next. All
of it goes to OUT/gpu_check.json, and to the screen as tables. A machine without network needs the wheels of
gpu_wheels.py.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from real.system.code import ROOT, versions

Row = dict[str, Any]
# heads of verl's worker: its fused linear cross-entropy, and what it falls back to without flash-attn
HEADS = {False: ("triton", "logits"), True: ("torch", "logits")}
BASE_STEPS, RL_STEPS = 60, 6


def kernels(tiny: bool) -> Iterator[Row]:
    """See the top."""
    from benchmarks.gpu_kernels import kernels

    return kernels("cpu" if tiny else "cuda")


def precision(tiny: bool) -> Iterator[Row]:
    """See the top."""
    from benchmarks.exact_precision import precision

    return precision("cpu" if tiny else "cuda", 40 if tiny else 4000)


def engine(tiny: bool, head: str) -> Iterator[Row]:
    """See the top; one head, because verl's worker can be built once in a process."""
    from benchmarks.exact_pass_verl import verl_worker

    # what torchrun sets for one process
    os.environ |= {
        "WORLD_SIZE": "1",
        "RANK": "0",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "29511",
    }
    if tiny:
        sizes: Row = {"shape": "tiny", "device": "cpu", "groups": 4, "rows": [4, 32], "attention": ["sdpa", "eager"]}
    else:
        sizes = {
            "shape": "1.5b",
            "device": "cuda",
            "groups": 1,
            "rows": [1, 8],
            "attention": ["sdpa", "flex_attention"],
        }
    return verl_worker(argparse.Namespace(**sizes, prompt_tokens=None, response_tokens=None, turns=2, head=head))


def laptop(tiny: bool) -> Iterator[Row]:
    """See the top."""
    from real.config import load, resolve
    from real.engines.torch.supervised import train_base
    from real.engines.torch.train import train

    experiment = load([str(ROOT / f"paper_configs/{'smoke' if tiny else 'laptop'}.yaml")])
    scale = experiment.trained
    phase = scale.base.phases[0].model_copy(update={"steps": 3 if tiny else BASE_STEPS})
    base = scale.base.model_copy(update={"phases": [phase]})
    short = {"steps": 2 if tiny else RL_STEPS, "gradient_sample_steps": []}
    for device in ("cpu",) if tiny else ("cpu", "cuda"):
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder)
            begin = time.perf_counter()
            train_base(scale.model_copy(update={"base": base, "base_device": device}), results)
            steps = phase.steps
            loss = json.loads((results / "base/metrics.jsonl").read_text().splitlines()[-1])["loss"]
            yield {
                "run": "base", "device": device, "steps": steps,
                "seconds a step": (time.perf_counter() - begin) / steps, "loss": loss,
            }  # fmt: skip
            for method in ("real", "grpo"):
                run = resolve(experiment, method, 0)
                run = run.model_copy(update={"training": run.training.model_copy(update=short), "device": device})
                begin = time.perf_counter()
                train(run, results / "base/model", results / method, results / "work" / method)
                last = json.loads((results / method / "metrics.jsonl").read_text().splitlines()[-1])
                yield {
                    "run": method, "device": device, "steps": run.training.steps,
                    "seconds a step": (time.perf_counter() - begin) / run.training.steps,
                    "entropy": last["entropy"], "gradient's norm": last["grad_norm"],
                }  # fmt: skip


PARTS: dict[str, Callable[..., Iterator[Row]]] = {
    "kernels": kernels,
    "precision": precision,
    "engine": engine,
    "laptop": laptop,
}


def jobs(part: str, tiny: bool) -> list[tuple[Row, float]]:
    """Arguments of the processes of a part, and the seconds that each may take."""
    if part == "engine":
        return [({"head": head}, 300.0) for head in HEADS[tiny]]
    return [({}, 150.0)]


def rows_of(part: str, tiny: bool, arguments: Row, limit: float, out: Path) -> list[Row]:
    """Rows of a process of its own, the last one why it ended early if it did.

    They lie in OUT/PART.jsonl as they come, what the process says in OUT/PART.log.
    """
    name = "-".join([part, *map(str, arguments.values())])
    found, log = out / f"{name}.jsonl", out / f"{name}.log"
    found.write_text("", encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--worker", part, json.dumps(arguments), str(found)]
    failed = None
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *["--tiny"] * tiny], stdout=output, stderr=subprocess.STDOUT)
        try:
            if status := process.wait(limit):
                failed = f"exit status {status}, see {log.name}"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            failed = f"stopped after its limit of {limit:.0f} s"
    rows = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    return rows + [{**arguments, "failed": failed}] * (failed is not None)


def work(part: str, arguments: Row, found: Path, tiny: bool) -> None:
    """Write the rows of a process as they come."""
    with found.open("a", encoding="utf-8") as file:
        for row in PARTS[part](tiny, **arguments):
            file.write(json.dumps(row) + "\n")
            file.flush()


def table(rows: list[Row]) -> str:
    """Rows as a table in Markdown; a row lacks what another kind of row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def cell(value: Any) -> str:
        return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)

    lines = [columns, ["---"] * len(columns), *([cell(row.get(key)) for key in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def kinds(rows: list[Row]) -> list[list[Row]]:
    """Rows by what they are of, which have the same columns."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row.get("what"), []).append(row)
    return list(found.values())


def machine() -> Row:
    """What the numbers are from."""
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    packages = versions("torch", "triton", "transformers", "verl", "tensordict", "ray")
    return {"card": card, "processor": platform.processor() or platform.machine(), "packages": packages}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=["all", *PARTS], default="all")
    parser.add_argument("--tiny", action="store_true", help="on the CPU, with tiny sizes")
    parser.add_argument("--out", type=Path, default=Path("results/gpu_check"), help="folder of gpu_check.json")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        part, arguments, found = options.worker
        work(part, json.loads(arguments), Path(found), options.tiny)
        return
    if not options.tiny and not torch.cuda.is_available():
        sys.exit("gpu_check: torch finds no CUDA device here; --tiny runs the same lines on the CPU")
    options.out.mkdir(parents=True, exist_ok=True)
    report: Row = {"machine": machine(), "tiny": options.tiny, "parts": {}}
    print(json.dumps(report["machine"]))
    for name in PARTS if "all" in options.parts else options.parts:
        begin = time.perf_counter()
        rows = [row for job in jobs(name, options.tiny) for row in rows_of(name, options.tiny, *job, options.out)]
        report["parts"][name] = {"rows": rows, "seconds": round(time.perf_counter() - begin, 1)}
        (options.out / "gpu_check.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"\n## {name}: {report['parts'][name]['seconds']} s\n")
        print("\n\n".join(table(some) for some in kinds(rows)), flush=True)


if __name__ == "__main__":
    main()
