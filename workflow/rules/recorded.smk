# What finished scales measured, from results/recorded, drawn again beside the paper's printed numbers: no training.

if not scale.trains:

    rule redraw:
        input:
            # by content: their times say nothing after a clone
            ancient("results/recorded/{name}/record.json"),
        output:
            directory("<results>/recorded/{name}"),
        log:
            "<results>/logs/recorded/{name}.log",
        benchmark:
            "<results>/benchmarks/recorded/{name}.jsonl"
        retries: 0
        conda:
            "../envs/real.yaml"
        threads: 1
        params:
            output=f"{RESULTS}/recorded",
            made_from=lambda wildcards: redrawn_from(wildcards.name),
        message:
            "drawing what {wildcards.name} measured when it was recorded"
        shell:
            "python -m real redraw {wildcards.name:q} --output {params.output:q} --log {log}"
