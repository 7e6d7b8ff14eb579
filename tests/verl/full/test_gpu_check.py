"""The part of benchmarks/gpu_check.py that needs verl, tiny and on a CPU."""

from benchmarks.gpu_check import rows_of


def test_both_heads_and_kernels_of_attention_give_one_gradient(tmp_path):
    for head in ("torch", "logits"):
        rows = rows_of("engine", True, {"head": head}, 300, tmp_path)
        assert [row["rows per micro-batch"] for row in rows] == [4, 4, 32, 32], (
            tmp_path / f"engine-{head}.log"
        ).read_text()
        assert max(float(row["error"]) for row in rows) < 1e-6
