"""Other code's work: at protected scales it is resumed, used and tabulated only if the user accepts it by name."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml

from real.commands.command_line import main
from real.commands.exhibits import all_jobs
from real.config import ConfigError, load, resolve
from real.engines import run_files
from real.engines.torch import supervised, train
from real.engines.torch.supervised import train_base
from real.engines.verl import train as verl_train
from real.engines.verl.journal import TRACKER, Journal
from real.evaluation.chunks import Chunks
from real.records.consistent import EVALUATIONS, RUNS, code_note
from real.records.provenance import RECORD
from real.system.code import code_digest
from real.system.files import read_json, write_json
from real.system.work_folder import MADE_BY, OtherRunError, open_work_folder
from tests.evaluation.test_chunks import TABLE
from tests.support import tiny_scale as tiny
from tests.support.kills import files_of, killed_after_save
from tests.support.random_checkpoint import CODE, Counting, StopError, files, run
from tests.support.scales import shipped
from tests.support.tiny_scale import CONFIG, RESULTS
from tests.support.workplaces import copy_configs

OLD, OLDER = "0123456789abcdef", "fedcba9876543210"
REAL, GSPO = "runs/real/seed0", "runs/gspo/seed0"
TRAIN = ["train", *CONFIG, "--method", "real", "--seed", "0"]
REMEDY = "accept {0} by name (accept_code: ['{0}'] in paper_configs/local.yaml, or --accept-code {0})"
REVISION = {"commit": "f" * 40, "modified_files": 0}
MADE = {"config": {"steps": 6}, "code": CODE}


@pytest.fixture
def protected(tiny_copy):
    """The finished tiny scale, as one that is protected, in the current folder."""
    tiny.change({"protected": True})
    return tiny.experiment()


def accept_in_local(*digests: str) -> None:
    """Write a local.yaml, into a paper_configs of this folder's own."""
    Path("paper_configs").unlink()
    copy_configs(Path())
    Path("paper_configs/local.yaml").write_text(yaml.safe_dump({"accept_code": list(digests)}), encoding="utf-8")


def change(name: str, **changes) -> None:
    """Change what a job recorded."""
    path = RESULTS / name / RECORD
    write_json(path, read_json(path) | changes)


def interrupt(monkeypatch, code: str) -> None:
    """Stop the run after its first step, as if the package were of another version."""
    collect = train.collect

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return collect(*arguments)

    shutil.rmtree(RESULTS / REAL)
    with monkeypatch.context() as patch:
        patch.setattr(train, "collect", interrupted)
        patch.setattr(run_files, "code_digest", lambda _: code)
        assert main(TRAIN) == 130


@pytest.mark.usefixtures("signals_as_a_terminal_gives_them")
@pytest.mark.parametrize("by", ["flag", "local.yaml"])
def test_a_run_is_resumed_to_the_same_bytes_if_its_code_is_accepted_and_refused_otherwise(
    protected, capsys, monkeypatch, by
):
    whole = files_of(RESULTS / REAL, RECORD)
    interrupt(monkeypatch, OLD)
    work = RESULTS / "work/real/seed0"
    made_by, commit = (work / MADE_BY).read_bytes(), read_json(work / MADE_BY)["commit"]
    capsys.readouterr()
    for wrong in ([], ["--accept-code", OLDER]):
        assert main([*TRAIN, *wrong]) == 1
        assert capsys.readouterr().err == (
            f"real: {work}: holds the state of this run by another version ({commit}; code differ), and the scale is "
            f"protected; go back to that commit and configuration to go on with it, {REMEDY.format(OLD)} to go on by "
            "this code, or delete the folder to start anew\n"
        )
        assert (work / MADE_BY).read_bytes() == made_by

    if by == "local.yaml":
        accept_in_local(OLD)
    assert main([*TRAIN, *(["--accept-code", OLDER, OLD] if by == "flag" else [])]) == 0
    printed = capsys.readouterr().out
    assert f"{work}: until step 1 by other code, which is accepted: {OLD} ({commit})" in printed
    assert "resumes after step 1 of 2" in printed
    assert files_of(RESULTS / REAL, RECORD) == whole
    record = read_json(RESULTS / REAL / RECORD)
    assert record["code_digest"] == code_digest("real.engines.torch.train")
    assert record["earlier_code"] == [{"code_digest": OLD, "commit": commit, "last_step": 1}]
    assert not work.exists()


