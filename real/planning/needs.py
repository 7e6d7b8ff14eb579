"""What a training or evaluation job of a scale asks of a machine; the workflow's resources."""

from dataclasses import dataclass

from real.config.schema import Scale

MB_PER_GPU = 64_000
CORES_PER_GPU = 8


@dataclass(frozen=True)
class Needs:
    """One job's needs.

    Attributes:
        gpus: over all nodes; 0 on a CPU.
        threads: CPU cores.
        memory_mb: of the host, in megabytes.
        minutes: of wall time, for queues; a job that is cut off goes on from its last state when it runs again.
    """

    gpus: int
    threads: int
    memory_mb: int
    minutes: int


def needs(scale: Scale, one_node: bool = False) -> Needs:
    """Needs of one run or, on one node, of one evaluation of a scale.

    The figures for GPUs are asked for, not measured: per GPU, cores for sampler, trainer and graders, and host memory
    for offloaded weights, optimizer state and vLLM's copy.
    """
    cluster = scale.verl_cluster
    if cluster is None:
        return Needs(gpus=scale.gpus, threads=1, memory_mb=1_500, minutes=60)
    if cluster.device == "cpu":
        return Needs(gpus=0, threads=2, memory_mb=6_000, minutes=60)
    gpus = cluster.gpus_per_node if one_node else cluster.gpus
    return Needs(gpus, threads=CORES_PER_GPU * gpus, memory_mb=MB_PER_GPU * gpus, minutes=2 * 24 * 60)
