"""benchmarks/gpu_check.py, tiny and on a CPU; its part `engine` needs verl and is tested in tests/verl."""

import json
import subprocess
import sys

import pytest
import torch

from benchmarks.gpu_check import rows_of
from benchmarks.gpu_kernels import attention, chunked_head, loop_head, rounding_divergence
from real.system.code import ROOT


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_parts_run_one_after_the_other_and_their_rows_are_in_the_report(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu_check", "kernels", "precision", "laptop", "--tiny"]
    subprocess.run([*command, "--out", str(tmp_path)], check=True, capture_output=True)
    parts = json.loads((tmp_path / "gpu_check.json").read_text())["parts"]
    assert {row["side"] for row in parts["kernels"]["rows"]} >= {"loop", "chunks", "mask", "per sequence", "T = 0.6"}
    assert max(float(row["weights, float32"]) for row in parts["precision"]["rows"]) < 1e-6
    assert [row["run"] for row in parts["laptop"]["rows"]] == ["base", "real", "grpo"]


def test_a_part_that_takes_too_long_is_ended_and_says_so(tmp_path):
    (row,) = rows_of("laptop", True, {}, 0.01, tmp_path)
    assert "limit" in row["failed"]


def test_a_part_that_fails_says_where_its_log_is(tmp_path):
    (row,) = rows_of("precision", True, {"no_such_argument": 1}, 60, tmp_path)
    assert "no_such_argument" in (tmp_path / "precision-1.log").read_text()
    assert "precision-1.log" in row["failed"]


def test_heads_agree_up_to_the_rounding_of_bf16_logits():
    torch.manual_seed(0)
    hidden, weight = torch.randn(16, 32), torch.randn(50, 32) / 8
    label = torch.randint(50, (16,))
    exact = ((hidden.double() @ weight.double().T) / 0.6).log_softmax(-1).gather(-1, label[:, None])[:, 0]
    for head in (loop_head, chunked_head):
        assert torch.allclose(head(hidden, weight, label).double(), exact, atol=1e-5)


def test_a_dense_mask_attends_as_a_call_per_sequence():
    rows = {row["side"]: row["difference"] for row in attention("cpu", [5, 9, 2], heads=2, width=8)}
    assert rows["mask"] < 1e-6


def test_rounding_a_quotient_that_bf16_holds_moves_nothing():
    logits = torch.randn(8, 100).bfloat16()
    assert rounding_divergence(logits, 1.0) == rounding_divergence(logits, 0.5) == 0
    assert rounding_divergence(10 * logits, 0.6) > 1e-6
