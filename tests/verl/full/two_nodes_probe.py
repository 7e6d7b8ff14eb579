"""Run by test_two_nodes.py: one update by two FSDP2 ranks, each on a Ray node of its own, both on this machine.

    python two_nodes_probe.py CHECKPOINT REPORT

REPORT: JSON with ``nodes``, the Ray node of each rank, and ``errors``, by rank: ``method/split`` -> relative error of
the gradient against the undivided objective's.
"""

import json
import sys
from pathlib import Path

import ray
from gradient_probe import SPLITS, rollouts, split_error
from ray.cluster_utils import Cluster
from verl.single_controller.base import Worker
from verl.single_controller.base.decorator import Dispatch, register
from verl.single_controller.ray import RayClassWithInitArgs, RayResourcePool, RayWorkerGroup

CASES = [("real", "row by row"), ("real", "by tokens"), ("grpo", "row by row")]
# what verl reserves for the actors that share a GPU
CPUS = 10


class Rank(Worker):
    """One rank of the update that test_exactness.py makes under torchrun, here placed by verl."""

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def errors(self, checkpoint: str) -> tuple[str, dict[str, float]]:
        batch = rollouts(checkpoint)
        found = {
            f"{method}/{split}": split_error(checkpoint, batch, method, **SPLITS[split]) for method, split in CASES
        }
        return ray.get_runtime_context().get_node_id(), found


def main(checkpoint: str, report: str) -> None:
    node = {"num_cpus": CPUS, "num_gpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    ray.init(address=cluster.address)
    try:
        pool = RayResourcePool(process_on_nodes=[1, 1], use_gpu=True)
        ranks = RayWorkerGroup(pool, RayClassWithInitArgs(ray.remote(Rank)))
        nodes, errors = zip(*ranks.errors(checkpoint), strict=True)
        Path(report).write_text(json.dumps({"nodes": nodes, "errors": errors}, indent=2), encoding="utf-8")
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
