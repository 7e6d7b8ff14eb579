# What a finished scale consists of: every declared file with its hash, and what it was made from.


rule manifest:
    input:
        all_targets,
    output:
        "<results>/manifest.json",
    log:
        "<results>/logs/manifest.log",
    benchmark:
        "<results>/benchmarks/manifest.jsonl"
    retries: 0
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_FILES,
        code=code_digest("real.records.manifest", wings=("real.records.manifest",)),
    message:
        "listing every result with its hash"
    shell:
        "python -m real manifest --config {params.config:q} --log {log}"
