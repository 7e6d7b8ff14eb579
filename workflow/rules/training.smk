# The base model, and one RL run per method and seed. At protected scales a finished job runs again only if it is forced
# (--forcerun) or its files are deleted: common.smk, tracked and made_from.
# Snakemake deletes a job's log before it starts the job. A second name of the file, {log}.attempts, keeps what earlier
# attempts wrote; where the file system has no hard links, the log holds the last attempt alone.


if isinstance(scale, ArithmeticScale):

    rule base:
        output:
            model=directory("<results>/base/model"),
            metrics="<results>/base/metrics.jsonl",
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
        params:
            config=CONFIG_OPTION,
            identity=tracked(base_identity(experiment)),
            options="",
        message:
            "training the base model (log: {log})"
        shell:
            ": >> {log}.attempts; ln -f {log}.attempts {log} || true; "
            "python -m real base {params.config} {params.options} >> {log} 2>&1"

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
            config=CONFIG_OPTION,
            identity=lambda wildcards: tracked(
                base_identity(experiment, int(wildcards.base_seed))
            ),
            options="--seed {base_seed}",
        message:
            "training the base model of seed {wildcards.base_seed} (log: {log})"

elif trains:

    rule base:
        output:
            model=directory("<results>/base/model"),
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
        params:
            config=CONFIG_OPTION,
            identity=tracked(base_identity(experiment)),
        message:
            "linking {scale.model.name}, the base model"
        shell:
            ": >> {log}.attempts; ln -f {log}.attempts {log} || true; "
            "python -m real base {params.config} >> {log} 2>&1"


if trains:

    rule train:
        input:
            base=base_model_of_run,
            problems=made_from(training_problems(), "train", done=RUN_DONE),
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
        params:
            config=CONFIG_OPTION,
            identity=identity_of_run,
            options=trainer_options,
        message:
            "training {wildcards.method}, seed {wildcards.seed} (log: {log})"
        shell:
            ": >> {log}.attempts; ln -f {log}.attempts {log} || true; "
            "python -m real train {params.config} --method {wildcards.method} --seed {wildcards.seed} {params.options} "
            ">> {log} 2>&1"
