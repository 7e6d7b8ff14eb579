# Tables, each as numbers (CSV) and for reading.


rule benchmark_tables:
    input:
        evaluations=evaluations,
        reported=reported("benchmarks"),
    output:
        multiext("<results>/tables/benchmarks", ".csv", ".html", ".md", ".tex"),
    log:
        "<results>/logs/benchmark_tables.log",
    benchmark:
        "<results>/benchmarks/benchmark_tables.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        settings=digest(LABELS, scale.methods, SEEDS, scale.evidence),
        code=code_digest("real.tables"),
    message:
        "tabulating the benchmarks"
    shell:
        "python -m real tables {params.config} > {log} 2>&1"


rule training_curves:
    input:
        metrics=runs("<results>/runs/{method}/seed{seed}/metrics.jsonl"),
        reported=reported("training_dynamics"),
    output:
        "<results>/tables/training_curves.csv",
    log:
        "<results>/logs/training_curves.log",
    benchmark:
        "<results>/benchmarks/training_curves.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        settings=digest(LABELS, scale.methods, SEEDS),
        code=code_digest("real.tables"),
    message:
        "collecting the training curves"
    shell:
        "python -m real curves {params.config} > {log} 2>&1"


rule learning_rate_table:
    input:
        sweep_runs,
    output:
        multiext("<results>/tables/learning_rate_sweep", ".csv", ".html", ".md", ".tex"),
    log:
        "<results>/logs/learning_rate_table.log",
    benchmark:
        "<results>/benchmarks/learning_rate_table.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        settings=digest(LABELS, scale.methods, SEEDS, scale.evidence),
        code=code_digest("real.tables"),
    message:
        "tabulating the learning-rate sweep"
    shell:
        "python -m real sweep {params.config} > {log} 2>&1"
