# Tables, figures and pages: a rule for each EXHIBIT that a module of real/evidence or figures/ declares, by its name.


for exhibit in exhibits():

    rule:
        name:
            exhibit.name
        input:
            results_for(exhibit),
            # what a rerun for them goes by is their content, in made_from
            printed=ancient(exhibit.printed(experiment)),
        output:
            [in_report(path) for path in exhibit.job.outputs],
        log:
            f"<results>/logs/{exhibit.name}.log",
        benchmark:
            f"<results>/benchmarks/{exhibit.name}.jsonl"
        retries: 0
        conda:
            "../envs/real.yaml"
        threads: 1
        params:
            config=CONFIG_FILES,
            exhibit=exhibit.name,
            made_from=MADE_FROM.get(exhibit.name),
            beside=beside(exhibit),
        message:
            f"{exhibit.doing}"
        shell:
            "python -m real make {params.exhibit} --config {params.config:q} --log {log}"


# names that rules had before each was called as what it makes; kept for one release, without a job of their own
for old, new in {
    "benchmark_tables": "benchmarks",
    "difference_tables": "differences",
    "pass_at_k_tables": "pass_at_k",
    "learning_rate_table": "learning_rate_sweep",
    "learning_rate_figure": "learning_rate_sweep",
    "mechanism_table": "mechanism",
    "mechanism_figure": "mechanism",
}.items():

    rule:
        name:
            old
        input:
            getattr(rules, new).output,
        localrule: True
        message:
            f"{old} is called {new} now; the old name goes with the next release"
