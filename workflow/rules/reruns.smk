# When a job of training or evaluation runs again. At most scales as with any Snakemake: when an input is newer, or when
# `made_from`, the digests of its settings and of the code that can change its numbers, is another than last time.
#
# At a protected scale (gsm8k, single_gpu, 1.5b, 7b) a finished job runs again in three cases alone: its rule is forced
# (--forcerun), a rule that makes its model is forced, or a file of its own is deleted that something is made from.

FINISHED = {  # by rule: what its job writes last
    "train": f"{RESULTS}/runs/{{method}}/seed{{seed}}/provenance.json",
    "evaluate_base": f"{RESULTS}/evaluations/base/provenance.json",
    "evaluate": f"{RESULTS}/evaluations/{{method}}/seed{{seed}}/provenance.json",
}
MODEL_MAKERS = {
    "train": ("base", "further_base"),
    "evaluate_base": ("base",),
    "evaluate": ("base", "train"),
}


def made_from(origin):
    """A param that reruns finished jobs when it changes; at protected scales a constant, so that it never does."""
    if scale.protected:
        return "protected scale: nothing is tracked"
    return origin.identity


def model_for(user, pattern):
    """Input function: the model that a rule's job starts from.

    Args:
        user: the rule; pattern: a path with wildcards, or a function of them.
    """

    def paths(wildcards):
        return [
            pattern(wildcards) if callable(pattern) else pattern.format(**wildcards)
        ]

    # of a deleted run the evaluation is repeated; a deleted base model repeats no run
    return _once(user, paths, MODEL_MAKERS[user], may_be_gone=user != "evaluate")


def problems_for(user, files):
    """Input function: the prepared datasets that a rule's job reads."""
    return _once(user, lambda wildcards: files, makers=(), may_be_gone=True)


def _once(user, paths_of, makers, may_be_gone):
    """Input function that, at a protected scale, gives Snakemake no reason to repeat a finished job.

    Its inputs are ancient, and those that are gone are left out: were one of them made again for another job, Snakemake
    would repeat this one too.
    """

    def inputs(wildcards):
        paths = paths_of(wildcards)
        if not scale.protected:
            return paths
        forced = workflow.dag_settings.forcerun
        # a maker may be forced by its name, or by a file that it writes
        folders = {os.path.dirname(path) for path in paths} if makers else set()
        if not forced.isdisjoint(makers) or folders & set(map(os.path.dirname, forced)):
            return paths
        finished = os.path.exists(FINISHED[user].format(**wildcards))
        if may_be_gone and finished and user not in forced:
            paths = [path for path in paths if os.path.exists(path)]
        return [ancient(path) for path in paths]

    return inputs


def all_targets(wildcards):
    """Every declared file, so that a deleted one is made again although what is made from it is there.

    At protected scales a run or an evaluation is repeated for what is read from it alone: the loss of a file of timings
    is reported by `verify`, not answered by weeks of training.
    """
    read_from = ("metrics.jsonl", *(f"{name}.parquet" for name in BENCHMARKS))
    targets = []
    for job in declared:
        dear = scale.protected and job.kind in ("train", "evaluate")
        for output in job.outputs:
            asked = not job.optional and (not dear or output.endswith(read_from))
            if asked or os.path.exists(f"{RESULTS}/{output}"):
                targets.append(f"{RESULTS}/{output}")
    return targets
