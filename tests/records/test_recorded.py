"""What a finished scale measured, kept in git: written from results that verify, drawn again, compared with."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from real.commands.command_line import main
from real.commands.redraw import redraw
from real.config import ConfigError, load
from real.records.recorded import RECORDED, recorded_names
from real.system import code
from real.system.files import DamagedError, file_digest
from real.system.portable import not_portable_because
from tests.support import cpu_pins
from tests.support.paths import ROOT
from tests.support.tiny_scale import CONFIG, RESULTS

FOLDER = RECORDED / RESULTS.name
DRAWN = Path("drawn")


@pytest.fixture
def recorded(tiny_copy):
    """The tiny scale, recorded."""
    assert main(["record", *CONFIG]) == 0
    return tiny_copy


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def altered_about(**changes):
    about = json.loads((FOLDER / "record.json").read_text())
    (FOLDER / "record.json").write_text(json.dumps(about | changes))


def test_a_recorded_scale_is_drawn_again_to_the_same_bytes_without_its_results(recorded):
    before = contents(RESULTS)
    shutil.rmtree(RESULTS)
    assert main(["redraw", RESULTS.name, "--output", str(DRAWN)]) == 0
    drawn = contents(DRAWN / RESULTS.name)
    shown = {name for name in before if name.startswith(("tables/", "figures/", "claims."))}
    assert drawn.keys() == shown
    assert [name for name in drawn if drawn[name] != before[name]] == []
    assert len(drawn) > 20
    assert not RESULTS.exists()


def test_recording_twice_writes_the_same_bytes(recorded):
    before = contents(FOLDER)
    assert main(["record", *CONFIG]) == 0
    assert contents(FOLDER) == before


def test_neither_weights_nor_responses_are_recorded_but_the_hashes_of_both(recorded):
    with tarfile.open(FOLDER / "results.tar.xz") as packed:
        names = packed.getnames()
        assert not [name for name in names if name.endswith((".safetensors", "timings.jsonl"))]
        rows = [name for name in names if name.startswith("evaluations/") and name.endswith(".parquet")]
        for name in rows:
            kept, whole = pd.read_parquet(packed.extractfile(name)), pd.read_parquet(RESULTS / name)
            pd.testing.assert_frame_equal(kept, whole[["problem_id", "correct"]])
    assert rows
    files = json.loads((FOLDER / "record.json").read_text())["files"]
    for name in ("base/model/model.safetensors", rows[0]):
        assert files[name]["sha256"] == file_digest(RESULTS / name)
    assert sum(map(len, contents(FOLDER).values())) < sum(map(len, contents(RESULTS).values())) / 4


def test_results_that_do_not_verify_are_not_recorded(tiny_copy, capsys):
    path = RESULTS / "tables/benchmarks.csv"
    path.write_text(path.read_text().replace("0", "1"))
    assert main(["record", *CONFIG]) == 1
    assert f"real: {RESULTS}: tables/benchmarks.csv " in capsys.readouterr().err
    assert not RECORDED.exists()


def test_a_scale_that_trains_nothing_has_nothing_to_record(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["record", "--scale", "published"]) == 1
    assert "the scale 'published' trains nothing" in capsys.readouterr().err


def test_a_flipped_bit_of_the_archive_is_refused(recorded):
    path = FOLDER / "results.tar.xz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"results\.tar\.xz: is missing, or isn't what was recorded"):
        redraw(RESULTS.name, DRAWN)
    assert not list(DRAWN.rglob("*.csv"))


def test_a_name_that_is_not_recorded_is_answered_with_those_that_are(recorded, capsys):
    assert recorded_names() == [RESULTS.name]
    assert main(["redraw", "other"]) == 1
    assert f"what is recorded: {RESULTS.name}" in capsys.readouterr().err


def test_an_exhibit_that_has_other_bytes_than_recorded_is_named(recorded):
    files = json.loads((FOLDER / "record.json").read_text())["files"]
    files["tables/benchmarks.csv"]["sha256"] = "0" * 64
    altered_about(files=files)
    assert redraw(RESULTS.name, DRAWN) == ["tables/benchmarks.csv"]


def test_what_the_present_code_draws_otherwise_can_be_made_the_record(recorded):
    before = json.loads((FOLDER / "record.json").read_text())
    files = json.loads((FOLDER / "record.json").read_text())["files"]
    files["tables/benchmarks.csv"] |= {"sha256": "0" * 64, "bytes": 1}
    altered_about(files=files)
    (FOLDER / "tables/benchmarks.csv").write_text("another\n")
    assert main(["redraw", RESULTS.name, "--output", str(DRAWN), "--write"]) == 0
    after = json.loads((FOLDER / "record.json").read_text())
    assert after["files"] == before["files"]
    assert (FOLDER / "tables/benchmarks.csv").read_bytes() == (RESULTS / "tables/benchmarks.csv").read_bytes()
    assert redraw(RESULTS.name, DRAWN) == []


def test_a_reader_with_the_same_bytes_is_told_so(recorded, capsys):
    assert main(["verify", *CONFIG, "--expected"]) == 0
    assert f"{RESULTS}: the same bytes as {FOLDER}" in capsys.readouterr().out


def test_a_reader_whose_run_differs_on_a_machine_that_rounds_alike_is_told_where(recorded, capsys):
    files = json.loads((FOLDER / "record.json").read_text())["files"]
    files["runs/real/seed0/metrics.jsonl"]["sha256"] = "0" * 64
    files["runs/real/seed0/timings.jsonl"]["sha256"] = "0" * 64
    altered_about(files=files)
    assert main(["verify", *CONFIG, "--expected"]) == 1
    printed = capsys.readouterr().out
    assert "differs     runs/real/seed0/metrics.jsonl\n" in printed
    assert f"{RESULTS}: 1 files differ from" in printed


def test_a_reader_whose_processor_rounds_otherwise_is_told_to_compare_intervals(recorded, capsys):
    files = json.loads((FOLDER / "record.json").read_text())["files"]
    files["runs/real/seed0/metrics.jsonl"]["sha256"] = "0" * 64
    altered_about(files=files, arithmetic="this processor (aarch64) has no AVX2", processor="Another")
    assert main(["verify", *CONFIG, "--expected"]) == 0
    assert "compare intervals" in capsys.readouterr().out


def test_a_scale_can_not_be_called_as_the_folder_of_records(tmp_path):
    text = (ROOT / "paper_configs" / "smoke.yaml").read_text().replace("scale: smoke", "scale: recorded")
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match="scale is 'recorded', but results/recorded holds"):
        load([tmp_path / "mine.yaml"])


def test_recording_does_not_taint_what_runs_after_it(tmp_path, monkeypatch):
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a", "commit", "-q", "--allow-empty", "-m", "a"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "record.json").write_text("{}")
    assert code.git_state()["modified_files"] == 0
    (tmp_path / "real.py").write_text("")
    assert code.git_state()["modified_files"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.parent.name for path in (ROOT / RECORDED).glob("*/record.json")])
def test_what_the_repository_records_is_drawn_again_to_the_recorded_bytes(name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    pinned = json.loads(cpu_pins.PINS.read_text())["platform"]
    other = redraw(name, tmp_path)
    if pinned == cpu_pins.this_platform() and not not_portable_because():
        assert other == []
    assert (tmp_path / name / "tables/benchmarks.csv").exists()
