"""What is drawn and tabulated from the reported numbers, and the pins that say what it was when it was last looked at.

    python -m tests.support.published             what differs from the pins
    python -m tests.support.published --write     show it, and make it the new pins

A pin is the sha256 of a file's content with compression undone: the same pixels make other bytes with another build of
zlib, and zlib-ng, which Pillow ships, has code of its own for each kind of processor. Numbers that a processor rounds
in its own way (claims.json by BLAS, the gradient curves by exponentials) are pinned as values, on every platform.
"""

import argparse
import hashlib
import importlib.metadata
import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from figures import gradient_magnitude, style, training_dynamics
from real.config import Experiment
from real.evidence.benchmarks import write_benchmarks
from real.evidence.claims.judge import write_claims
from real.evidence.training_curves import training_curves
from tests.support.paths import ROOT
from tests.support.scales import shipped

ROUNDED_BY_THE_PROCESSOR = {"claims.json", *(f"gradient_magnitude.{kind}" for kind in ("pdf", "png", "svg"))}
# every 40th point of a gradient curve
STRIDE = 40
PINS = ROOT / "tests" / "data" / "published_sha256.json"
# what a byte of these files depends on besides this repository
PACKAGES = (
    "matplotlib",
    "numpy",
    "pandas",
    "seaborn",
    "scipy",
    "tabulate",
    "jinja2",
    "fonttools",
    "contourpy",
    "torch",
)


def this_platform() -> dict[str, str]:
    """Where the bytes of the pins hold: system, architecture, and versions of what draws and tabulates."""
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in PACKAGES}
    return {"system": platform.system(), "machine": platform.machine(), **versions}


def published() -> Experiment:
    """The scale of the reported numbers."""
    return shipped("published")


def drawn(experiment: Experiment) -> dict[str, Figure]:
    """The scale's figures by name, from the functions that the rules call."""
    scale = experiment.scale
    methods = {name: method.model_dump() for name, method in experiment.methods.items()}
    curves = pd.read_csv(scale.reported.training_dynamics, comment="#")
    smoothing, prompts = scale.figures.smoothing_steps, scale.reported.prompts
    return {
        "training_dynamics": training_dynamics.draw(curves, smoothing, prompts, scale.evidence),
        "gradient_magnitude": gradient_magnitude.draw(methods),
    }


def make(folder: Path) -> None:
    """Write every table and figure of the scale into ``folder``, PDFs without compression."""
    experiment = published()
    write_benchmarks(experiment, folder)
    training_curves(experiment).to_csv(folder / "training_curves.csv", index=False)
    write_claims(experiment, folder)
    for name, figure in drawn(experiment).items():
        with plt.rc_context({"pdf.compression": 0}):
            style.write(figure, *(folder / f"{name}.{kind}" for kind in ("pdf", "png", "svg")))


def digest(path: Path) -> str:
    """sha256 of a file's bytes; of a PNG, of its pixels and what else it says."""
    if path.suffix != ".png":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with Image.open(path) as image:
        text = json.dumps([image.mode, image.size, {key: str(value) for key, value in image.info.items()}])
        return hashlib.sha256(text.encode() + np.asarray(image).tobytes()).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """Digest by file name, of the files that no processor changes."""
    paths = sorted(folder.rglob("*.*"), key=lambda path: path.name)
    return {path.name: digest(path) for path in paths if path.name not in ROUNDED_BY_THE_PROCESSOR}


def values(folder: Path) -> dict[str, list[float]]:
    """The numbers of claims.json by claim, and of the gradient figure by panel and method."""
    found = {}
    for row in json.loads((folder / "claims.json").read_text())["rows"]:
        interval, resolution = row["interval"] or {}, row["resolution"] or {}
        found[f"claims {row['id']}"] = list(_numbers([row["published"], interval, resolution]))
    panels = drawn(published())["gradient_magnitude"].axes
    insets = [inset for axis in panels for inset in axis.child_axes]
    for panel, axis in enumerate([*panels, *insets]):
        for line in axis.lines:
            found[f"gradient {panel} {line.get_label()}"] = [float(f"{y:.9g}") for y in line.get_ydata()[::STRIDE]]
    plt.close("all")
    return found


def _numbers(part: Any) -> Iterator[float]:
    """All numbers of a JSON value, in order."""
    if isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _numbers(inner)
    elif isinstance(part, int | float):
        yield float(f"{part:.9g}")


def read_pins() -> dict[str, Any]:
    """``platform``, ``sha256`` and ``values``."""
    return json.loads(PINS.read_text())


def differences(pins: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """A line per entry that appeared, vanished or changed; values differ from a relative 1e-6 on."""

    def same(old: Any, new: Any) -> bool:
        if isinstance(old, list) and isinstance(new, list):
            return len(old) == len(new) and np.allclose(old, new, rtol=1e-6, atol=1e-9)
        return old == new

    names = sorted({*pins, *found})
    changed = [name for name in names if not same(pins.get(name), found.get(name))]
    return [f"{name}: {pins.get(name)} -> {found.get(name)}" for name in changed]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.published", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make what is drawn here the new pins")
    writing = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        found = {"platform": this_platform(), "sha256": digests(Path(folder)), "values": values(Path(folder))}
    pins = read_pins() if PINS.exists() else {}
    changed = [line for part in found for line in differences(pins.get(part, {}), found[part])]
    print("\n".join(changed) or "nothing differs from the pins")
    if writing:
        PINS.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if writing or not changed else 1


if __name__ == "__main__":
    sys.exit(main())
