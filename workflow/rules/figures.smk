# Figures: one rule, one module in figures/, one output stem. The rules' names are targets.


rule training_dynamics:
    input:
        curves="<results>/tables/training_curves.csv",
    output:
        pdf="<results>/figures/training_dynamics.pdf",
        png=in_report("<results>/figures/training_dynamics.png", "Figures", "figure"),
    log:
        "<results>/logs/training_dynamics.log",
    benchmark:
        "<results>/benchmarks/training_dynamics.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        evidence=evidence_line(scale),
        smoothing_steps=scale.figures.smoothing_steps,
        prompts=scale.training.prompts if trains else scale.reported.prompts,
        identity=identity_of_drawn("training_dynamics"),
    message:
        "drawing the training dynamics (the paper's Figure 4)"
    script:
        "../../figures/training_dynamics.py"


rule gradient_magnitude:
    output:
        pdf="<results>/figures/gradient_magnitude.pdf",
        png=in_report("<results>/figures/gradient_magnitude.png", "Figures", "figure"),
    log:
        "<results>/logs/gradient_magnitude.log",
    benchmark:
        "<results>/benchmarks/gradient_magnitude.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        methods={
            name: method.model_dump() for name, method in experiment.methods.items()
        },
        identity=identity_of_drawn("gradient_magnitude"),
    message:
        "drawing the gradient magnitudes (the paper's gradient figure)"
    script:
        "../../figures/gradient_magnitude.py"


rule gradient_measured:
    input:
        samples=runs("<results>/runs/{method}/seed{seed}/gradient_samples.parquet"),
    output:
        pdf="<results>/figures/gradient_measured.pdf",
        png=in_report("<results>/figures/gradient_measured.png", "Figures", "figure"),
    log:
        "<results>/logs/gradient_measured.log",
    benchmark:
        "<results>/benchmarks/gradient_measured.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        methods={
            name: method.model_dump() for name, method in experiment.methods.items()
        },
        evidence=evidence_line(scale),
        files=CONFIG_FILES,
        identity=identity_of_drawn("gradient_measured"),
    message:
        "drawing where on the gradient curves training operated"
    script:
        "../../figures/gradient_measured.py"


rule learning_rate_figure:
    input:
        table="<results>/tables/learning_rate_sweep.csv",
    output:
        pdf="<results>/figures/learning_rate_sweep.pdf",
        png=in_report("<results>/figures/learning_rate_sweep.png", "Figures", "figure"),
    log:
        "<results>/logs/learning_rate_figure.log",
    benchmark:
        "<results>/benchmarks/learning_rate_figure.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        evidence=evidence_line(scale),
        identity=identity_of_drawn("learning_rate_figure"),
    message:
        "drawing the learning-rate sweep"
    script:
        "../../figures/learning_rate_sweep.py"


rule learning_rate_sweep:
    input:
        "<results>/tables/learning_rate_sweep.csv",
        "<results>/figures/learning_rate_sweep.pdf",
        "<results>/figures/learning_rate_sweep.png",
    localrule: True
    message:
        "the sweep is there: {RESULTS}/tables/learning_rate_sweep.html, {RESULTS}/figures/learning_rate_sweep.png"


rule mechanism_figure:
    input:
        table="<results>/tables/mechanism_runs.csv",
        samples=mechanism_runs(
            "<results>/runs/{method}/seed{seed}/gradient_samples.parquet"
        ),
    output:
        pdf="<results>/figures/mechanism.pdf",
        png=in_report("<results>/figures/mechanism.png", "Figures", "figure"),
    log:
        "<results>/logs/mechanism_figure.log",
    benchmark:
        "<results>/benchmarks/mechanism_figure.jsonl"
    conda:
        "../envs/real.yaml"
    threads: 1
    params:
        evidence=evidence_line(scale),
        identity=identity_of_drawn("mechanism_figure"),
    message:
        "drawing what each part of the gradient weights does"
    script:
        "../../figures/mechanism.py"


rule mechanism:
    input:
        multiext("<results>/tables/mechanism", ".csv", ".html"),
        multiext("<results>/figures/mechanism", ".pdf", ".png"),
    localrule: True
    message:
        "the mechanism is there: {RESULTS}/tables/mechanism.html, {RESULTS}/figures/mechanism.png"