@pytest.mark.usefixtures("signals_as_a_terminal_gives_them")
def test_a_resumed_run_is_tabulated_and_the_note_says_where_its_code_changed(protected, capsys, monkeypatch):
    assert code_note(protected, EVALUATIONS) == ""
    assert "earlier_code" not in read_json(RESULTS / REAL / RECORD)
    interrupt(monkeypatch, OLD)
    assert main([*TRAIN, "--accept-code", OLD]) == 0
    shown = ("benchmarks", "differences", "pass_at_k", "training_curves", "claims", "report")
    for name in shown:
        assert main(["make", name, *CONFIG]) == 0
    code = f"{REAL}: {OLD} until step 1, then {code_digest('real.engines.torch.train')}"
    tables = [f"tables/{name}.{kind}" for name in shown[:3] for kind in ("html", "md", "tex")]
    for page in (*tables, "claims.html", "report.html"):
        assert code in (RESULTS / page).read_text(), page
    change(GSPO, code_digest=OLD)  # accepted as what the other one began with
    assert main(["make", "training_curves", *CONFIG]) == 0
    now = code_digest("real.engines.torch.train")
    note = code_note(protected, RUNS)
    assert note.startswith("Several versions of the code made these results: ")
    assert note.endswith(f"made {GSPO}; {REAL}: {OLD} until step 1, then {now}.")


def test_the_note_names_every_version_with_its_commit_and_jobs(tiny_copy):
    now = read_json(RESULTS / GSPO / RECORD)["code_digest"]
    change(REAL, git=REVISION, earlier_code=[{"code_digest": OLD, "commit": "commit 0", "last_step": 1}])
    change(GSPO, git=REVISION)
    begins = "Several versions of the code made these results: "
    assert code_note(tiny_copy, RUNS) == (
        f"{begins}{OLD} (commit 0) began {REAL}; {now} (commit ffffffffffff) made {REAL}, {GSPO}; "
        f"{REAL}: {OLD} until step 1, then {now}."
    )
    names = [f"evaluations/{name}" for name in ("base", "real/seed0", "gspo/seed0")]
    for name in names:
        change(name, git=REVISION)
    change(REAL, earlier_code=[])
    assert code_note(tiny_copy, EVALUATIONS) == ""
    change(names[0], earlier_code=[{"code_digest": OLDER, "benchmarks": ["add3", "mix4"]}])
    now = read_json(RESULTS / names[0] / RECORD)["code_digest"]
    assert code_note(tiny_copy, EVALUATIONS) == (
        f"{begins}{OLDER} began {names[0]}; {now} (commit ffffffffffff) made all 3 evaluations; {names[0]}: {OLDER} "
        f"for some or all of add3, mix4, then {now}."
    )
    assert code_note(tiny_copy, RUNS) == ""


@pytest.mark.parametrize(("name", "exhibit"), [(GSPO, "training_curves"), ("evaluations/gspo/seed0", "benchmarks")])
def test_a_mixture_is_tabulated_only_if_all_but_one_version_are_accepted(protected, capsys, name, exhibit):
    now = read_json(RESULTS / name / RECORD)["code_digest"]
    change(name, code_digest=OLD, git=REVISION)
    other = RESULTS / name.replace("gspo", "real") / RECORD
    os.utime(other)  # the newest
    assert main(["make", exhibit, *CONFIG]) == 1
    said = capsys.readouterr().err
    assert f"{name} by commit ffffffffffff: {OLD}" in said
    assert f": {now}" in said
    assert f", {REMEDY.format(OLD)}, or make all again" in said
    assert main(["make", exhibit, *CONFIG, "--accept-code", OLDER]) == 1
    for accepted in (OLD, now):
        assert main(["make", exhibit, *CONFIG, "--accept-code", accepted]) == 0
    if name == GSPO:
        change(REAL, code_digest=OLDER)
        change("base", code_digest=OLD)  # of another kind: it has its own digest anyway
        assert main(["make", exhibit, *CONFIG, "--accept-code", OLD]) == 0
        assert main(["make", exhibit, *CONFIG]) == 1
    accept_in_local(OLD)
    assert main(["make", exhibit, *CONFIG]) == 0


def test_an_accepted_digest_is_in_no_digest_of_what_is_made(protected):
    before = {job.name: job.origin(protected).identity for job in all_jobs(protected)}
    accept_in_local(OLD)
    accepting = load(CONFIG[1:])
    assert accepting.scale.accept_code == [OLD]
    assert {job.name: job.origin(accepting).identity for job in all_jobs(accepting)} == before
    assert {job.name: job.origin(accepting).settings for job in all_jobs(accepting)} == {
        job.name: job.origin(protected).settings for job in all_jobs(protected)
    }


def went_on(folder: Path, code: str, step: int, *accepted: str) -> list[tuple[str, int]]:
    """Go on with a folder after a step, as a job of some code does: what was done by other code."""
    with open_work_folder(folder, {**MADE, "code": code}, True, accepted) as work:
        earlier = work.goes_on_after(step)
    found = read_json(folder / MADE_BY)
    assert found["code"] == code
    assert found.get("earlier_code", []) == earlier
    assert ("earlier_code" in found) == bool(earlier)
    return [(version["code_digest"], version["last_step"]) for version in earlier]


