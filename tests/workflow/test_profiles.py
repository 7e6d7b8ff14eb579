"""The profiles stand in for the default one completely, and the multi-node script refuses what it can't do."""

import os
import re
import subprocess

import pytest
import yaml

from tests.support.checkout import copy_checkout, counts, dry_runs, snakemake
from tests.support.paths import ROOT

PROFILES = ROOT / "workflow" / "profiles"
MULTI_NODE = PROFILES / "slurm" / "multi_node.sbatch"


def profile(name: str) -> dict:
    return yaml.safe_load((PROFILES / name / "config.v9+.yaml").read_text())


@pytest.mark.parametrize("name", ["gpu", "slurm"])
def test_a_profile_named_instead_of_the_default_one_loses_nothing_of_it(name):
    default, own = profile("default"), profile(name)
    differs = {"gpu": set(), "slurm": {"cores", "default-resources"}}[name]
    assert {key: own.get(key) for key in default if key not in differs} == {
        key: value for key, value in default.items() if key not in differs
    }
    assert set(default["default-resources"]) <= set(own["default-resources"])


def test_slurm_jobs_are_one_process_on_one_node_with_a_time_limit():
    default = profile("slurm")["default-resources"]
    assert (default["tasks"], default["nodes"], default["gpu"]) == (0, 1, 0)
    assert default["runtime"] > 0


def test_slurm_alone_submits_again_and_only_what_saves_as_it_goes():
    assert {name: profile(name).get("retries") for name in ("default", "gpu", "slurm")} == {
        "default": None,
        "gpu": None,
        "slurm": 4,
    }
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"(?m)^ *(?=rule\b.*:$)", file.read_text())[1:]:
            # a rule that passes --attempt is one whose job refuses a second attempt in vain
            known = "attempt=this_attempt" in rule, "retries: 0" in rule, "localrule: True" in rule
            assert known.count(True) == 1, f"{file}: {rule.splitlines()[0]}"


@pytest.mark.slow
def test_the_gpu_profile_plans_the_same_dag(tmp_path):
    checkout = copy_checkout(tmp_path / "project")
    default, gpu = dry_runs(checkout, [], ["--workflow-profile", "workflow/profiles/gpu"])
    assert counts(gpu) == counts(default) != {}


def test_every_rule_has_a_message_of_its_own():
    """Without one Snakemake lists the job's files, of the default target several hundred."""
    for file in (ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")):
        for rule in re.split(r"(?m)^ *(?=(?:use )?rule \w+.*:$)", file.read_text())[1:]:
            assert re.search(r"(?m)^ +message:\n +\"\w", rule), f"{file}: {rule.splitlines()[0]}"


@pytest.mark.slow
def test_a_job_is_announced_by_one_message_without_its_reason_or_command(tmp_path):
    checkout = copy_checkout(tmp_path / "project")
    done = snakemake(checkout, "claims", "--cores", "1", "--configfile", "paper_configs/published.yaml")
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^Job \d+: (.*)$", done.stdout, re.M) == ["judging the paper's claims by this scale's data"]
    assert "1 of 1 steps (100%) done" in done.stdout
    assert not re.search("Reason:|Shell command:|python -m real claims|User:|\x1b", done.stdout)
    asked = snakemake(checkout, "claims", "--dry-run", "--quiet", "host", "--forcerun", "claims")
    assert "Reason: Forced execution" in asked.stdout


def test_the_multi_node_script_without_a_command_says_so():
    done = subprocess.run(["bash", str(MULTI_NODE)], text=True, capture_output=True)
    assert done.returncode == 2
    assert done.stderr == (
        "multi_node.sbatch: no command given; write it after the script's name, as its first lines show\n"
    )


def test_the_multi_node_script_has_its_nodes_alone_and_forces_nothing():
    text = MULTI_NODE.read_text()
    directives = re.findall(r"^#SBATCH (.*)$", text, re.M)
    assert {"--exclusive", "--ntasks-per-node=1"} <= set(directives)
    first_command = text.index("set -euo pipefail")
    assert text.rindex("#SBATCH") < first_command, "sbatch reads no directive after the first command"
    assert "--force" not in text


def test_the_multi_node_script_hands_ray_the_command_and_a_token(tmp_path):
    """The script's own steps, with SLURM's two commands replaced by recorders."""
    # more names than a pipe holds: a reader that left after the first would end scontrol, and the job, by SIGPIPE
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho first\nseq --format=node%g 20000\n")
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$RAY_AUTH_MODE ${#RAY_AUTH_TOKEN} $*" >> "$RECORD"\n')
    for name in ("scontrol", "srun"):
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "RECORD": str(tmp_path / "record"),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_NODELIST": "nodes[1-2]",
    }
    subprocess.run(["bash", str(MULTI_NODE), "echo", "two words"], env=environment, check=True)
    launch, clean = (tmp_path / "record").read_text().splitlines()
    assert launch == (
        "token 64 --cpu-bind=none --kill-on-bad-exit=1 ray symmetric-run --address first:6379 --min-nodes 2 "
        "--dashboard-host=127.0.0.1 --disable-usage-stats -- echo two words"
    )
    assert clean == "token 64 rm -rf -- /tmp/real-7"
