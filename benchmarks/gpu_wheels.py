"""Gather what `benchmarks.gpu_check` needs on a GPU machine without network, as wheels of under 60 MB together.

    python -m benchmarks.gpu_wheels [FOLDER]       # default: .gpu-wheels, which git ignores

    # on the GPU machine, whose Python 3.12 has torch for CUDA, numpy, pandas, pyarrow, scipy and psutil
    python3 -m pip install --no-index --no-deps --target SITE FOLDER/*.whl
    PYTHONPATH=SITE python3 -m benchmarks.gpu_check all

Versions are those of requirements/gpu.lock. Ray's wheel of 79 MB is reduced to what importing it needs: verl's modules
import it, and the checks start none.
"""

import argparse
import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from real.system.code import ROOT

PACKAGES = (
    # verl's worker
    "verl", "ray", "tensordict", "transferqueue", "pyvers", "datasets", "dill", "multiprocess", "hydra-core",
    "omegaconf", "codetiming", "torchdata", "peft", "accelerate", "pyzmq", "msgspec", "orjson", "cachetools",
    "uvicorn", "fastapi", "starlette", "jsonschema", "jsonschema-specifications", "referencing", "rpds-py",
    # transformers, as verl has it
    "transformers", "tokenizers", "huggingface-hub",
    # this package
    "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "pooch", "platformdirs", "math-verify",
    "latex2sympy2-extended", "mpmath", "pyyaml",
)  # fmt: skip
# omegaconf's parser; the registry has it as source alone, which is plain Python
FROM_SOURCE = "antlr4-python3-runtime"
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_17", "manylinux2014", "manylinux1")
# parts of Ray that no import of it needs
LEFT_OUT = re.compile(
    r"ray/(jars|rllib|cpp|dashboard/client|serve|tune|train|data|llm|_private/runtime_env/agent/thirdparty"
    r"|core/src/ray/(raylet/raylet|gcs/gcs_server)$)|\.(js|map|jar|html|css)$"
)


def locked(name: str) -> str:
    """``name==version`` of requirements/gpu.lock."""
    lock = (ROOT / "requirements/gpu.lock").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==(\S+)", lock, re.MULTILINE)
    if found is None:
        sys.exit(f"requirements/gpu.lock: has no {name}; benchmarks/gpu_wheels.py names it")
    return f"{name}=={found[1]}"


def reduce_ray(wheel: Path) -> None:
    """Write the wheel anew without what importing it doesn't need, with a RECORD that says so."""
    whole, reduced = zipfile.ZipFile(wheel), wheel.with_suffix(".reduced")
    lines = []
    with whole, zipfile.ZipFile(reduced, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for entry in whole.infolist():
            if LEFT_OUT.search(entry.filename) or entry.filename.endswith("/"):
                continue
            if entry.filename.endswith(".dist-info/RECORD"):
                record = entry.filename
                continue
            content = whole.read(entry)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{entry.filename},sha256={digest},{len(content)}")
            target.writestr(entry, content)
        target.writestr(record, "\n".join([*lines, f"{record},,"]) + "\n")
    reduced.replace(wheel)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".gpu-wheels")
    parser.add_argument("--python", default="3.12", help="of the GPU machine (default: %(default)s)")
    options = parser.parse_args()
    folder = options.folder
    pip = [sys.executable, "-m", "pip", "--quiet"]
    target = ["--python-version", options.python, "--implementation", "cp"]
    target += [part for platform in PLATFORMS for part in ("--platform", f"{platform}_x86_64")]
    for wheel in folder.glob("*.whl"):
        wheel.unlink()
    subprocess.run(
        [*pip, "download", "--no-deps", "--only-binary=:all:", *target, "-d", folder, *map(locked, PACKAGES)],
        check=True,
    )
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, locked(FROM_SOURCE)], check=True)
    (ray,) = folder.glob("ray-*.whl")
    reduce_ray(ray)
    size = sum(path.stat().st_size for path in folder.glob("*.whl"))
    print(f"{folder}: {len(list(folder.glob('*.whl')))} wheels, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
