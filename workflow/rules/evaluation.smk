# Sampling and grading of the base model and of every run's last checkpoint.


if trains:

    rule evaluate_base:
        input:
            model=model_for("evaluate_base", f"{RESULTS}/base/model"),
            problems=problems_for("evaluate_base", prepared(*DATASETS)),
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
            attempt=this_attempt,
        params:
            config=CONFIG_FILES,
            folder=subpath(output.about, parent=True),
            # undeclared, so that Snakemake doesn't delete the finished chunks of a failed job
            work=f"{RESULTS}/work/evaluations/base",
            made_from=made_from(evaluation_origin(experiment)),
            sampler=sampler,
        message:
            "evaluating the base model on {BENCHMARKS} (log: {log})"
        shell:
            "exec python -m real evaluate --config {params.config:q} --model {input.model} --output {params.folder} "
            "--work {params.work} {params.sampler} --log {log}"

    use rule evaluate_base as evaluate with:
        input:
            model=model_for("evaluate", f"{RESULTS}/runs/{{method}}/seed{{seed}}/model"),
            problems=problems_for("evaluate", prepared(*DATASETS)),
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
            work=f"{RESULTS}/work/evaluations/{{method}}/seed{{seed}}",
        message:
            "evaluating {wildcards.method}, seed {wildcards.seed}, on {BENCHMARKS} (log: {log})"
