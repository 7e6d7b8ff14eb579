"""benchmarks/scale.py: made-up results are such as real jobs leave, the exponent tells growth, the table is whole."""

import math
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.scale import SHAPES, exponent, link_part, make_up, measure, workplace
from real.commands.exhibits import all_jobs
from real.config import load
from real.records.jobs import trained_jobs
from real.records.verify import verify_report
from tests.support.finished import show

LARGE, SMALL = 20, 6


def made_up(folder: Path, shape: str, runs: int, monkeypatch):
    files = workplace(folder, SHAPES[shape], runs, samples=2)
    monkeypatch.chdir(folder)
    return load(files)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_every_exhibit_is_made_from_made_up_results_and_they_verify_as_real_ones_do(shape, tmp_path, monkeypatch):
    large = made_up(tmp_path / "large", shape, LARGE, monkeypatch)
    make_up(large, problems=3)
    small = made_up(tmp_path / "small", shape, SMALL, monkeypatch)
    link_part(small, tmp_path / "large", tmp_path / "small")
    assert len(trained_jobs(small)) < len(trained_jobs(large))
    show(small)
    text, well = verify_report(small, all_jobs(small))
    assert well, text


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_the_exponent_is_that_of_what_is_beyond_the_start_up(power):
    runs = [10, 250, 500, 1000]
    assert exponent(runs, [1 + 0.1 * (size - 10) ** power for size in runs]) == pytest.approx(power)
    assert math.isnan(exponent(runs, [3.0, 3.1, 3.2, 3.3]))


@pytest.mark.slow
def test_the_table_has_a_row_for_what_is_asked_and_a_column_for_each_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # back at the end
    asked = Namespace(runs=[6, 12], problems=2, samples=2, only=["training_curves", "status"])
    lines = measure(SHAPES["seeds"], asked, tmp_path).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:4]] == ["CPU seconds", "6 runs", "12 runs"]
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["training_curves", "status"]
