# The paper's data: fetched, verified, converted to one schema; the same files at every scale, made on demand.


rule download_dataset:
    output:
        # kept when the job runs again: what is verified needs no network
        update("datasets/raw/{dataset}.{form}"),
    log:
        "results/datasets/logs/download_dataset/{dataset}.{form}.log",
    benchmark:
        "results/datasets/benchmarks/download_dataset/{dataset}.{form}.jsonl"
    retries: 0
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        # neither code nor mirror: the hash alone says which file it is
        identity=lambda wildcards: sources[wildcards.dataset].identity,
    message:
        "fetching {wildcards.dataset}"
    shell:
        "python -m real download {wildcards.dataset} --log {log}"


rule prepare_dataset:
    input:
        lambda wildcards: f"datasets/raw/{sources[wildcards.dataset].raw}",
    output:
        "datasets/prepared/{dataset}.parquet",
    log:
        "results/datasets/logs/prepare_dataset/{dataset}.log",
    benchmark:
        "results/datasets/benchmarks/prepare_dataset/{dataset}.jsonl"
    retries: 0
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        source=lambda wildcards: digest(sources[wildcards.dataset].facts()),
        corrections=lambda wildcards: corrections_digest(corrections, wildcards.dataset),
        code=code_digest("real.tasks.datasets", wings=DATA),
    message:
        "converting {wildcards.dataset} to the schema of problems"
    shell:
        "python -m real prepare {wildcards.dataset} --log {log}"


rule contamination_report:
    input:
        benchmarks=expand("datasets/prepared/{dataset}.parquet", dataset=TEST_SETS),
        train="datasets/prepared/{train}.parquet",
    output:
        multiext("results/datasets/contamination_{train}", ".csv", ".html", ".json"),
        "results/datasets/provenance/contamination_{train}.json",
    log:
        "results/datasets/logs/contamination_report/{train}.log",
    benchmark:
        "results/datasets/benchmarks/contamination_report/{train}.jsonl"
    retries: 0
    conda:
        "../envs/real.yaml"
    threads: 1
    resources:
        mem_mb=1500,
    params:
        code=code_digest("real.evidence.contamination", wings=EVIDENCE),
    message:
        "comparing the benchmarks with {wildcards.train}"
    shell:
        "python -m real contamination {wildcards.train} --log {log}"


rule datasets:
    input:
        expand("datasets/prepared/{dataset}.parquet", dataset=sources),
    localrule: True
    message:
        "all datasets are there: datasets/prepared"


rule contamination:
    input:
        expand(
            "results/datasets/contamination_{train}.{kind}",
            train=TRAINING_SETS,
            kind=["csv", "html", "json"],
        ),
    localrule: True
    message:
        "all is compared: open results/datasets/contamination_*.html"
