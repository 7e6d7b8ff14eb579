"""What all figures share: colours, the paper's emphasis, the evidence line, byte-identical saving."""

import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from real.evidence.exhibit import Exhibit
from real.system.files import write_atomically

# colour-blind safe; REAL and GRPO keep the hues that carry the paper's argument
_HUES = dict(zip(("real", "grpo", "dapo", "gspo", "real_bce", "real_product"), (3, 0, 1, 2, 4, 5), strict=True))
ABLATIONS = ("real_bce", "real_product")

# of a legend's labels: per inch, what a line's sample takes beside each, and how high a row is
LABEL_CHARACTERS, HANDLE_CHARACTERS, ROW_INCHES = 12, 6, 0.2

# no date, no version, a fixed salt of ids: two runs write the same bytes
_METADATA = {
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}
_SETTINGS = {
    # matplotlib ships it, and takes its own file before a machine's; seaborn's list starts with Arial, if there is one
    "font.family": ["DejaVu Sans"],
    "pdf.fonttype": 42,
    "svg.hashsalt": "real",
    "axes.titleweight": "bold",
    "grid.alpha": 0.4,
    "legend.framealpha": 0.9,
}


def use_style() -> None:
    """Set every parameter that a drawing depends on; the user's matplotlibrc, styles and fonts count for nothing."""
    # imported here: it takes a second, and whoever reads which figures there are needs none of it
    import seaborn as sns

    plt.rcdefaults()
    sns.set_theme(style="whitegrid", context="paper", font_scale=1.05)
    plt.rcParams.update(_SETTINGS)


def hues() -> list[tuple[float, float, float]]:
    """seaborn's palette for the colour-blind."""
    import seaborn as sns

    return sns.color_palette("colorblind")


def colour(method: str) -> tuple[float, float, float]:
    """Colour of a method; an overlay's variant (``real_tau0.1``) takes that of the method its name starts with."""
    palette = hues()
    if method in _HUES:
        return palette[_HUES[method]]
    parent = max((name for name in _HUES if method.startswith(name)), key=len, default=None)
    return palette[_HUES[parent]] if parent else palette[7]


def line_style(method: str) -> str:
    """Ablations are dashed."""
    return "--" if method in ABLATIONS else "-"


def legend_above(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Name all lines above the panels, in the rows that their labels need; further rows make the figure taller."""
    width, height = figure.get_size_inches()
    columns = int(LABEL_CHARACTERS * width) // (max(map(len, labels), default=0) + HANDLE_CHARACTERS)
    columns = max(1, min(columns, len(labels)))
    figure.set_size_inches(width, height + ROW_INCHES * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)


def print_evidence(figure: Figure, text: str) -> None:
    """Print what the figure is made of below it, wrapped to its width."""
    width = int(16 * figure.get_figwidth())  # characters of this font size
    wrapped = "\n".join(textwrap.fill(line, width) for line in text.splitlines())
    figure.text(0.5, -0.01, wrapped, ha="center", va="top", fontsize=7.5, color="0.35")


def save(figure: Figure, results: Path, exhibit: Exhibit) -> None:
    """Write the figure as those of the exhibit's files that are pictures."""
    (results / "figures").mkdir(parents=True, exist_ok=True)
    write(figure, *(results / name for name in exhibit.outputs if Path(name).suffix in _METADATA))


def write(figure: Figure, *paths: Path) -> None:
    """Write the figure as PDF, PNG or SVG, by the names' ends, without anything that changes from run to run."""
    for path in paths:
        settings = {"format": path.suffix[1:], "metadata": _METADATA[path.suffix]}
        write_atomically(path, partial(figure.savefig, dpi=200, bbox_inches="tight", **settings))
    plt.close(figure)
