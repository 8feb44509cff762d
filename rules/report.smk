# The roof: one page and one table over everything that was run.
#
# REQUIRED INPUTS: metrics, comparison, audit, label noise, figures of the selected runs; manifests
#   of sample corpora
# OUTPUTS:
#   <results>/report/index.html     self-contained; needs no network
#   <results>/tables/results.csv
# STEPS: report_build


rule report_build:
    input:
        experiment_targets,
        samples=sample_manifests,
        config=rules.store_config.output[0],
    output:
        page=report(
            nonempty("<results>/report/index.html"),
            caption="../workflow/report/report.rst",
            category="Report",
            labels={"what": "report"},
        ),
        table=report(
            nonempty("<results>/tables/results.csv"),
            caption="../workflow/report/results_table.rst",
            category="Report",
            labels={"what": "results table"},
        ),
    log:
        "<logs>/report_build.log",
    benchmark:
        "<benchmarks>/report_build.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("report_build", report_sections),
        reference_results=REGISTRIES.reference_results,
    script:
        "../workflow/scripts/report_build.py"