def test_every_change_of_code_is_remembered_with_its_step(tmp_path):
    folder = tmp_path / "job"
    assert went_on(folder, OLD, 0) == []
    assert went_on(folder, OLDER, 3, OLD) == [(OLD, 3)]
    assert went_on(folder, OLDER, 4) == [(OLD, 3)], "accepted once, and not asked for again"
    with pytest.raises(OtherRunError, match=OLDER):
        went_on(folder, CODE, 4, OLD)
    assert went_on(folder, CODE, 5, OLD, OLDER) == [(OLD, 3), (OLDER, 5)]
    assert went_on(folder, CODE, 2) == [(OLD, 2)], "the last states were lost"
    assert went_on(folder, OLDER, 2, CODE) == [(OLD, 2)], "what saved no step did nothing"
    assert went_on(folder, OLD, 2, OLDER) == [], "all of it is the present code's"
    assert went_on(folder, OLDER, 4, OLD) == [(OLD, 4)]
    assert went_on(folder, OLDER, 0) == [], "and so is what starts anew"


def test_a_job_that_was_killed_before_it_went_on_leaves_the_folder_to_its_code(tmp_path):
    folder = tmp_path / "job"
    went_on(folder, OLD, 0)
    with open_work_folder(folder, MADE, True, [OLD]):
        pass
    assert read_json(folder / MADE_BY)["code"] == OLD
    assert went_on(folder, CODE, 3, OLD) == [(OLD, 3)]


def test_accepted_code_of_another_configuration_is_refused(tmp_path):
    went_on(tmp_path / "job", OLD, 0)
    other = {**MADE, "config": {"steps": 7}}
    with (
        pytest.raises(OtherRunError, match=r"code, config.steps differ\), .* go on with it, or delete the folder"),
        open_work_folder(tmp_path / "job", other, True, [OLD]),
    ):
        pass


def test_a_base_model_is_resumed_likewise(base_folder, tmp_path, monkeypatch):
    scale, folder = base_folder
    with monkeypatch.context() as patch, killed_after_save(1):
        patch.setattr(supervised, "code_digest", lambda _: OLD)
        train_base(scale, tmp_path, checkpoint_every=8)
    scale = scale.model_copy(update={"protected": True})
    with pytest.raises(OtherRunError, match=OLD):
        train_base(scale, tmp_path, checkpoint_every=8)
    [earlier] = train_base(scale.model_copy(update={"accept_code": [OLD]}), tmp_path, checkpoint_every=8)
    assert (earlier["code_digest"], earlier["last_step"]) == (OLD, 8)
    assert files_of(tmp_path / "base") == files_of(folder / "base")


def test_verl_goes_on_after_the_last_complete_checkpoint(tmp_path):
    tracker = tmp_path / TRACKER
    assert verl_train.last_checkpoint(tmp_path) == 0
    tracker.parent.mkdir()
    tracker.write_text("40")
    assert verl_train.last_checkpoint(tmp_path) == 0, "as verl does where the checkpoint is gone"
    (tracker.parent / "global_step_40").mkdir()
    assert verl_train.last_checkpoint(tmp_path) == 40
    tracker.write_text("4\x000")
    with pytest.raises(verl_train.VerlError, match=f"^{tracker}: is damaged, it holds no step; write the number"):
        verl_train.last_checkpoint(tmp_path)


def test_a_run_on_verl_is_resumed_likewise(tmp_path, monkeypatch):
    """All of it but verl itself, which goes on after the checkpoint that its tracker names."""
    one = resolve(shipped("verl_smoke"), "real", 0)
    steps = one.training.steps
    work, stops = tmp_path / "work", [steps - 1, steps]

    def run_verl(_, __, folder):
        step = stops.pop(0)
        (folder / f"checkpoints/global_step_{step}").mkdir(parents=True)
        (folder / TRACKER).write_text(str(step))
        Journal(folder).rewind(0)
        if step < steps:
            raise verl_train.VerlError

    for check in ("check_version", "check_platform", "check_base"):
        monkeypatch.setattr(verl_train, check, lambda *_: None)
    monkeypatch.setattr(run_files, "content_digest", lambda _: "base")
    monkeypatch.setattr(verl_train, "merge_checkpoint", lambda _, target: target.mkdir())
    monkeypatch.setattr(verl_train, "run_verl", run_verl)
    places = tmp_path / "base", tmp_path / "run", work
    with monkeypatch.context() as patch:
        patch.setattr(run_files, "code_digest", lambda _: OLD)
        with pytest.raises(verl_train.VerlError):
            verl_train.train(one, *places, protected=True)
    with pytest.raises(OtherRunError, match=OLD):
        verl_train.train(one, *places, protected=True)
    commit = read_json(work / MADE_BY)["commit"]
    facts = verl_train.train(one, *places, protected=True, accepted=[OLD])
    earlier = {"code_digest": OLD, "commit": commit, "last_step": steps - 1}
    assert facts == {"earlier_code": [earlier], "kernels": []}
    assert (tmp_path / "run/model").is_dir()


