# What the rules of the audio experiment ask of the configuration.

from affectlab.audio.encoders.kinds import KINDS as ENCODER_KINDS
from affectlab.audio.encoders.kinds import vector_files
from affectlab.audio.settings import selected_runs as selected_audio_runs
from affectlab.audio.settings import task_on

AUDIO = config["audio"]
AUDIO_RUNS = Runs("audio", selected_audio_runs(AUDIO))


AUDIO_OUTSIDE = [name for name in AUDIO["runs"] if AUDIO_RUNS.is_outside(name)]
AUDIO_PROBES = [name for name in AUDIO["runs"] if name not in AUDIO_OUTSIDE]


def audio_runs_on(target, names=AUDIO["runs"]):
    """Those of the runs *names* that are on data with a target."""
    return [
        name
        for name in names
        if REGISTRIES.datasets[AUDIO["runs"][name]["data"]].get("target", "class")
        == target
    ]


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


def audio_raw_of_run(wildcards):
    """The manifest of the recordings of a run."""
    return f"<resources>/raw/{AUDIO_RUNS[wildcards.run]['data']}/manifest.json"


def audio_run_model(wildcards):
    """The checkpoint of a run: its classifier, or that of its encoder, if it has one."""
    if wildcards.run in AUDIO_OUTSIDE:
        return AUDIO_RUNS.model_of_run(wildcards)
    return audio_checkpoint(AUDIO_RUNS[wildcards.run]["encoder"])


def audio_embeddings(wildcards):
    """The embeddings of a run's data set by the run's encoder."""
    run = AUDIO_RUNS[wildcards.run]
    return f"<results>/audio/embeddings/{run['data']}/{run['encoder']}/embeddings.npz"


def audio_other_embeddings(wildcards):
    """The embeddings of the data set that a run is tested on, by the run's encoder."""
    AUDIO_RUNS.other_block(wildcards)
    encoder = AUDIO_RUNS[wildcards.run]["encoder"]
    return f"<results>/audio/embeddings/{wildcards.data}/{encoder}/embeddings.npz"


def audio_other_task(wildcards):
    """Which labels of the data set count that a run is tested on."""
    layout = REGISTRIES.datasets[wildcards.data]["layout"]
    block = AUDIO_RUNS.other_block(wildcards)
    return task_on(AUDIO_RUNS[wildcards.run], block, layout)


def audio_shards(wildcards):
    """The parts of a corpus' embeddings."""
    return [
        f"<results>/audio/embeddings/{wildcards.data}/{wildcards.encoder}/shard{number}.npz"
        for number in range(AUDIO["shards"])
    ]


def audio_encoder_spec(wildcards):
    """The block of the encoder of a run."""
    return AUDIO["encoders"][AUDIO_RUNS[wildcards.run]["encoder"]]


def audio_model_entry(wildcards):
    """The registry's entry of the checkpoint of a run's encoder, if it has one."""
    return REGISTRIES.models.get(audio_encoder_spec(wildcards).get("model"))


def audio_data_targets(wildcards):
    return AUDIO_RUNS.data_files("audit.json")


def audio_targets(wildcards):
    return [
        *audio_data_targets(wildcards),
        *AUDIO_RUNS.results("metrics.json"),
        *AUDIO_RUNS.other_audits(),
        *AUDIO_RUNS.other_results("metrics.json"),
        *AUDIO_RUNS.results("model_card.md", AUDIO_PROBES),
        "<results>/audio/comparison.json",
    ]


EXPERIMENT_TARGETS["audio"] = audio_targets
