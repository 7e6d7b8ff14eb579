"""The chain of custody: what is edited, swapped or forged is named, and reaches no table or page unmarked."""

import hashlib
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from real.commands.command_line import main
from real.commands.exhibits import all_jobs, exhibits
from real.records.custody import name_of
from real.records.manifest import MANIFEST, write_manifest
from real.records.provenance import RECORD
from real.records.verify import verify
from real.system.files import file_digest, read_json, write_json
from tests.support.relink import relink
from tests.support.tiny_scale import CONFIG, RESULTS

EVALUATION = RESULTS / "evaluations/gspo/seed0"
ROWS = EVALUATION / "add3.parquet"
METRICS = RESULTS / "runs/gspo/seed0/metrics.jsonl"
TABLE = RESULTS / "tables/benchmarks.csv"
REPORT = RESULTS / "report.html"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def all_correct(path: Path) -> None:
    """An evaluation in which every response is right."""
    frame = pd.read_parquet(path)
    frame.assign(correct=True).to_parquet(path)


def better_metrics() -> None:
    """A last validation that nobody measured, at the time of the file's last change."""
    times = METRICS.stat()
    lines = METRICS.read_text().splitlines()
    lines[-1] = lines[-1].replace('"reward_mean": ', '"reward_mean": 1')
    METRICS.write_text("\n".join(lines) + "\n")
    os.utime(METRICS, ns=(times.st_atime_ns, times.st_mtime_ns))


def kinds(experiment) -> dict[str, str]:
    return {finding.path: finding.kind for finding in verify(experiment, all_jobs(experiment)).findings}


def refusals(capsys, *names: str) -> list[str]:
    """The sentence of each exhibit, none of which may be written."""
    said = []
    for name in names:
        [exhibit] = [one for one in exhibits() if one.name == name]
        before = {path: (RESULTS / path).read_bytes() for path in exhibit.outputs}
        capsys.readouterr()
        assert main(["make", name, *CONFIG]) == 1, name
        said.append(capsys.readouterr().err)
        assert {path: (RESULTS / path).read_bytes() for path in exhibit.outputs} == before
    return said


def test_every_job_records_the_hash_of_all_that_it_read_and_wrote(tiny_copy):
    run = read_json(RESULTS / "runs/real/seed0" / RECORD)
    folder = RESULTS / "runs/real/seed0"
    on_disk = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {RECORD}
    assert run["wrote"] == {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in on_disk
    }
    model = list((RESULTS / "base/model").iterdir())
    assert run["read"] == {name_of(path, RESULTS): sha256(path) for path in [*model, RESULTS / "base" / RECORD]}
    evaluation = read_json(EVALUATION / RECORD)
    assert evaluation["wrote"].keys() == {"add3.parquet", "mix4.parquet", "evaluation.json"}
    assert evaluation["read"][f"runs/gspo/seed0/{RECORD}"] == sha256(RESULTS / "runs/gspo/seed0" / RECORD)
    table = read_json(RESULTS / "provenance/benchmarks.json")
    assert table["wrote"]["tables/benchmarks.csv"]["sha256"] == sha256(TABLE)
    for path in (ROWS, EVALUATION / RECORD):
        assert table["read"][str(path.relative_to(RESULTS))] == sha256(path)
    claims = read_json(RESULTS / "provenance/claims.json")
    assert claims["read"]["./paper_configs/claims.yaml"] == sha256(Path("paper_configs/claims.yaml"))
    report = read_json(RESULTS / "provenance/report.json")
    assert report["read"]["provenance/claims.json"] == sha256(RESULTS / "provenance/claims.json")


def test_forging_every_link_leaves_nothing_to_notice(tiny_copy):
    """So what the tests below notice is what they left out; only hashes that are kept elsewhere would tell."""
    all_correct(ROWS)
    about = read_json(EVALUATION / "evaluation.json")
    about["benchmarks"]["add3"] |= {"pass_at_1": 1.0}
    write_json(EVALUATION / "evaluation.json", about)
    relink(RESULTS)
    write_manifest(tiny_copy, all_jobs(tiny_copy))
    assert kinds(tiny_copy) == {}


def test_an_edited_evaluation_reaches_no_table_and_stays_altered_whoever_lists_it(tiny_copy, capsys):
    all_correct(ROWS)
    name = str(ROWS.relative_to(RESULTS))
    shown = [one.name for one in exhibits() if not one.absent(tiny_copy) and name in one.reads(tiny_copy)]
    assert shown == ["benchmarks", "claims", "differences", "pass_at_k"]
    for said in refusals(capsys, *shown):
        assert said.startswith(f"real: {ROWS}: ")
    assert main(["manifest", *CONFIG]) == 0
    assert kinds(tiny_copy) == {"evaluations/gspo/seed0/add3.parquet": "altered"}
    assert main(["verify", *CONFIG]) == 1
    printed = capsys.readouterr().out
    assert (
        "The chain breaks at evaluations/gspo/seed0; made from it: benchmarks, claims, differences, pass_at_k, report."
    ) in printed


