# One page with everything a reader needs of a scale. Snakemake's own report (`--report`) shows the same tables and figures.


rule report:
    input:
        lambda wildcards: own_inputs(experiment),
    output:
        "<results>/report.html",
    log:
        "<results>/logs/report.log",
    benchmark:
        "<results>/benchmarks/report.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        config=CONFIG_OPTION,
        identity=identity_of_drawn("report"),
        beside=beside_the_scale,
    message:
        "putting claims, tables and figures on one page"
    shell:
        "python -m real report {params.config} > {log} 2>&1"
