"""An exported scale is an RO-Crate that others can read, and no bit of it changes unnoticed."""

import errno
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rocrate.rocrate import ROCrate

from real.commands.command_line import main
from real.records.manifest import MANIFEST, read_manifest
from real.system.files import read_json, write_json
from real.tasks.sources import read_sources
from tests.support.paths import ROOT
from tests.support.processes import python
from tests.support.tiny_scale import CONFIG, OVERLAY, RESULTS

EXPORT = Path("published")
METADATA, SUMS = "ro-crate-metadata.json", "sha256sum.txt"
LISTING = f"{RESULTS}/{MANIFEST}"
SETTINGS = {"paper_configs/methods.yaml", "paper_configs/smoke.yaml", OVERLAY}
BESIDES = {"LICENSE", "CITATION.cff", METADATA, SUMS, *SETTINGS}
KEPT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


def export(*more: str, folder: Path = EXPORT) -> int:
    return main(["export", str(folder), *more, *CONFIG])


def check(folder: Path = EXPORT) -> int:
    return main(["verify", "--export", str(folder)])


def names(folder: Path = EXPORT) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def listed(weights: bool) -> dict[str, dict[str, object]]:
    """What the manifest says of files by their path in a checkout, of weights or of all else."""
    files = read_json(RESULTS / MANIFEST)["files"]
    return {f"{RESULTS}/{name}": about for name, about in files.items() if ("/model/" in name) == weights}


def flip(path: Path, bit: int) -> bytes:
    """Change one bit of a file, counted from its start; what it held before."""
    before = path.read_bytes()
    at = bit // 8 % len(before)
    path.write_bytes(before[:at] + bytes([before[at] ^ 1 << bit % 8]) + before[at + 1 :])
    return before


