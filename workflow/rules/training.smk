# The base model, and one RL run per method and seed.


if trains:

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
            settings=digest(
                scale.task,
                scale.policy,
                scale.base,
                scale.training.max_response_tokens,
                scale.device,
            ),
            code=code_digest("real.torch_engine.supervised"),
        message:
            "training the base model"
        shell:
            "python -m real base {params.config} > {log} 2>&1"

    rule train:
        input:
            base="<results>/base/model",
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
            "../envs/real.yaml"
        threads: 1
        resources:
            mem_mb=1500,
        params:
            config=CONFIG_OPTION,
            settings=run_digest,
            code=code_digest("real.torch_engine.train"),
        message:
            "training {wildcards.method}, seed {wildcards.seed}"
        shell:
            "python -m real train {params.config} --method {wildcards.method} --seed {wildcards.seed} > {log} 2>&1"
