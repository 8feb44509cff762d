# What can be asked for by name beside `all` and `report`: one target per experiment.
#
# REQUIRED INPUTS: everything that an experiment comes to
# OUTPUTS: none


localrules:
    face,
    emotion,
    emotion_data,
    entity,
    audio,
    summary,
    summary_data,


# The face experiment: every selected run, its blur test and card, and the comparison of runs.
rule face:
    input:
        rules.store_config.output,
        face_targets,


# The emotion experiment: every selected run, its card, exports, and the comparison of runs.
rule emotion:
    input:
        rules.store_config.output,
        emotion_targets,


# Its data: the tidy table, the audit, and the search for wrong labels.
rule emotion_data:
    input:
        emotion_data_targets,


# The entity experiment: every selected run, its card, and the comparison of runs.
rule entity:
    input:
        rules.store_config.output,
        entity_targets,


# The summary experiment: every selected run, its card, and the comparison of runs.
rule summary:
    input:
        rules.store_config.output,
        summary_targets,


# Its data: the tables of cases, their audits, and their lengths in each model's tokens.
rule summary_data:
    input:
        summary_data_targets,


# The audio experiment: every selected run, its card, and the comparison of runs.
rule audio:
    input:
        rules.store_config.output,
        audio_targets,
