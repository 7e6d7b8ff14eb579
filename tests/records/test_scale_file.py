"""A configuration file elsewhere that bears another's name is refused before it writes over that one's results."""

import shutil
from pathlib import Path

import pytest

from real.commands.command_line import main
from real.config import load
from real.records.manifest import MANIFEST
from real.records.provenance import RECORD
from real.records.scale_file import OtherScaleError, require_own_results
from real.system.files import read_json, write_json
from tests.support import tiny_scale as tiny
from tests.support.answers import answer
from tests.support.checkout import copy_checkout, snakemakes
from tests.support.edits import changed_text
from tests.support.paths import PAPER_CONFIGS
from tests.support.tiny_scale import RESULTS
from tests.support.workplaces import copy_configs

SCALE, OVERLAY = "paper_configs/smoke.yaml", tiny.OVERLAY
MODEL = ["--model", str(RESULTS / "base/model"), "--processes", "1"]
WRITING = {
    "base": [],
    "train": ["--method", "real", "--seed", "0"],
    "evaluate": [*MODEL, "--output", str(RESULTS / "evaluations/base")],
    "make": ["benchmarks"],
    "manifest": [],
}


def elsewhere(tmp_path: Path, file: str) -> str:
    """A copy of a configuration file in another folder."""
    (tmp_path / "elsewhere").mkdir()
    return str(shutil.copy(file, tmp_path / "elsewhere"))


def content() -> dict[str, tuple[bytes, int]]:
    files = [path for path in Path().rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("copied", ["scale", "overlay"])
@pytest.mark.parametrize("verb", WRITING)
def test_what_would_overwrite_anothers_results_is_refused_with_both_names(tiny_copy, tmp_path, verb, copied):
    mine = {"scale": SCALE, "overlay": OVERLAY}[copied]
    copy = elsewhere(tmp_path, mine)
    config = [copy if file == mine else file for file in (SCALE, OVERLAY)]
    before = content()
    code, [line] = answer([verb, *WRITING[verb], "--config", *config])
    assert code == 1
    assert line.startswith(f"{RESULTS}: holds results of {mine} (")
    assert f"and {copy} has the same name" in line
    assert content() == before


@pytest.mark.parametrize("left", [MANIFEST, f"base/{RECORD}", f"evaluations/real/seed0/{RECORD}"])
def test_one_record_is_enough_to_tell(tiny_copy, tmp_path, left):
    records = [path for path in RESULTS.rglob("*.json") if path.name in (MANIFEST, RECORD)]
    for path in records:
        if path != RESULTS / left:
            path.unlink()
    copied = load([elsewhere(tmp_path, SCALE), OVERLAY])
    with pytest.raises(OtherScaleError, match=left):
        require_own_results(copied)
    (RESULTS / left).write_bytes(b"{")
    require_own_results(copied)  # whoever reads it names it as damaged


def test_reading_is_allowed_and_an_evaluation_that_goes_elsewhere(tiny_copy, tmp_path, capsys):
    config = ["--config", elsewhere(tmp_path, SCALE), OVERLAY]
    assert [main([verb, *config]) for verb in ("plan", "status", "verify")] == [0, 0, 0]
    assert main(["evaluate", *MODEL, "--samples", "1", "--output", "mine", *config]) == 0


def test_the_same_file_by_another_path_is_no_other(tiny_copy, tmp_path):
    (tmp_path / "link.yaml").symlink_to(Path(SCALE).resolve())
    for scale in (f"./{SCALE}", Path(SCALE).resolve(), tmp_path / "link.yaml"):
        require_own_results(load([scale, Path(OVERLAY).resolve()]))


def test_a_file_that_was_moved_or_renamed_is_no_other(tiny_copy, tmp_path):
    copied = load([elsewhere(tmp_path, SCALE), OVERLAY])
    Path("paper_configs").unlink()
    copy_configs(Path())
    with pytest.raises(OtherScaleError):
        require_own_results(copied)
    text = Path(SCALE).read_text(encoding="utf-8")
    Path(SCALE).write_text(changed_text(text, {"scale": "other"}), encoding="utf-8")
    require_own_results(copied)
    Path(SCALE).write_text(text, encoding="utf-8")
    Path(SCALE).rename("paper_configs/moved.yaml")
    require_own_results(copied)


@pytest.mark.parametrize("files", [None, [], 3, [3], ["paper_configs/absent.yaml"], ["paper_configs"]], ids=repr)
def test_records_that_name_no_file_refuse_nothing(tiny_copy, tmp_path, files):
    for path in RESULTS.rglob("*.json"):
        if path.name in (MANIFEST, RECORD):
            write_json(path, {**read_json(path), "config_files": files})
    require_own_results(load([elsewhere(tmp_path, SCALE), OVERLAY]))


@pytest.mark.slow
def test_snakemake_refuses_before_its_first_job_and_plans_a_copy_whose_results_are_its_own(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    shutil.copy(PAPER_CONFIGS / "smoke.yaml", tmp_path)
    real = ["--cores", "1", "--configfile", "../smoke.yaml"]
    record = checkout / "results/smoke/base" / RECORD
    record.parent.mkdir(parents=True)
    write_json(record, {"config_files": ["../smoke.yaml"]})
    [(own, _)] = snakemakes(checkout, [["--dry-run", *real]])
    write_json(record, {"config_files": [SCALE]})
    [(dry, _), (code, told)] = snakemakes(checkout, [["--dry-run", *real], real])
    assert (own, dry, code) == (0, 1, 1)
    assert f"results/smoke: holds results of {SCALE} (results/smoke/base/provenance.json), and ../smoke.yaml" in told
    assert [path for path in (checkout / "results/smoke").rglob("*") if path.is_file()] == [record]
