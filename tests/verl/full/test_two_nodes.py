"""Two Ray nodes, one rank on each: the gradient is the undivided objective's, and both nodes end.

Both nodes are on this machine; what a network between two machines adds (names, firewalls, NCCL) is not tested here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LAUNCH_SECONDS, end, left_behind

from real.engines.torch.policy import save_checkpoint
from tests.support.paths import ROOT


def test_ranks_on_two_ray_nodes_make_one_exact_gradient(policy, tmp_path):
    save_checkpoint(policy, tmp_path / "model")
    log, report = tmp_path / "log.txt", tmp_path / "report.json"
    probe = Path(__file__).with_name("two_nodes_probe.py")
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(probe), str(tmp_path / "model"), str(report)],
            cwd=ROOT,
            # Ray binds to loopback, as under real.engines.verl.train
            env={**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(LAUNCH_SECONDS)
    except subprocess.TimeoutExpired:
        end(process)
        pytest.fail(f"not done after {LAUNCH_SECONDS} s: {log.read_text()[-3000:]}")
    assert code == 0, log.read_text()[-3000:]
    assert left_behind(process) == []
    found = json.loads(report.read_text())
    assert len(set(found["nodes"])) == 2, "a node for each rank"
    assert found["errors"][0] == found["errors"][1], "both ranks gather the same gradient"
    assert len(found["errors"][0]) == 3
    assert max(found["errors"][0].values()) < 1e-5
