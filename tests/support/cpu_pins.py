"""What the smoke scale writes on any x86-64 processor with AVX2, as sha256 per file.

    snakemake --cores all --configfile paper_configs/smoke.yaml
    python -m tests.support.cpu_pins             what differs from the pins
    python -m tests.support.cpu_pins --write     the same, and make it the new pins

One value per file, whatever the processor: where another one gives another value, either something that chooses kernels
isn't pinned yet (real/system/portable.py), or docs/reproducibility.md promises too much.
"""

import argparse
import hashlib
import importlib.metadata
import json
import platform
import sys
from pathlib import Path

from tests.support.paths import ROOT

RESULTS = ROOT / "results" / "smoke"
PINS = ROOT / "tests" / "data" / "cpu_sha256.json"
# none of them holds a commit, a digest of code or a time
PINNED = (
    "base/metrics.jsonl",
    "base/model/model.safetensors",
    "runs/*/*/metrics.jsonl",
    "runs/*/*/gradient_samples.parquet",
    "runs/*/*/model/model.safetensors",
    "evaluations/**/*.parquet",
    "tables/*.csv",
)
# what a byte of these files depends on besides this repository
PACKAGES = ("numpy", "pandas", "pyarrow", "safetensors", "scipy", "torch")


def this_platform() -> dict[str, str]:
    """Where the bytes of the pins hold: on one kind of processor, by one version of each package."""
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in PACKAGES}
    return {"system": platform.system(), "machine": platform.machine(), **versions}


def this_processor() -> str:
    """Its name and what it can, for whoever meets other bytes."""
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in facts)}
    return f"{found.get('model name')}: {found.get('flags')}"


def digests(results: Path) -> dict[str, str]:
    """sha256 by path below the results, of those files that are there."""
    paths = sorted(path for pattern in PINNED for path in results.glob(pattern))
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def different(pinned: dict[str, str], found: dict[str, str]) -> list[str]:
    """Names of files that one of both alone has, or that have other bytes."""
    return sorted(name for name in pinned | found if pinned.get(name) != found.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.cpu_pins", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make what is there now the new pins")
    writing = parser.parse_args().write
    found = digests(RESULTS)
    pins = json.loads(PINS.read_text()) if PINS.exists() else {"platform": {}, "sha256": {}}
    changed = different(pins["sha256"], found)
    print("\n".join(changed) or "nothing differs from the pins")
    if writing:
        PINS.write_text(json.dumps({"platform": this_platform(), "sha256": found}, indent=2) + "\n")
    return 0 if writing or not changed else 1


if __name__ == "__main__":
    sys.exit(main())
