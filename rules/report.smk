# The roof: one page and one table over everything that was run.
#
# REQUIRED INPUTS: metrics, comparison, audit, label noise, figures of the selected runs; manifests
#   of sample corpora
# OUTPUTS:
#   <results>/report/index.html     self-contained; needs no network
#   <results>/tables/results.csv
#   <results>/report/{scores,audits}/   each record as a small page, for Snakemake's own report
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
            category=FIRST_CATEGORY,
            labels={"what": "report"},
        ),
        table=report(
            nonempty("<results>/tables/results.csv"),
            caption="../workflow/report/results_table.rst",
            category=FIRST_CATEGORY,
            labels={"what": "results table"},
        ),
        scores=report(
            directory("<results>/report/scores"),
            patterns=["{experiment}/{run}/seed{seed}.html"],
            caption="../workflow/report/scores.rst",
            category=category_of,
            subcategory="{run}",
            labels={"seed": "{seed}", "what": "scores"},
        ),
        audits=report(
            directory("<results>/report/audits"),
            patterns=["{experiment}/{data}.html"],
            caption="../workflow/report/audit.rst",
            category=category_of,
            subcategory="Data",
            labels={"data": "{data}", "what": "audit"},
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