@pytest.fixture(scope="module")
def exported(tiny_scale, tmp_path_factory):
    """A folder with what the tiny scale was exported to, and nothing else of it; not to be changed."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tiny_scale)
        assert export(folder=folder / EXPORT) == 0
    return folder


@pytest.fixture
def export_copy(exported, tmp_path, monkeypatch):
    """A copy of it to change, below the current folder."""
    shutil.copytree(exported, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")


def test_the_export_holds_every_result_but_weights_the_configuration_and_the_licence(tiny_copy, capsys):
    assert export() == 0
    assert names() == {*listed(weights=False), LISTING, *BESIDES}
    for name in names() - {"LICENSE", "CITATION.cff", METADATA, SUMS}:
        assert (EXPORT / name).read_bytes() == Path(name).read_bytes()
    for name in ("LICENSE", "CITATION.cff"):
        assert (EXPORT / name).read_bytes() == (ROOT / name).read_bytes()
    assert len(listed(weights=True)) == 3 * 6  # base model and two runs
    files, size = len(names()) - 2, sum((EXPORT / name).stat().st_size for name in names() - {METADATA, SUMS})
    said = f"{EXPORT}: {files} files, {size / 1e6:,.1f} MB: all as they were exported, without 18 files of weights\n"
    assert capsys.readouterr().out == said
    assert check() == 0
    assert capsys.readouterr().out == said


def test_weights_are_put_in_when_they_are_asked_for(tiny_copy, capsys):
    assert export("--weights") == 0
    assert names() == {*listed(weights=False), *listed(weights=True), LISTING, *BESIDES}
    for name in listed(weights=True):
        assert (EXPORT / name).read_bytes() == Path(name).read_bytes()
    assert "#not-included" not in (EXPORT / METADATA).read_text()
    assert check() == 0
    assert capsys.readouterr().out.endswith(": all as they were exported\n")


def test_the_library_reads_back_what_each_file_is(exported, tiny_scale, monkeypatch):
    monkeypatch.chdir(tiny_scale)
    crate = ROCrate(exported / EXPORT)
    root = crate.root_dataset
    assert root["name"].startswith("Results of the scale smoke+tiny: REAL, rewards as labels")
    assert root["description"] == "smoke scale: plumbing test, a near-random model"
    assert root["license"]["name"] == "LICENSE"
    assert [author["name"] for author in root["author"]] == ["the REAL reproducibility package authors"]
    assert root["citation"].id == "https://arxiv.org/abs/2602.05630"
    assert [one["familyName"] for one in root["citation"]["author"]] == ["Zhai", "Chen", "Zhao", "Qian", "Shen", "Lu"]
    assert root["mainEntity"]["name"] == LISTING
    files = {one["name"]: one for one in crate.data_entities}
    assert files.keys() == names(exported / EXPORT) - {METADATA, SUMS}
    for name, one in files.items():
        content = (exported / EXPORT / name).read_bytes()
        assert (one["contentSize"], one["sha256"]) == (str(len(content)), hashlib.sha256(content).hexdigest())
    kinds = {Path(name).suffix: one["encodingFormat"] for name, one in files.items() if name != "LICENSE"}
    assert "application/octet-stream" not in kinds.values()
    assert kinds[".parquet"] == "application/vnd.apache.parquet"
    left_out = {one["name"]: one for one in crate.contextual_entities if one.id.startswith("#not-included/")}
    assert left_out.keys() == listed(weights=True).keys()
    for name, about in listed(weights=True).items():
        assert (left_out[name]["contentSize"], left_out[name]["sha256"]) == (str(about["bytes"]), about["sha256"])
    for name, source in read_sources().items():
        data = crate.get(f"#data/{name}")
        assert (data["name"], data["license"]) == (source.label, source.licence)


def test_each_job_is_an_action_by_the_commit_that_its_record_names(exported, tiny_scale):
    crate, results = ROCrate(exported / EXPORT), tiny_scale / RESULTS
    manifest = read_manifest(results / MANIFEST)
    actions = {one["name"]: one for one in crate.get_by_type("CreateAction")}
    assert actions.keys() == manifest.jobs.keys()
    for name, action in actions.items():
        made = {f"{RESULTS}/{file}" for file, entry in manifest.files.items() if entry.job == name}
        assert {one["name"] for one in action["result"]} == made
    run, record = actions["runs/real/seed0"], read_json(results / "runs/real/seed0/provenance.json")
    assert {one["name"] for one in run["object"]} == {f"{RESULTS}/{name}" for name in record["read"]}
    assert record["git"]["commit"] in run["instrument"]["version"]
    assert run["instrument"].type == "SoftwareSourceCode"


def test_equal_results_are_exported_to_equal_bytes_dated_by_their_last_job(tiny_copy):
    for name in ("one", "two"):
        assert export(folder=Path(name)) == 0
    assert names(Path("one")) == names(Path("two"))
    for name in names(Path("one")):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    records = [path.stat().st_mtime for path in [*RESULTS.rglob("provenance.json"), *RESULTS.glob("provenance/*")]]
    day = subprocess.run(["date", "-u", "-d", f"@{max(records)}", "+%F"], capture_output=True, text=True).stdout.strip()
    assert ROCrate("one").root_dataset["datePublished"] == day


def test_the_program_sha256sum_checks_every_file_of_an_export(exported):
    done = subprocess.run(["sha256sum", "-c", SUMS], cwd=exported / EXPORT, capture_output=True, text=True)
    assert done.returncode == 0
    assert {line.removesuffix(": OK") for line in done.stdout.splitlines()} == names(exported / EXPORT) - {SUMS}


@KEPT
@given(data=st.data())
def test_any_flipped_bit_of_a_file_is_reported_under_its_name_alone(export_copy, data, capsys):
    path = EXPORT / data.draw(st.sampled_from(sorted(names() - {METADATA, SUMS, LISTING})))
    before = flip(path, data.draw(st.integers(0, 8 * path.stat().st_size - 1)))
    try:
        assert check() == 1
        out = capsys.readouterr().out
        assert out.startswith(f"altered     {path.relative_to(EXPORT)}: ")
        assert out.endswith(": 1 altered\n")
    finally:
        path.write_bytes(before)
    assert check() == 0
    capsys.readouterr()


@KEPT
@given(name=st.sampled_from([METADATA, SUMS, LISTING]), bit=st.integers(0, 1 << 24))
def test_any_flipped_bit_of_what_lists_the_files_is_found(export_copy, name, bit, capsys):
    before = flip(EXPORT / name, bit)
    try:
        assert check() == 1
        printed = capsys.readouterr()
        told = printed.out + printed.err
        assert name in told
        assert "Traceback" not in told
        if printed.err:  # it can't be read at all
            assert name == METADATA
            assert printed.err.count("\n") == 1
    finally:
        (EXPORT / name).write_bytes(before)


def test_a_flipped_digit_of_a_stated_sha256_is_found_in_the_metadata_and_in_the_manifest(export_copy, capsys):
    file = f"{RESULTS}/tables/benchmarks.csv"
    sha256 = hashlib.sha256((EXPORT / file).read_bytes()).hexdigest()
    other = ("0" if sha256[0] != "0" else "1") + sha256[1:]
    for name in (METADATA, LISTING):
        text = (EXPORT / name).read_text()
        assert sha256 in text
        (EXPORT / name).write_text(text.replace(sha256, other))
        assert check() == 1
        assert f"altered     {name}: " in capsys.readouterr().out
        (EXPORT / name).write_text(text)


def test_a_forged_file_whose_metadata_and_sums_were_made_to_fit_still_differs_from_the_manifest(export_copy, capsys):
    file, crate = f"{RESULTS}/tables/benchmarks.csv", read_json(EXPORT / METADATA)
    (EXPORT / file).write_text("forged\n")
    entry = next(one for one in crate["@graph"] if one.get("name") == file)
    sha256 = hashlib.sha256(b"forged\n").hexdigest()
    old, entry["sha256"], entry["contentSize"] = entry["sha256"], sha256, "7"
    own = hashlib.sha256((EXPORT / METADATA).read_bytes()).hexdigest()
    write_json(EXPORT / METADATA, crate)
    now = hashlib.sha256((EXPORT / METADATA).read_bytes()).hexdigest()
    (EXPORT / SUMS).write_text((EXPORT / SUMS).read_text().replace(old, sha256).replace(own, now))
    assert check() == 1
    said = f"altered     {file}: has another size or sha256 in {LISTING} than in {METADATA}\n"
    assert capsys.readouterr().out.startswith(said)


def test_missing_and_unlisted_files_are_named_with_what_to_do(export_copy, capsys):
    gone = [f"{RESULTS}/tables/benchmarks.csv", "LICENSE", SUMS]
    for name in gone:
        (EXPORT / name).unlink()
    (EXPORT / "more.txt").write_text("more")
    assert check() == 1
    out = capsys.readouterr().out
    for name in gone:
        assert f"missing     {name}: is exported, but not there\n" in out
    assert f"unlisted    more.txt: is not in {METADATA}\n" in out
    assert "\nFetch the folder again from where it was published, or export the scale again.\n" in out
    assert out.endswith(": 3 missing, 1 unlisted\n")


def test_results_that_are_left_out_with_their_metadata_are_missing_by_the_manifest(export_copy, capsys):
    file, crate = f"{RESULTS}/tables/benchmarks.csv", read_json(EXPORT / METADATA)
    (EXPORT / file).unlink()
    entry = next(one for one in crate["@graph"] if one.get("name") == file)
    # as weights are, which this is none of
    entry |= {"@id": f"#not-included/{entry['@id']}", "@type": "MediaObject"}
    write_json(EXPORT / METADATA, crate)
    assert check() == 1
    assert f"missing     {file}: is in {LISTING}, but not in {METADATA}\n" in capsys.readouterr().out


def test_results_that_verify_finds_fault_with_are_refused_in_a_sentence_and_nothing_is_written(tiny_copy, capsys):
    with (RESULTS / "tables/benchmarks.csv").open("a") as file:
        file.write("more\n")
    (RESULTS / "base/metrics.jsonl").unlink()
    before = {path.name for path in Path.cwd().iterdir()}
    assert export() == 1
    printed = capsys.readouterr()
    assert printed.err == (
        f"real: {RESULTS}: is not fit to be published (missing: base/metrics.jsonl, is listed, but not there; and 1 "
        "more); `python -m real verify` lists what to do\n"
    )
    assert {path.name for path in Path.cwd().iterdir()} == before


def test_a_scale_that_is_not_finished_is_refused(workplace, capsys):
    assert main(["export", "--scale", "smoke", str(EXPORT)]) == 1
    assert capsys.readouterr().err == (
        "real: results/smoke/manifest.json: no such file; run snakemake with this configuration to its end first\n"
    )
    assert not EXPORT.exists()


def test_a_folder_that_is_taken_or_lies_among_the_results_is_refused_and_an_empty_one_is_not(tiny_copy, capsys):
    EXPORT.mkdir()
    assert export() == 0
    before = {name: (EXPORT / name).read_bytes() for name in names()}
    Path("file").touch()
    capsys.readouterr()
    for taken in (EXPORT, Path("file")):
        assert export(folder=taken) == 1
        assert capsys.readouterr().err == f"real: {taken}: is there and is no empty folder; name a new one\n"
    assert {name: (EXPORT / name).read_bytes() for name in names()} == before
    assert export(folder=RESULTS / "published") == 1
    assert "is among the results that are to be exported; name a folder elsewhere\n" in capsys.readouterr().err


def test_an_export_that_the_disk_refuses_or_that_is_stopped_leaves_nothing(tiny_copy, monkeypatch, capsys):
    before = {path.name for path in Path.cwd().iterdir()}
    for error, code in ((OSError(errno.ENOSPC, "No space left on device"), 1), (KeyboardInterrupt(), 130)):

        def copy(source, target, error=error):
            target.write_bytes(b"cut off")
            raise error

        monkeypatch.setattr("rocrate.model.file.shutil.copy", copy)
        assert export() == code
        assert capsys.readouterr().err.count("\n") == 1
        assert {path.name for path in Path.cwd().iterdir()} == before


def test_what_is_no_export_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    other = ROCrate()
    other.name = "of somebody else"
    other.write("other")
    Path("broken").mkdir()
    Path("broken", METADATA).write_bytes(b"{")
    Path("empty").mkdir()
    for folder in ("absent", "empty"):
        assert check(Path(folder)) == 1
        no_crate = f"real: {folder}: is no RO-Crate (no {METADATA}); name a folder that `python -m real export` wrote\n"
        assert capsys.readouterr().err == no_crate
    for folder in ("other", "broken"):
        assert check(Path(folder)) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"real: {folder}/{METADATA}: is not what `python -m real export` writes (")
        assert error.count("\n") == 1
    assert main(["verify", "--export", "other", "--scale", "smoke"]) == 1
    assert capsys.readouterr().err == (
        "real: --export checks a folder by itself, without a scale; leave --scale and --config out\n"
    )


def test_metadata_that_name_files_outside_the_folder_read_none(export_copy, capsys):
    Path("secret").write_bytes(b"secret")
    crate = json.loads((EXPORT / METADATA).read_text())
    entry = next(one for one in crate["@graph"] if one["@id"] == "LICENSE")
    entry["@id"] = "../secret"
    next(one for one in crate["@graph"] if one["@id"] == "./")["hasPart"].append({"@id": "../secret"})
    write_json(EXPORT / METADATA, crate)
    assert check() == 1
    assert "missing     ../secret: is exported, but not there\n" in capsys.readouterr().out


def test_configuration_from_outside_the_checkout_and_of_this_machine_is_in_the_export(tiny_copy, tmp_path, capsys):
    outside = (tmp_path / OVERLAY).absolute()
    shutil.move(OVERLAY, outside)
    assert main(["export", str(EXPORT), "--config", CONFIG[1], str(outside)]) == 0
    assert (EXPORT / "configuration" / f"2_{OVERLAY}").read_bytes() == outside.read_bytes()
    assert str(tmp_path) not in (EXPORT / METADATA).read_text()


def test_other_verbs_do_not_wait_for_the_library():
    script = "import sys; from real.commands.command_line import main; main(['schema', '--help'])"
    told = python("-c", f"import atexit, sys; atexit.register(lambda: print('rocrate' in sys.modules)); {script}")
    assert told.stdout.endswith("False\n")
