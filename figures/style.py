"""What all figures share: colours, the paper's emphasis, the evidence line, byte-identical saving."""

import textwrap
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

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
# of methods that are neither the paper's nor variants of them; grey first
_OTHERS, _FURTHER_HUES = "", (7, 6, 8, 9)
# of variants, in turn; and how far from its method's colour the first and the last one's are, to white or to black
_DASHES = ((0, (4, 1.2)), (0, (1, 1)), (0, (4, 1.2, 1, 1.2)), (0, (8, 1.5)), (0, (4, 1.2, 1, 1.2, 1, 1.2)))
_REACH = 0.55

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


class Look(NamedTuple):
    """What tells a method's line from others, by matplotlib's names for it."""

    color: tuple[float, ...]
    linestyle: str | tuple[int, tuple[float, ...]]


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


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """How the line of each method looks; no two of them look the same.

    The paper's methods have one colour on all figures. Variants of one, whose names start with its name
    (``real_tau0.1``), have shades of its colour, lighter before it in the list and darker after it, and dashes of their
    own. Methods of other names take the hues that remain.
    """
    families: dict[str, list[str]] = {}
    for method in methods:
        parent = max((name for name in _HUES if method.startswith(name)), key=len, default=_OTHERS)
        families.setdefault(parent, []).append(method)
    others = families.pop(_OTHERS, [])
    found = {name: look for parent, members in families.items() for name, look in _shades(parent, members).items()}
    palette = hues()
    for place, name in enumerate(others):
        turn, hue = divmod(place, len(_FURTHER_HUES))
        found[name] = Look(palette[_FURTHER_HUES[hue]], _DASHES[(turn - 1) % len(_DASHES)] if turn else "-")
    return found


def _shades(parent: str, members: Sequence[str]) -> dict[str, Look]:
    """Looks of a method and its variants; a lone variant looks like the method."""
    own = Look(hues()[_HUES[parent]], "--" if parent in ABLATIONS else "-")
    if len(members) == 1:
        return {members[0]: own}
    centre = members.index(parent) if parent in members else (len(members) - 1) / 2
    reach = max(centre, len(members) - 1 - centre)
    variants = [name for name in members if name != parent]
    found = {}
    for place, name in enumerate(members):
        away = (place - centre) / reach
        target = 1.0 if away < 0 else 0.0  # white or black
        shade = tuple(part + _REACH * abs(away) * (target - part) for part in own.color)
        found[name] = own if name == parent else Look(shade, _DASHES[variants.index(name) % len(_DASHES)])
    return found


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