def test_an_edited_table_is_altered_whoever_lists_it_and_the_report_refuses_what_it_shows(tiny_copy, capsys):
    TABLE.write_text(TABLE.read_text().replace("0.", "0.9", 1))
    shown = RESULTS / "tables/benchmarks.json"
    shown.write_text(shown.read_text().replace("0.", "0.9", 1))
    assert main(["manifest", *CONFIG]) == 0
    assert kinds(tiny_copy) == {"tables/benchmarks.csv": "altered", "tables/benchmarks.json": "altered"}
    [said] = refusals(capsys, "report")
    assert said.startswith((f"real: {TABLE}: ", f"real: {shown}: "))


def test_edited_metrics_with_their_time_kept_are_altered_whoever_lists_them(tiny_copy, capsys):
    better_metrics()
    assert main(["manifest", *CONFIG]) == 0
    assert kinds(tiny_copy) == {"runs/gspo/seed0/metrics.jsonl": "altered"}
    for said in refusals(capsys, "training_curves", "claims"):
        assert said.startswith(f"real: {METRICS}: ")


def test_one_forged_record_is_named_by_those_who_read_it_before(tiny_copy, capsys):
    better_metrics()
    path = METRICS.with_name(RECORD)
    record = read_json(path)
    record["wrote"]["metrics.jsonl"] = {"bytes": METRICS.stat().st_size, "sha256": sha256(METRICS)}
    write_json(path, record)
    write_manifest(tiny_copy, all_jobs(tiny_copy))
    found = kinds(tiny_copy)
    assert set(found.values()) == {"mismatched"}
    assert {"evaluations/gspo/seed0", "training_curves", "claims"} <= found.keys()
    # what is made anew says so
    assert main(["make", "benchmarks", *CONFIG]) == 0
    for name in ("tables/benchmarks.html", "tables/benchmarks.md", "tables/benchmarks.tex"):
        assert f"evaluations/gspo/seed0: runs/gspo/seed0/{RECORD} is another one now" in (RESULTS / name).read_text()


def test_a_listing_forged_with_its_file_is_contradicted_by_the_record(tiny_copy):
    TABLE.write_text(TABLE.read_text().replace("0.", "0.9", 1))
    path = RESULTS / "provenance/benchmarks.json"
    before = read_json(path)
    relink(RESULTS)
    write_manifest(tiny_copy, all_jobs(tiny_copy))
    write_json(path, before)
    assert kinds(tiny_copy)["provenance/benchmarks.json"] == "altered"


def test_a_checkpoint_swapped_for_another_trains_and_evaluates_nothing(tiny_copy, capsys):
    weights = RESULTS / "base/model/model.safetensors"
    shutil.copy(RESULTS / "runs/real/seed0/model/model.safetensors", weights)
    assert kinds(tiny_copy) == {"base/model/model.safetensors": "altered"}
    for verb in (
        ["train", "--method", "real", "--seed", "0"],
        ["evaluate", "--model", str(RESULTS / "base/model"), "--output", str(RESULTS / "evaluations/base")],
    ):
        capsys.readouterr()
        assert main([*verb, *CONFIG]) == 1
        assert f"real: {weights}: holds other bytes than were written there" in capsys.readouterr().err


def test_a_swapped_run_with_its_records_is_another_than_its_evaluation_read(tiny_copy, capsys):
    runs = RESULTS / "runs"
    (runs / "real").rename(runs / "kept")
    (runs / "gspo").rename(runs / "real")
    (runs / "kept").rename(runs / "gspo")
    write_manifest(tiny_copy, all_jobs(tiny_copy))
    found = kinds(tiny_copy)
    assert {found[f"evaluations/{method}/seed0"] for method in ("real", "gspo")} == {"mismatched"}
    for said in refusals(capsys, "benchmarks"):
        assert "was made" in said


@pytest.mark.parametrize("forged", [False, True])
def test_another_benchmarks_rows_are_tabulated_under_no_other_name(tiny_copy, capsys, forged):
    shutil.copy(EVALUATION / "mix4.parquet", ROWS)
    if forged:
        about = read_json(EVALUATION / "evaluation.json")
        about["benchmarks"]["add3"] = about["benchmarks"]["mix4"]
        write_json(EVALUATION / "evaluation.json", about)
        relink(RESULTS)
    for said in refusals(capsys, "benchmarks", "claims", "pass_at_k", "differences"):
        assert said.startswith(f"real: {ROWS}: ")


def test_rows_that_evaluation_json_did_not_count_are_refused(tiny_copy, capsys):
    all_correct(ROWS)
    relink(RESULTS)
    for said in refusals(capsys, "benchmarks", "claims"):
        assert said.startswith(f"real: {ROWS}: doesn't hold the problems and samples that evaluation.json counted")


