# What the rules of the audio experiment ask of the configuration.

from affectlab.audio.settings import GPU_KINDS
from affectlab.audio.settings import selected_runs as selected_audio_runs
from affectlab.audio.settings import vector_files

AUDIO = config["audio"]
AUDIO_RUNS = selected_audio_runs(AUDIO)
AUDIO_DATA = sorted({run["data"] for run in AUDIO_RUNS.values()})


def audio_of_run(pattern):
    """An input function: *pattern* for the data set and encoder of the wildcard `run`."""
    return lambda wildcards: pattern.format(
        data=AUDIO["runs"][wildcards.run]["data"],
        encoder=AUDIO["runs"][wildcards.run]["encoder"],
    )


def audio_checkpoint(encoder):
    """The manifest of an encoder's checkpoint, if it has one."""
    model = AUDIO["encoders"][encoder].get("model")
    return f"<resources>/models/{model}/manifest.json" if model else []


def audio_encoder_model(wildcards):
    """The manifest of the checkpoint of the wildcard `encoder`."""
    return audio_checkpoint(wildcards.encoder)


def audio_encoder_vectors(wildcards):
    """The files of an encoder whose vectors were computed elsewhere."""
    return vector_files(AUDIO["encoders"][wildcards.encoder].get("path"))


def audio_run_model(wildcards):
    """The checkpoint of the encoder of a run."""
    return audio_checkpoint(AUDIO["runs"][wildcards.run]["encoder"])


def audio_shards(wildcards):
    """The parts of a corpus' embeddings."""
    return [
        f"<results>/audio/embeddings/{wildcards.data}/{wildcards.encoder}/shard{number}.npz"
        for number in range(AUDIO["shards"])
    ]


def audio_recipe(wildcards):
    """A run's own block of the configuration, less the list of its seeds."""
    run = AUDIO["runs"][wildcards.run]
    return {key: run[key] for key in run if key != "seeds"}


def audio_dataset_entry(wildcards):
    """The registry's entry of a run's data set."""
    return dataset_entry(AUDIO["runs"][wildcards.run]["data"])


def audio_encoder_spec(wildcards):
    """The block of the encoder of a run."""
    return AUDIO["encoders"][AUDIO["runs"][wildcards.run]["encoder"]]


def audio_model_entry(wildcards):
    """The registry's entry of the checkpoint of a run's encoder, if it has one."""
    return REGISTRIES.models.get(audio_encoder_spec(wildcards).get("model"))


def audio_results(filename):
    """*filename* in the folder of every selected run and seed."""
    return [
        f"<results>/audio/{name}/seed{seed}/{filename}"
        for name, run in AUDIO_RUNS.items()
        for seed in run["seeds"]
    ]


def audio_data_targets(wildcards):
    return [f"<results>/audio/data/{name}/audit.json" for name in AUDIO_DATA]


def audio_targets(wildcards):
    return [
        *audio_data_targets(wildcards),
        *audio_results("metrics.json"),
        *audio_results("model_card.md"),
        "<results>/audio/comparison.json",
    ]


WING_TARGETS["audio"] = audio_targets
