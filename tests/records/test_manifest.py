"""The manifest lists every file, and `verify` names every one that is not as it was written, and why."""

import hashlib
import json
import re
import shutil

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from real.commands.command_line import main
from real.commands.exhibits import all_jobs
from real.config import load
from real.records.manifest import MANIFEST, read_manifest, write_manifest
from real.records.verify import REMEDIES, verify
from real.system.files import read_json, write_json
from real.tasks.corrections import corrections_digest, read_corrections
from real.tasks.sources import read_sources
from tests.support import tiny_scale as tiny
from tests.support.paths import ROOT
from tests.support.relink import relink
from tests.support.scales import shipped
from tests.support.tiny_scale import CONFIG, RESULTS

# a fixture's folder is put back after each example
KEPT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


def found(experiment) -> dict[str, tuple[str, str]]:
    """(kind, detail) by path; one finding a path."""
    findings = verify(experiment, all_jobs(experiment)).findings
    assert len({finding.path for finding in findings}) == len(findings)
    return {finding.path: (finding.kind, finding.detail) for finding in findings}


def listed() -> list[str]:
    return sorted(read_manifest(RESULTS / MANIFEST).files)


def test_every_file_is_listed_with_its_hash_and_what_made_it(tiny_copy, capsys):
    manifest = json.loads((RESULTS / MANIFEST).read_text())
    on_disk = {
        str(path.relative_to(RESULTS)): path
        for path in RESULTS.rglob("*")
        if path.is_file() and path.relative_to(RESULTS).parts[0] not in ("work", MANIFEST)
    }
    assert manifest["files"].keys() == on_disk.keys()
    assert len(on_disk) > 50
    for name, path in on_disk.items():
        entry = manifest["files"][name]
        assert (entry["bytes"], entry["sha256"]) == (
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
    for name in ("base", "runs/gspo/seed0", "evaluations/base", "evaluations/real/seed0"):
        provenance = json.loads((RESULTS / name / "provenance.json").read_text())
        assert manifest["files"][f"{name}/provenance.json"]["job"] == name
        for key in ("config_digest", "code_digest"):
            assert manifest["jobs"][name][key] == provenance[key]
    assert manifest["jobs"]["evaluations/base"]["rule"] == "evaluate_base"
    assert manifest["files"]["figures/gradient_measured.png"]["job"] == "gradient_measured"
    assert main(["verify", *CONFIG]) == 0
    assert "all as they were written, from the present code and configuration" in capsys.readouterr().out


def test_writing_it_again_changes_no_byte(tiny_copy):
    before = (RESULTS / MANIFEST).read_bytes()
    assert write_manifest(tiny_copy, all_jobs(tiny_copy)) == []
    assert (RESULTS / MANIFEST).read_bytes() == before


@KEPT
@given(data=st.data())
def test_any_flipped_bit_is_reported_under_its_file_and_no_other(tiny_copy, data):
    name = data.draw(st.sampled_from([name for name in listed() if (RESULTS / name).stat().st_size]))
    path = RESULTS / name
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    path.write_bytes(before[:at] + bytes([before[at] ^ 1 << data.draw(st.integers(0, 7))]) + before[at + 1 :])
    try:
        findings = found(tiny_copy)
        assert findings.keys() == {name}
        assert findings[name][0] in ("altered", "damaged")
    finally:
        path.write_bytes(before)


@KEPT
@given(data=st.data())
def test_any_truncation_is_reported_under_its_file_and_no_other(tiny_copy, data):
    name = data.draw(st.sampled_from([name for name in listed() if (RESULTS / name).stat().st_size]))
    path = RESULTS / name
    before = path.read_bytes()
    path.write_bytes(before[: data.draw(st.integers(0, len(before) - 1))])
    try:
        findings = found(tiny_copy)
        assert findings.keys() == {name}
        kind, detail = findings[name]
        assert kind in ("altered", "damaged")
        assert f"instead of {len(before):,}" in detail
        if path.suffix in (".parquet", ".safetensors"):
            assert kind == "damaged"
    finally:
        path.write_bytes(before)


@KEPT
@given(data=st.data())
def test_any_flipped_bit_or_truncation_of_the_manifest_itself_is_one_sentence(tiny_copy, data, capsys):
    path = RESULTS / MANIFEST
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before) - 2))
    flipped = before[:at] + bytes([before[at] ^ 1 << data.draw(st.integers(0, 7))]) + before[at + 1 :]
    path.write_bytes(data.draw(st.sampled_from([flipped, before[:at]])))
    try:
        same = json.loads(path.read_bytes()) == json.loads(before)  # another kind of space between its words
    except ValueError:
        same = False
    try:
        assert main(["verify", *CONFIG]) == (0 if same else 1)
        printed = capsys.readouterr()
        if not same:
            assert printed.err.startswith(f"real: {path}: ")
            assert "snakemake --forcerun manifest" in printed.err
            assert printed.err.count("\n") == 1
    finally:
        path.write_bytes(before)


