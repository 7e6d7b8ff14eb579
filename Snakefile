# The paper's results at any scale: configs go in; trained runs, tables and figures come out.
#   snakemake --cores all                                                        laptop scale
#   snakemake --cores all --configfile paper_configs/published.yaml              the paper's own numbers
#   snakemake gradient_magnitude --cores 1                                       one figure
#   snakemake datasets contamination --cores all                                 the paper's data, fetched and verified
# Targets come before --configfile, which swallows whatever follows it.

from snakemake.utils import min_version

min_version("9.16")


# a default `configfile:` would be merged under every other scale, so it is read only where none is named
if not workflow.configfiles:

    configfile: "paper_configs/laptop.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/checks.smk"


pathvars:
    results=experiment.results,


report: "workflow/report/workflow.rst"


include: "workflow/rules/reruns.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/exhibits.smk"
include: "workflow/rules/recorded.smk"
include: "workflow/rules/manifest.smk"


rule all:
    default_target: True
    input:
        all_targets,
        "<results>/manifest.json",
        []
        if scale.trains
        else expand("<results>/recorded/{name}", name=recorded_names()),
    message:
        "all is there: open {RESULTS}/claims.html, then {RESULTS}/tables and {RESULTS}/figures"