KINDS = ("safetensors", "parquet", "jsonl", "csv", "html", "png", "yaml", "json", "pdf", "md", "tex")


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_bit_is_named_and_no_reader_ends_in_a_traceback(tiny_copy, capsys, kind):
    """In every file of a kind: its last byte but eight, one in the middle, and one that is no UTF-8."""
    verbs = [["status"], ["plan"], *(["make", exhibit.name] for exhibit in exhibits() if not exhibit.absent(tiny_copy))]
    paths = [path for path in sorted(RESULTS.rglob(f"*.{kind}")) if path.name != MANIFEST]
    spoilt = {path: path.read_bytes() for path in paths}
    for path, before in spoilt.items():
        at = len(before) // 2
        path.write_bytes(before[:at] + bytes([before[at] ^ 0x80]) + before[at + 1 :])
    assert main(["verify", *CONFIG]) == 1
    printed = capsys.readouterr().out
    for path in paths:
        assert f" {path.relative_to(RESULTS)}: " in printed
    for verb in verbs:
        capsys.readouterr()
        code, said = main([*verb, *CONFIG]), capsys.readouterr().err
        assert (code == 1) == said.startswith("real: "), (verb, said)
        assert "Traceback" not in said
    # whatever could be made anew was made from files that are as they were written
    for exhibit in exhibits():
        for name in exhibit.reads(tiny_copy) if not exhibit.absent(tiny_copy) else []:
            if RESULTS / name in spoilt and (RESULTS / name).read_bytes() != spoilt[RESULTS / name]:
                assert main(["make", exhibit.name, *CONFIG]) == 1, (exhibit.name, name)


def test_results_of_earlier_versions_are_of_unknown_origin_and_say_so(tiny_copy, capsys):
    for path in RESULTS.rglob(RECORD):
        write_json(path, {key: value for key, value in read_json(path).items() if key not in ("read", "wrote")})
    shutil.rmtree(RESULTS / "provenance")
    for name in ("benchmarks", "claims", "differences", "pass_at_k", "training_curves", "training_dynamics", "report"):
        assert main(["make", name, *CONFIG]) == 0, name
    for name in ("tables/benchmarks.html", "tables/pass_at_k.md", "claims.html", "report.html"):
        assert "of unknown origin, made before jobs recorded what they wrote" in (RESULTS / name).read_text(), name
    assert main(["manifest", *CONFIG]) == 0
    found = kinds(tiny_copy)
    jobs = ["base", "runs/real/seed0", "runs/gspo/seed0", "evaluations/base"]
    assert {found[name] for name in [*jobs, "evaluations/real/seed0", "evaluations/gspo/seed0"]} == {"unknown"}
    assert main(["verify", *CONFIG]) == 1


def test_a_base_model_made_again_to_the_same_bytes_is_noted_and_not_refused(tiny_copy):
    """As at a protected scale, where a deleted base model is linked anew and no run is repeated for it."""
    path = RESULTS / "base" / RECORD
    write_json(path, read_json(path) | {"wall_seconds": 7.0})
    assert main(["make", "benchmarks", *CONFIG]) == 0
    text = (RESULTS / "tables/benchmarks.md").read_text()
    assert f"runs/real/seed0: base/{RECORD} is another one now, beside the same files" in text
    write_manifest(tiny_copy, all_jobs(tiny_copy))
    assert kinds(tiny_copy)["runs/real/seed0"] == "mismatched"


def test_a_checkpoint_beside_another_programs_provenance_file_is_evaluated(tiny_copy, tmp_path):
    shutil.copytree(RESULTS / "base/model", tmp_path / "theirs/model")
    (tmp_path / "theirs" / RECORD).write_text('{"entity": {}}')
    model = ["--model", str(tmp_path / "theirs/model"), "--output", "out", "--processes", "1"]
    assert main(["evaluate", *CONFIG, *model]) == 0
    read = read_json(Path("out") / RECORD)["read"]
    assert read[str(tmp_path / "theirs/model/model.safetensors")] == sha256(RESULTS / "base/model/model.safetensors")


def test_a_file_is_hashed_once_and_again_where_it_changed(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 100)
    monkeypatch.setattr("real.system.files.SETTLED_NS", -1)
    read: list[int] = []
    first = file_digest(path, read.append)
    opened = []
    monkeypatch.setattr(Path, "open", lambda *_: opened.append(1))
    assert file_digest(path) == first == hashlib.sha256(b"a" * 100).hexdigest()
    assert (read, opened) == ([100], [])
    monkeypatch.undo()
    path.write_bytes(b"b" * 100)
    assert file_digest(path) == hashlib.sha256(b"b" * 100).hexdigest()