def test_missing_files_are_named_and_a_missing_manifest_says_what_to_run(tiny_copy, capsys):
    gone = ["runs/real/seed0/timings.jsonl", "tables/benchmarks.tex", "base/model/model.safetensors"]
    for name in gone:
        (RESULTS / name).unlink()
    assert main(["verify", *CONFIG]) == 1
    printed = capsys.readouterr()
    for name in gone:
        assert re.search(rf"^missing +{re.escape(name)}: is listed, but not there$", printed.out, re.M)
    assert f"missing: {REMEDIES['missing']}." in printed.out
    assert printed.out.endswith(": 3 missing\n")
    (RESULTS / MANIFEST).unlink()
    assert main(["verify", *CONFIG]) == 1
    assert capsys.readouterr().err == (
        f"real: {RESULTS / MANIFEST}: no such file; run snakemake with this configuration to its end first\n"
    )


def test_what_was_gone_when_the_manifest_was_written_is_missing_too(tiny_copy, capsys):
    shutil.rmtree(RESULTS / "runs/gspo/seed0/model")
    shutil.rmtree(RESULTS / "evaluations/gspo/seed0")
    assert main(["manifest", *CONFIG]) == 0
    assert "not there: runs/gspo/seed0/model\n" in capsys.readouterr().out
    findings = found(tiny_copy)
    assert findings.pop("evaluations/gspo/seed0") == ("missing", "is declared, but was never made")
    assert "runs/gspo/seed0/model/model.safetensors" in findings
    assert {path.rpartition("/")[0] for path in findings} == {"runs/gspo/seed0/model"}
    assert set(findings.values()) == {("missing", "is listed, but not there")}


