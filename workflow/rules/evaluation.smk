# Sampling and grading of the base model and of every run's last checkpoint.
# {log}.attempts: see training.smk.


if trains:

    rule evaluate_base:
        input:
            model=made_from(
                [BASE_MODEL], "evaluate_base", done=BASE_EVALUATED, makers=["base"]
            ),
            problems=made_from(
                prepared(*DATASETS), "evaluate_base", done=BASE_EVALUATED
            ),
        output:
            expand(
                "<results>/evaluations/base/{benchmark}.parquet", benchmark=BENCHMARKS
            ),
            about="<results>/evaluations/base/evaluation.json",
            provenance="<results>/evaluations/base/provenance.json",
        log:
            "<results>/logs/evaluate/base.log",
        benchmark:
            "<results>/benchmarks/evaluate/base.jsonl"
        conda:
            ENGINE_ENV
        threads: EVALUATION_NEEDS.threads
        resources:
            gpu=EVALUATION_NEEDS.gpus,
            mem_mb=EVALUATION_NEEDS.memory_mb,
            runtime=EVALUATION_NEEDS.minutes,
        params:
            config=CONFIG_OPTION,
            folder=subpath(output.about, parent=True),
            # undeclared, so that Snakemake doesn't delete the finished chunks of a failed job
            work=f"{WORK}/evaluations/base",
            identity=tracked(evaluation_identity(experiment)),
            options=sampler_options,
        message:
            "evaluating the base model on {BENCHMARKS} (log: {log})"
        shell:
            ": >> {log}.attempts; ln -f {log}.attempts {log} || true; "
            "python -m real evaluate {params.config} --model {input.model} --output {params.folder} "
            "--work {params.work} {params.options} >> {log} 2>&1"

    use rule evaluate_base as evaluate with:
        input:
            model=made_from(
                [RUN_MODEL],
                "evaluate",
                done=RUN_EVALUATED,
                makers=["base", "train"],
                optional=False,
            ),
            problems=made_from(prepared(*DATASETS), "evaluate", done=RUN_EVALUATED),
        output:
            expand(
                "<results>/evaluations/{{method}}/seed{{seed}}/{benchmark}.parquet",
                benchmark=BENCHMARKS,
            ),
            about="<results>/evaluations/{method}/seed{seed}/evaluation.json",
            provenance="<results>/evaluations/{method}/seed{seed}/provenance.json",
        log:
            "<results>/logs/evaluate/{method}/seed{seed}.log",
        benchmark:
            "<results>/benchmarks/evaluate/{method}/seed{seed}.jsonl"
        params:
            work=f"{WORK}/evaluations/{{method}}/seed{{seed}}",
        message:
            "evaluating {wildcards.method}, seed {wildcards.seed}, on {BENCHMARKS} (log: {log})"
