# The base model, and one RL run per method and seed.
# A program takes its shell's place: a scheduler's SIGTERM comes to every process of a job, and a shell that waits for the
# program ends at once and takes the job with it, before the program has saved its step (bash before 5.1 waits).
# `--log` keeps what earlier attempts at a job wrote: Snakemake deletes a log before it starts the job again.

from real.records.jobs import base_of_run

# prepared training and validation set, where problems aren't generated
TRAINED_ON = (
    prepared(scale.published_data.train, scale.published_data.validation)
    if scale.published_data
    else []
)

if trains:

    rule base:
        output:
            model=directory("<results>/base/model"),
            # a published checkpoint is only linked
            metrics="<results>/base/metrics.jsonl" if TRAINS_BASE else [],
            provenance="<results>/base/provenance.json",
        log:
            "<results>/logs/base.log",
        benchmark:
            "<results>/benchmarks/base.jsonl"
        conda:
            "../envs/real.yaml"
        threads: 1
        resources:
            mem_mb=1500,
            attempt=this_attempt,
        params:
            config=CONFIG_FILES,
            made_from=made_from(base_origin(experiment)),
            seed="",
            again=again,
        message:
            "making the base model (log: {log})"
        shell:
            "exec python -m real base --config {params.config:q} {params.seed} {params.again} --log {log}"

    rule train:
        input:
            base=model_for(
                "train",
                lambda wildcards: f"{RESULTS}/{base_of_run(scale, int(wildcards.seed))}/model",
            ),
            problems=problems_for("train", TRAINED_ON),
        output:
            model=directory("<results>/runs/{method}/seed{seed}/model"),
            metrics="<results>/runs/{method}/seed{seed}/metrics.jsonl",
            timings="<results>/runs/{method}/seed{seed}/timings.jsonl",
            gradient_samples="<results>/runs/{method}/seed{seed}/gradient_samples.parquet",
            config="<results>/runs/{method}/seed{seed}/config.yaml",
            provenance="<results>/runs/{method}/seed{seed}/provenance.json",
        log:
            "<results>/logs/train/{method}/seed{seed}.log",
        benchmark:
            "<results>/benchmarks/train/{method}/seed{seed}.jsonl"
        conda:
            ENGINE_ENV
        threads: NEEDS.threads
        resources:
            gpu=NEEDS.gpus,
            mem_mb=NEEDS.memory_mb,
            runtime=NEEDS.minutes,
            attempt=this_attempt,
        params:
            config=CONFIG_FILES,
            # of this one run, so that an edit of the configuration retrains only the runs it changes
            made_from=lambda wildcards: made_from(
                run_origin(experiment, wildcards.method, int(wildcards.seed))
            ),
            gpus=granted,
        message:
            "training {wildcards.method}, seed {wildcards.seed} (log: {log})"
        shell:
            "exec python -m real train --config {params.config:q} --method {wildcards.method} --seed {wildcards.seed} "
            "{params.gpus} --log {log}"


if TRAINS_BASE:

    use rule base as further_base with:
        output:
            model=directory("<results>/base-seed{base_seed}/model"),
            metrics="<results>/base-seed{base_seed}/metrics.jsonl",
            provenance="<results>/base-seed{base_seed}/provenance.json",
        log:
            "<results>/logs/base-seed{base_seed}.log",
        benchmark:
            "<results>/benchmarks/base-seed{base_seed}.jsonl"
        params:
            config=CONFIG_FILES,
            made_from=lambda wildcards: made_from(
                base_origin(experiment, int(wildcards.base_seed))
            ),
            seed="--seed {base_seed}",
        message:
            "making the base model of seed {wildcards.base_seed} (log: {log})"
