# Tables, each as numbers (CSV) and for reading.


rule benchmark_tables:
    input:
        evaluations=evaluations,
        reported=reported("benchmarks"),
    output:
        multiext("<results>/tables/benchmarks", ".csv", ".md", ".tex"),
        in_report("<results>/tables/benchmarks.html", "Tables", "table"),
    log:
        "<results>/logs/benchmark_tables.log",
    benchmark:
        "<results>/benchmarks/benchmark_tables.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        identity=identity_of_drawn("benchmark_tables"),
    message:
        "tabulating the benchmarks"
    shell:
        "python -m real tables {params.config} > {log} 2>&1"


if trains:

    rule difference_tables:
        input:
            evaluations,
        output:
            multiext("<results>/tables/differences", ".csv", ".md", ".tex"),
            in_report("<results>/tables/differences.html", "Tables", "table"),
        log:
            "<results>/logs/difference_tables.log",
        benchmark:
            "<results>/benchmarks/difference_tables.jsonl"
        conda:
            "../envs/real.yaml"
        threads: 1
        params:
            config=CONFIG_OPTION,
            identity=identity_of_drawn("difference_tables"),
        message:
            "tabulating paired differences"
        shell:
            "python -m real differences {params.config} > {log} 2>&1"

    rule pass_at_k_tables:
        input:
            evaluations,
        output:
            multiext("<results>/tables/pass_at_k", ".csv", ".md", ".tex"),
            in_report("<results>/tables/pass_at_k.html", "Tables", "table"),
        log:
            "<results>/logs/pass_at_k_tables.log",
        benchmark:
            "<results>/benchmarks/pass_at_k_tables.jsonl"
        conda:
            "../envs/real.yaml"
        threads: 1
        params:
            config=CONFIG_OPTION,
            identity=identity_of_drawn("pass_at_k_tables"),
        message:
            "tabulating pass@k"
        shell:
            "python -m real pass_at_k {params.config} > {log} 2>&1"


rule training_curves:
    input:
        metrics=runs("<results>/runs/{method}/seed{seed}/metrics.jsonl"),
        reported=reported("training_dynamics"),
    output:
        in_report("<results>/tables/training_curves.csv", "Tables", "table"),
    log:
        "<results>/logs/training_curves.log",
    benchmark:
        "<results>/benchmarks/training_curves.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        identity=identity_of_drawn("training_curves"),
    message:
        "collecting the training curves"
    shell:
        "python -m real curves {params.config} > {log} 2>&1"


rule learning_rate_table:
    input:
        sweep_runs,
    output:
        multiext("<results>/tables/learning_rate_sweep", ".csv", ".md", ".tex"),
        in_report("<results>/tables/learning_rate_sweep.html", "Tables", "table"),
    log:
        "<results>/logs/learning_rate_table.log",
    benchmark:
        "<results>/benchmarks/learning_rate_table.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        identity=identity_of_drawn("learning_rate_table"),
    message:
        "tabulating the learning-rate sweep"
    shell:
        "python -m real sweep {params.config} > {log} 2>&1"


rule mechanism_table:
    input:
        metrics=mechanism_runs("<results>/runs/{method}/seed{seed}/metrics.jsonl"),
        evaluations=evaluations,
    output:
        multiext("<results>/tables/mechanism", ".csv", ".md", ".tex"),
        in_report("<results>/tables/mechanism.html", "Tables", "table"),
        runs="<results>/tables/mechanism_runs.csv",
    log:
        "<results>/logs/mechanism_table.log",
    benchmark:
        "<results>/benchmarks/mechanism_table.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        identity=identity_of_drawn("mechanism_table"),
    message:
        "tabulating what each part of the gradient weights does"
    shell:
        "python -m real mechanism {params.config} > {log} 2>&1"


rule claims:
    input:
        evaluations=evaluations,
        metrics=runs("<results>/runs/{method}/seed{seed}/metrics.jsonl"),
        reported=reported("benchmarks"),
    output:
        json="<results>/claims.json",
        html=in_report("<results>/claims.html", "Claims", "table"),
    log:
        "<results>/logs/claims.log",
    benchmark:
        "<results>/benchmarks/claims.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        identity=identity_of_drawn("claims"),
    message:
        "judging the paper's claims by this scale's data"
    shell:
        "python -m real claims {params.config} > {log} 2>&1"
