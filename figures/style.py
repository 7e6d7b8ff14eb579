"""What all figures share: colours, the paper's emphasis, the evidence line, byte-identical saving."""

import textwrap
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

from real.files import write_atomically

# colour-blind safe; REAL and GRPO keep the hues that carry the paper's argument
_HUES = dict(zip(("real", "grpo", "dapo", "gspo", "real_bce", "real_product"), (3, 0, 1, 2, 4, 5), strict=True))
ABLATIONS = ("real_bce", "real_product")

# a fixed date and salt: two runs write the same bytes
_PDF_METADATA = {"CreationDate": None, "Producer": None, "Creator": None}
_PNG_METADATA = {"Software": None}


def use_style() -> None:
    """Set seaborn's theme and the fonts of vector output."""
    sns.set_theme(style="whitegrid", context="paper", font_scale=1.05)
    plt.rcParams.update({"pdf.fonttype": 42, "axes.titleweight": "bold", "grid.alpha": 0.4, "legend.framealpha": 0.9})


def colour(method: str) -> tuple[float, float, float]:
    """Colour of a method; an overlay's variant (``real_tau0.1``) takes that of the method its name starts with."""
    palette = sns.color_palette("colorblind")
    if method in _HUES:
        return palette[_HUES[method]]
    parent = max((name for name in _HUES if method.startswith(name)), key=len, default=None)
    return palette[_HUES[parent]] if parent else palette[7]


def line_style(method: str) -> str:
    """Ablations are dashed."""
    return "--" if method in ABLATIONS else "-"


def print_evidence(figure: Figure, text: str) -> None:
    """Print what the figure is made of below it, wrapped to its width."""
    width = int(16 * figure.get_figwidth())  # characters of this font size
    wrapped = "\n".join(textwrap.fill(line, width) for line in text.splitlines())
    figure.text(0.5, -0.01, wrapped, ha="center", va="top", fontsize=7.5, color="0.35")


def save(figure: Figure, pdf: str, png: str) -> None:
    """Write both formats without anything that changes from run to run.

    Raises:
        WriteError: the disk is full or refuses.
    """
    settings = {"pdf": {"metadata": _PDF_METADATA}, "png": {"metadata": _PNG_METADATA, "dpi": 200}}
    for kind, path in (("pdf", pdf), ("png", png)):
        write = partial(figure.savefig, format=kind, bbox_inches="tight", **settings[kind])
        write_atomically(Path(path), write)
    plt.close(figure)