def test_chunks_of_accepted_code_are_used_and_every_benchmark_names_its_code(sampler, tmp_path):
    run(sampler, tmp_path / "whole")
    whole, output = files(tmp_path / "whole"), tmp_path / "out"
    with pytest.raises(StopError):
        run(Counting(sampler, stop_at=1), output, code=OLDER)
    with pytest.raises(StopError):
        run(Counting(sampler, stop_at=1), output, code=OLD, protected=True, accepted=[OLDER])
    left = sorted((output / ".partial").rglob("*.chunk"))
    assert len(left) == 2
    for accepted, missing in ([], f"{OLD} and {OLDER}"), ([OLDER], OLD):
        with pytest.raises(
            OtherRunError, match=rf"holds chunks of this evaluation by other code .* accept {missing} by"
        ):
            run(Counting(sampler, stop_at=0), output, protected=True, accepted=accepted)
    assert sorted((output / ".partial").rglob("*.chunk")) == left, "nothing is deleted"

    again = Counting(sampler)
    run(again, output, protected=True, accepted=[OLD, OLDER])
    assert again.chunks == [["aime-4"]]
    assert files(output)["aime.parquet"] == whole["aime.parquet"]
    about, expected = (json.loads(content["evaluation.json"]) for content in (files(output), whole))
    assert expected["benchmarks"]["aime"]["code"] == [CODE]
    assert about["benchmarks"]["aime"].pop("code") == [OLDER, OLD, CODE]
    del expected["benchmarks"]["aime"]["code"]
    assert about == expected
    assert not (output / ".partial").exists()


def test_chunks_of_other_code_are_deleted_where_nothing_is_protected(sampler, tmp_path):
    with pytest.raises(StopError):
        run(Counting(sampler, stop_at=2), tmp_path, code=OLD)
    again = Counting(sampler)
    run(again, tmp_path)
    assert len(again.chunks) == 3


def test_a_damaged_chunk_of_accepted_code_is_done_again(tmp_path):
    kept = Chunks(tmp_path, "key", OLD)
    kept.save("a-0", TABLE)
    (path,) = kept.folder.iterdir()
    path.write_bytes(path.read_bytes()[:50])
    chunks = Chunks(tmp_path, "key", CODE, True, [OLD])
    assert chunks.load("a-0") is None
    chunks.save("a-0", TABLE)
    assert set(chunks.load("a-0")["code"]) == {CODE}
    chunks.remove(["a"])
    assert not tmp_path.exists()


def test_a_finished_benchmark_of_other_code_stays_if_that_is_accepted(sampler, tmp_path):
    run(sampler, tmp_path, code=OLD)
    before = files(tmp_path)
    with pytest.raises(ConfigError) as refused:
        run(sampler, tmp_path)
    assert str(refused.value).endswith(
        f"that differs in code; choose another --output, {REMEDY.format(OLD)}, or delete this one"
    )
    assert files(tmp_path) == before
    again = Counting(sampler)
    run(again, tmp_path, accepted=[OLD])
    run(again, tmp_path, benchmark="amc", accepted=[OLD])
    assert len(again.chunks) == 3
    assert files(tmp_path)["aime.parquet"] == before["aime.parquet"]
    about = json.loads((tmp_path / "evaluation.json").read_text())["benchmarks"]
    assert {name: counts["code"] for name, counts in about.items()} == {"aime": [OLD], "amc": [CODE]}


def test_an_evaluation_records_the_code_that_was_accepted(protected, capsys):
    folder = RESULTS / "evaluations/real/seed0"
    again = ["evaluate", *CONFIG, "--model", str(RESULTS / REAL / "model"), "--output", str(folder), "--processes", "1"]
    about = read_json(folder / "evaluation.json")
    now = read_json(folder / RECORD)["code_digest"]
    assert [counts["code"] for counts in about["benchmarks"].values()] == [[now], [now]]
    about["benchmarks"]["mix4"]["code"] = [OLD]
    write_json(folder / "evaluation.json", about)
    assert main(again) == 1
    assert REMEDY.format(OLD) in capsys.readouterr().err
    assert main([*again, "--accept-code", OLD]) == 0
    record = read_json(folder / RECORD)
    assert (record["code_digest"], record["earlier_code"]) == (now, [{"code_digest": OLD, "benchmarks": ["mix4"]}])
    assert main(["make", "benchmarks", *CONFIG]) == 0
