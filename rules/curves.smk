# The training curves of every trained network, whatever its experiment.
#
# REQUIRED INPUTS: history.csv of a run and seed
# OUTPUTS: <results>/{experiment}/{run}/seed{seed}/figures/training_curves.svg
# STEPS: curves


rule curves:
    input:
        history="<results>/{experiment}/{run}/seed{seed}/history.csv",
    output:
        **figure("<results>/{experiment}/{run}/seed{seed}/figures/training_curves"),
    log:
        "<logs>/curves/{experiment}/{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/curves/{experiment}/{run}/seed{seed}.jsonl"
    wildcard_constraints:
        experiment=one_of(NETWORKS),
        run=of_their_experiment(NETWORKS),
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=30,
    params:
        lib=lib("curves"),
        data=lambda wc: config[wc.experiment]["runs"][wc.run]["data"],
    script:
        "../workflow/scripts/curves.py"
