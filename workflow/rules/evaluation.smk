# Sampling and grading of the base model and of every run's last checkpoint.


if trains:

    rule evaluate_base:
        input:
            model="<results>/base/model",
            problems=expand("datasets/prepared/{dataset}.parquet", dataset=DATASETS),
        output:
            expand(
                "<results>/evaluations/base/{benchmark}.parquet", benchmark=BENCHMARKS
            ),
            about="<results>/evaluations/base/evaluation.json",
        log:
            "<results>/logs/evaluate/base.log",
        benchmark:
            "<results>/benchmarks/evaluate/base.jsonl"
        conda:
            "../envs/real.yaml"
        threads: 1
        resources:
            mem_mb=1500,
        params:
            config=CONFIG_OPTION,
            folder=subpath(output.about, parent=True),
            # undeclared, so that Snakemake doesn't delete the finished chunks of a failed job
            work=f"{WORK}/evaluations/base",
            settings=digest(scale.task, scale.evaluation, scale.device),
            code=code_digest("real.evaluate", "real.torch_engine.transformers_sampler"),
        message:
            "evaluating the base model on {BENCHMARKS}"
        shell:
            "python -m real evaluate {params.config} --model {input.model} --output {params.folder} "
            "--work {params.work} --processes {threads} > {log} 2>&1"

    use rule evaluate_base as evaluate with:
        input:
            model="<results>/runs/{method}/seed{seed}/model",
            problems=rules.evaluate_base.input.problems,
        output:
            expand(
                "<results>/evaluations/{{method}}/seed{{seed}}/{benchmark}.parquet",
                benchmark=BENCHMARKS,
            ),
            about="<results>/evaluations/{method}/seed{seed}/evaluation.json",
        log:
            "<results>/logs/evaluate/{method}/seed{seed}.log",
        benchmark:
            "<results>/benchmarks/evaluate/{method}/seed{seed}.jsonl"
        params:
            work=f"{WORK}/evaluations/{{method}}/seed{{seed}}",
        message:
            "evaluating {wildcards.method}, seed {wildcards.seed}, on {BENCHMARKS}"