@pytest.mark.parametrize(
    ("name", "spoil", "detail"),
    [
        ("runs/real/seed0/metrics.jsonl", lambda raw: raw[:-5], "line 3 is cut off"),
        ("runs/real/seed0/metrics.jsonl", lambda raw: raw.replace(b'{"step": 1', b'["step": 1'), "line 2 is damaged"),
        ("evaluations/real/seed0/mix4.parquet", lambda raw: raw[:-20], "is damaged"),
        ("runs/real/seed0/model/model.safetensors", lambda raw: raw[:-20], "is damaged"),
        ("runs/real/seed0/provenance.json", lambda raw: raw[:-20], "is damaged"),
        ("tables/training_curves.csv", lambda raw: raw[:-3], "its last line is cut off"),
        ("runs/real/seed0/config.yaml", lambda raw: raw + b"x: [", "is damaged"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong_in_its_format(tiny_copy, capsys, name, spoil, detail):
    path = RESULTS / name
    path.write_bytes(spoil(path.read_bytes()))
    assert main(["verify", *CONFIG]) == 1
    assert re.search(
        rf"^damaged +{re.escape(name)}: {detail}.* bytes instead of |{detail}", capsys.readouterr().out, re.M
    )
    assert found(tiny_copy)[name][0] == "damaged"


def test_unlisted_files_are_named_and_the_workflows_own_are_not(tiny_copy):
    pd.DataFrame({"correct": [True]}).to_parquet(RESULTS / "evaluations/real/seed0/aime.parquet")
    (RESULTS / "runs/old/seed0").mkdir(parents=True)
    for name in ("runs/old/seed0/metrics.jsonl", "runs/real/seed0/model/.snakemake_timestamp", "logs/x", "work/y"):
        (RESULTS / name).parent.mkdir(parents=True, exist_ok=True)
        (RESULTS / name).write_text("")
    findings = found(tiny_copy)
    assert {path: kind for path, (kind, _) in findings.items()} == {
        "evaluations/real/seed0/aime.parquet": "unlisted",
        "runs/old/seed0/metrics.jsonl": "unlisted",
    }


def test_another_configuration_is_stale_with_its_keys_and_commit(tiny_copy, capsys):
    tiny.change({"training.learning_rate": 0.5})
    assert main(["verify", *CONFIG]) == 1
    printed = capsys.readouterr().out
    made_by = read_manifest(RESULTS / MANIFEST).jobs["runs/real/seed0"].made_by
    for method in ("real", "gspo"):
        assert re.search(
            rf"^stale +runs/{method}/seed0: was made by another configuration \(training.learning_rate was 0.001, is "
            rf"0.5\), at {made_by}$",
            printed,
            re.M,
        )
    assert printed.endswith(": 2 stale\n"), "neither base nor evaluations nor tables depend on the learning rate"


def test_other_code_is_stale_with_its_commit_for_jobs_and_for_what_is_drawn(tiny_copy):
    path = RESULTS / "runs/real/seed0/provenance.json"
    write_json(path, read_json(path) | {"code_digest": "0" * 16, "git": {"commit": "f" * 40, "modified_files": 0}})
    relink(RESULTS)
    write_manifest(tiny_copy, all_jobs(tiny_copy))
    manifest = json.loads((RESULTS / MANIFEST).read_text())
    assert found(tiny_copy) == {
        "runs/real/seed0": ("stale", "was made by other code than the present, at commit ffffffffffff")
    }
    assert manifest["jobs"]["runs/real/seed0"]["made_by"] == "commit ffffffffffff"


def test_a_job_that_is_no_longer_declared_is_stale_and_its_files_are_still_verified(tiny_copy):
    tiny.change({"methods": ["real"]})
    (RESULTS / "runs/gspo/seed0/metrics.jsonl").unlink()
    findings = found(load(CONFIG[1:]))
    assert findings["runs/gspo/seed0"] == ("stale", "belongs to nothing that the present configuration declares")
    assert findings["runs/gspo/seed0/metrics.jsonl"][0] == "missing"
    assert findings["benchmarks"][0] == "stale"


def test_an_evaluation_of_another_checkpoint_is_mismatched(tiny_copy):
    """As after a run that was retrained by hand: its files are listed anew, its evaluation is the old one's."""
    evaluation = RESULTS / "evaluations/real/seed0/provenance.json"
    before = read_json(evaluation)
    shutil.copy(RESULTS / "base/model/model.safetensors", RESULTS / "runs/real/seed0/model/model.safetensors")
    relink(RESULTS)
    write_json(evaluation, read_json(evaluation) | {"read": before["read"]})
    write_manifest(tiny_copy, all_jobs(tiny_copy))
    kind, detail = found(tiny_copy)["evaluations/real/seed0"]
    assert kind == "mismatched"
    assert "was made from another runs/real/seed0/model/model.safetensors than is there now" in detail


def test_a_job_that_read_other_data_or_data_otherwise_corrected_is_mismatched(tiny_copy):
    corrections, sources = read_corrections(), read_sources()
    data = {
        name: {"source": sources[name].identity, "corrections": corrections_digest(corrections, name)}
        for name in ("aime", "olympiad_bench")
    }
    path = RESULTS / "evaluations/real/seed0/provenance.json"
    record = read_json(path)

    def details(changed) -> str:
        write_json(path, record | {"data": data | changed})
        relink(RESULTS)
        write_manifest(tiny_copy, all_jobs(tiny_copy))
        return " ".join(detail for kind, detail in found(tiny_copy).values() if kind == "mismatched")

    other = "read olympiad_bench with other corrections than datasets/corrections.yaml has"
    source = sources["olympiad_bench"].identity
    assert details({}) == details({"aime": {"source": sources["aime"].identity}}) == ""
    assert details({"olympiad_bench": {"source": source, "corrections": "0" * 64}}) == other
    assert details({"olympiad_bench": {"source": source}}) == other, "of a version without corrections"
    assert details({"aime": {"source": "s"}}) == "read aime from another file than datasets/sources.yaml names"


def test_links_are_followed_and_a_broken_one_is_missing(tiny_copy, tmp_path):
    elsewhere = tmp_path / "hub"
    shutil.move(RESULTS / "base/model", elsewhere)
    (RESULTS / "base/model").mkdir()
    for path in elsewhere.iterdir():
        (RESULTS / "base/model" / path.name).symlink_to(path)
    assert found(tiny_copy) == {}
    weights = elsewhere / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (elsewhere / "config.json").unlink()
    assert {path: kind for path, (kind, _) in found(tiny_copy).items()} == {
        "base/model/config.json": "missing",
        "base/model/model.safetensors": "damaged",
    }


def test_a_manifest_of_another_experiment_is_refused(tiny_copy, capsys):
    shutil.copytree(RESULTS, "results/smoke")
    assert main(["verify", "--scale", "smoke"]) == 1
    assert "is of the experiment 'smoke+tiny', not of 'smoke'" in capsys.readouterr().err


def test_every_scale_declares_its_outputs_and_a_sweep_its_own_only_if_made(monkeypatch):
    monkeypatch.chdir(ROOT)

    def outputs(*names: str, optional: bool = False) -> set[str]:
        experiment = shipped(*names)
        return {output for job in all_jobs(experiment) if job.optional == optional for output in job.outputs}

    published = outputs("published")
    assert published >= {"tables/benchmarks.tex", "claims.json", "figures/training_dynamics.pdf", "report.html"}
    assert not [name for name in published if name.startswith(("base", "runs", "evaluations"))]
    hub, laptop = outputs("7b"), outputs("laptop")
    assert "base/metrics.jsonl" in laptop
    assert "base/metrics.jsonl" not in hub
    assert {"base/model", "runs/gspo/seed0/model", "evaluations/gspo/seed0/aime25.parquet"} <= hub
    assert outputs("laptop", optional=True) == set()
    sweep = outputs("laptop", "variants/learning_rate_sweep", optional=True)
    assert {"tables/learning_rate_sweep.csv", "figures/learning_rate_sweep.pdf"} <= sweep
