"""What is drawn and tabulated from the reported numbers never changes unseen (docs/reproducibility.md)."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from matplotlib import get_data_path

from real.evidence.benchmarks import benchmark_note, benchmark_scores
from tests.support import published
from tests.support.paths import ROOT
from tests.support.processes import python

REPORTED = ROOT / "paper_configs" / "reported"
REGENERATE = "if that is meant, `python -m tests.support.published --write` makes it the new pins"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Every file of the published scale that is drawn or tabulated, made in this process."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        published.make(folder)
        yield folder


def compare_bytes(made: Path) -> None:
    """Compare with the pins where they hold; elsewhere warn, with what is another: the data tests are left there."""
    pins, here = published.read_pins(), published.this_platform()
    if other := published.differences(pins["platform"], here):
        warnings.warn(
            f"bytes not compared, data only: the pins are of another platform ({'; '.join(other)})", stacklevel=1
        )
        return
    changed = published.differences(pins["sha256"], published.digests(made))
    assert changed == [], f"{REGENERATE}: {changed}"


def test_files_from_the_reported_numbers_have_their_pinned_content(made):
    compare_bytes(made)


def test_another_platform_is_named_and_not_passed_over_in_silence(made, monkeypatch):
    here = published.this_platform()
    monkeypatch.setattr(published, "this_platform", lambda: {**here, "matplotlib": "0.1"})
    with pytest.warns(UserWarning, match=r"data only: .*\(matplotlib: [\d.]+ -> 0\.1\)"):
        compare_bytes(made)


def test_values_that_processors_round_in_their_own_way_equal_the_pinned_ones(made):
    changed = published.differences(published.read_pins()["values"], published.values(made))
    assert changed == [], f"{REGENERATE}: {changed}"


def test_a_changed_value_is_noticed():
    pins = {"a": [1.0, 2.0], "b": "x"}
    assert published.differences(pins, {"a": [1.0 + 1e-8, 2.0], "b": "x"}) == []
    assert published.differences(pins, {"a": [1.0, 2.00001], "b": "x"}) == ["a: [1.0, 2.0] -> [1.0, 2.00001]"]
    assert published.differences(pins, {"a": [1.0], "c": "x"}) == [
        "a: [1.0, 2.0] -> [1.0]",
        "b: x -> None",
        "c: None -> x",
    ]


def test_the_tables_hold_the_reported_numbers(made):
    wide = pd.read_csv(made / "tables" / "benchmarks.csv").set_index(["backbone", "method"])
    reported = pd.concat(pd.read_csv(REPORTED / name, comment="#") for name in ("benchmarks.csv", "disco.csv"))
    for row in reported.dropna(subset="value").itertuples():
        assert wide.loc[(row.backbone, row.method), row.benchmark] == row.value
    printed = re.compile(r"(?<![\d.])[01]\.\d{3}(?!\d)")
    experiment = published.published()
    note = printed.findall(benchmark_note(experiment, benchmark_scores(experiment)))
    cells = [
        f"{value:.3f}" for value in wide[list(reported["benchmark"].unique())].to_numpy().ravel() if value == value
    ]
    for kind in ("html", "md", "tex"):
        text = (made / "tables" / f"benchmarks.{kind}").read_text()
        assert sorted(printed.findall(text)) == sorted([*cells, *note]), kind


def test_the_training_curves_are_drawn_as_digitised(made):
    digitised = pd.read_csv(REPORTED / "training_dynamics.csv", comment="#")
    pd.testing.assert_frame_equal(pd.read_csv(made / "training_curves.csv"), digitised)
    figure = published.drawn(published.published())["training_dynamics"]
    for axis, metric in zip(figure.axes, digitised["metric"].unique(), strict=True):
        lines = {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}
        panel = digitised[digitised["metric"] == metric]
        assert set(lines) == set(panel["label"])
        for label, rows in panel.groupby("label"):
            np.testing.assert_array_equal(lines[label].get_xydata(), rows[["step", "value"]])


MATPLOTLIBRC = """
font.family: serif
font.sans-serif: Arial
font.size: 23
lines.linewidth: 7
axes.formatter.use_locale: True
axes.prop_cycle: cycler('color', ['red'])
axes.titleweight: light
figure.facecolor: yellow
figure.dpi: 31
savefig.dpi: 17
savefig.facecolor: green
savefig.bbox: tight
savefig.pad_inches: 2
savefig.transparent: True
pdf.fonttype: 3
pdf.compression: 9
pdf.use14corefonts: True
svg.fonttype: none
svg.hashsalt: other
text.hinting: none
text.antialiased: False
path.simplify: False
path.sketch: 1, 100, 2
legend.fancybox: False
mathtext.fontset: cm
date.epoch: 2000-01-01T00:00:00
"""
PRINT_DIGESTS = (
    "import json, sys; from pathlib import Path; from tests.support import published; folder = Path(sys.argv[1]);"
    "published.make(folder); print(json.dumps([published.digests(folder), published.values(folder)]))"
)


def disguised(path: Path, family: str) -> None:
    """A serif font that calls itself something else."""
    font = TTFont(Path(get_data_path(), "fonts", "ttf", "DejaVuSerif.ttf"))
    for record in font["name"].names:
        if record.nameID in (1, 4, 16):
            font["name"].setName(family, record.nameID, record.platformID, record.platEncID, record.langID)
    path.parent.mkdir(parents=True, exist_ok=True)
    font.save(path)


@pytest.mark.slow
def test_no_setting_of_a_user_or_machine_changes_a_file(made, tmp_path):
    """matplotlibrc, fonts, locale, time zone, clock, hash seed, and what numpy, BLAS and torch choose by processor."""
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "matplotlibrc").write_text(MATPLOTLIBRC)
    for family in ("DejaVu Sans", "Arial"):
        disguised(tmp_path / ".fonts" / f"{family}.ttf", family)
    hostile = {
        **{"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "matplotlib"), "MPLBACKEND": "svg"},
        **{"LANG": "de_DE.UTF-8", "LC_ALL": "C", "TZ": "Pacific/Kiritimati", "SOURCE_DATE_EPOCH": "1"},
        **{"PYTHONHASHSEED": "4711", "OPENBLAS_CORETYPE": "Nehalem"},
        **{"ATEN_CPU_CAPABILITY": "default", "NPY_DISABLE_CPU_FEATURES": "X86_V3"},
    }
    (tmp_path / "out").mkdir()
    done = python("-c", PRINT_DIGESTS, tmp_path / "out", **hostile)
    assert done.returncode == 0, done.stderr
    found, numbers = json.loads(done.stdout)
    assert published.differences(published.digests(made), found) == []
    assert published.differences(published.values(made), numbers) == []
