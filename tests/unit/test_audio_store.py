import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from affectlab.audio import embedding, store
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import read_clips
from affectlab.audio.encoders.registry import load_encoder
from affectlab.audio.waveform import read_audio
from affectlab.errors import DataError, UserError
from affectlab.samples.audio import write_corpus

PROVENANCE = {"encoder": {"name": "logmel", "kind": "logmel"}}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder / "raw", subjects=4)
    outputs = Outputs(*(folder / name for name in ("records.jsonl", "bad.jsonl", "d.json")))
    convert(folder / "raw", outputs, {"layout": "eatd"}, "fail")
    return folder / "raw", read_clips(folder / "records.jsonl")


class Counting:
    """The log-mel encoder, counting what it is asked."""

    def __init__(self):
        self._encoder = load_encoder("logmel", None)
        self.asked = 0

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def embed(self, batch):
        self.asked += len(batch)
        return self._encoder.embed(batch)


def embed(corpus, clips, cache, encoder=None, provenance=PROVENANCE):
    return embedding.embed_clips(
        clips, corpus[0], encoder or Counting(), cache, provenance, threads=2
    )


def test_clips_are_embedded_with_what_they_are_of(corpus, tmp_path):
    found = embed(corpus, corpus[1], tmp_path)
    assert found.ids == tuple(clip.id for clip in corpus[1])
    assert found.vectors.shape == (12, 1, 2, 80)
    assert all(len(digest) == 64 for digest in found.hashes)


def test_only_new_clips_are_computed(corpus, tmp_path):
    first = embed(corpus, corpus[1][:8], tmp_path)
    encoder = Counting()
    whole = embed(corpus, corpus[1], tmp_path, encoder)
    assert encoder.asked == 4
    np.testing.assert_array_equal(whole.vectors[:8], first.vectors)


def test_the_cache_forgets_clips_that_are_no_longer_in_the_corpus(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "PART_CLIPS", 3)
    found = embed(corpus, corpus[1], tmp_path)
    gone, kept = (
        found.hashes[4],
        [digest for place, digest in enumerate(found.hashes) if place != 4],
    )
    other = {"encoder": {"name": "other"}}
    embed(corpus, corpus[1][4:5], tmp_path, provenance=other)
    embedding.prune_cache(tmp_path, set(kept))
    vector = found.vectors[4].tobytes()
    for path in tmp_path.rglob("*"):
        content = path.name.encode() + path.read_bytes()
        assert vector not in content
        assert gone.encode() not in content
        assert gone.encode("utf-32-le") not in content
    encoder = Counting()
    again = embed(
        corpus, [clip for clip in corpus[1] if clip.id != found.ids[4]], tmp_path, encoder
    )
    assert encoder.asked == 0
    np.testing.assert_array_equal(again.vectors, np.delete(found.vectors, 4, axis=0))


def test_vectors_of_another_encoder_are_not_taken(corpus, tmp_path):
    embed(corpus, corpus[1][:3], tmp_path)
    encoder = Counting()
    embed(corpus, corpus[1][:3], tmp_path, encoder, {"encoder": {"name": "other"}})
    assert encoder.asked == 3


def test_an_interrupted_run_goes_on_where_it_was(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "PART_CLIPS", 3)

    class Dying(Counting):
        def embed(self, batch):
            if self.asked >= 6:
                raise KeyboardInterrupt
            return super().embed(batch)

    with pytest.raises(KeyboardInterrupt):
        embed(corpus, corpus[1], tmp_path, Dying())
    encoder = Counting()
    resumed = embed(corpus, corpus[1], tmp_path, encoder)
    assert encoder.asked == 6
    straight = embed(corpus, corpus[1], tmp_path / "elsewhere")
    np.testing.assert_array_equal(resumed.vectors, straight.vectors)


def test_a_store_is_read_as_it_was_written_and_repeats_to_the_byte(corpus, tmp_path):
    found = embed(corpus, corpus[1], tmp_path / "cache")
    for name in ("a.npz", "b.npz"):
        store.write_embeddings(tmp_path / name, found)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = store.read_embeddings(tmp_path / "a.npz")
    assert (again.ids, again.subjects, again.hashes) == (found.ids, found.subjects, found.hashes)
    assert (again.layers, again.provenance) == (found.layers, found.provenance)
    np.testing.assert_array_equal(again.vectors, found.vectors)


def test_shards_together_are_the_corpus(corpus, tmp_path):
    clips = corpus[1]
    parts = [
        embed(corpus, embedding.shard(clips, number, 3), tmp_path / str(number))
        for number in range(3)
    ]
    assert sum(len(part.ids) for part in parts) == len(clips)
    whole = embed(corpus, clips, tmp_path / "whole")
    found = store.gather(parts, clips)
    assert (found.ids, found.subjects, found.hashes) == (whole.ids, whole.subjects, whole.hashes)
    np.testing.assert_allclose(found.vectors, whole.vectors, atol=1e-5)


def test_a_clip_without_a_vector_is_named(corpus, tmp_path):
    found = embed(corpus, corpus[1][:2], tmp_path)
    with pytest.raises(UserError, match="1 clips have no embedding, the first is 'nobody'"):
        found.of([corpus[1][0].id, "nobody"])


def test_a_missing_file_is_named(corpus, tmp_path):
    with pytest.raises(DataError, match="no such file; it is the audio of the clip"):
        embedding.embed_clips(corpus[1], tmp_path, Counting(), tmp_path / "c", PROVENANCE, 1)


def test_another_file_is_no_store(tmp_path):
    (tmp_path / "a.npz").write_text("no")
    with pytest.raises(DataError, match="expected a store of embeddings"):
        store.read_embeddings(tmp_path / "a.npz")


def write_foreign(folder, ending, ids, vectors):
    path = folder / f"vectors{ending}"
    if ending == ".npz":
        np.savez(path, ids=np.array(ids), vectors=vectors)
    elif ending == ".npy":
        np.save(path, vectors)
        with (folder / "vectors.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([["id"], *([name] for name in ids)])
    else:
        columns = {"id": ids} | {f"f{i}": vectors[:, i] for i in range(vectors.shape[1])}
        pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("ending", [".npz", ".npy", ".parquet"])
def test_vectors_from_elsewhere_are_taken(corpus, tmp_path, ending):
    ids = [clip.id for clip in corpus[1]][::-1]
    vectors = np.random.default_rng(0).standard_normal((12, 5))
    path = write_foreign(tmp_path, ending, ids, vectors)
    found = store.import_embeddings(path, corpus[1], PROVENANCE)
    np.testing.assert_allclose(found.vectors[:, 0, 0], vectors[::-1], rtol=1e-6)
    assert not found.vectors[:, 0, 1].any()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda ids, v: (ids[:-1], v), "expected one row for each of 11 ids"),
        (lambda ids, v: (ids[:-1], v[:-1]), "has no vector for 1 clips"),
        (lambda ids, v: ([ids[0], *ids[:-1]], v), "occurs more than once"),
        (lambda ids, v: (ids, np.where(v == v[0, 0], np.nan, v)), "not finite"),
        (lambda ids, v: (ids, np.where(v == v[0, 0], 1e300, v)), "not finite in single precision"),
        (lambda ids, v: (ids, v[:, :0]), r"found the shape \(12, 0\)"),
        (lambda ids, v: (ids, v.astype(str)), "other features than real numbers"),
        (lambda ids, v: ([[name] for name in ids], v), r"one id a row, found the shape \(12, 1\)"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(corpus, tmp_path, spoil, message):
    ids = [clip.id for clip in corpus[1]]
    vectors = np.random.default_rng(0).standard_normal((12, 5))
    path = write_foreign(tmp_path, ".npz", *spoil(ids, vectors))
    with pytest.raises(DataError, match=message):
        store.import_embeddings(path, corpus[1], PROVENANCE)


def test_ids_may_be_bytes(corpus, tmp_path):
    ids = [clip.id.encode() for clip in corpus[1]]
    path = write_foreign(tmp_path, ".npz", ids, np.ones((12, 5)))
    assert store.import_embeddings(path, corpus[1], PROVENANCE).ids[0] == ids[0].decode()


def cut(path):
    np.savez(path, ids=np.array(["a"]), vectors=np.ones((1, 400)))
    path.write_bytes(path.read_bytes()[:300])


def text_column(path):
    pq.write_table(pa.table({"id": ["a"], "f": [1.0], "who": ["x"]}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("v.npz", cut),
        ("v.npz", lambda path: path.write_bytes(b"")),
        ("v.npz", lambda path: path.write_text("<html>")),
        ("v.npz", lambda path: np.savez(path, vectors=np.ones((1, 2)))),
        ("v.npy", lambda path: np.save(path, np.ones((1, 2)))),
        ("v.npy", lambda path: [path.write_bytes(b""), path.with_suffix(".csv").write_text("id")]),
        ("v.npy", lambda path: [np.save(path, [[1]]), path.with_suffix(".csv").write_text("a\nb")]),
        ("v.npy", lambda path: path.with_suffix(".csv").write_text("id\n" + "a" * 200_000)),
        ("v.parquet", text_column),
        ("v.parquet", lambda path: path.write_text("<html>")),
        ("v.h5", lambda path: path.write_bytes(b"")),
    ],
)
def test_another_file_is_refused_with_what_was_expected(corpus, tmp_path, name, write):
    write(tmp_path / name)
    with pytest.raises(DataError, match=r"expected \.npz with ids|other features") as error:
        store.import_embeddings(tmp_path / name, corpus[1], PROVENANCE)
    assert error.value.path == tmp_path / name


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut"])
def test_a_corrupt_store_is_named_and_a_corrupt_cache_made_again(corpus, tmp_path, content):
    clips = corpus[1][:2]
    embed(corpus, clips, tmp_path)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="expected a store of embeddings"):
            store.read_embeddings(path)
    encoder = Counting()
    embed(corpus, clips, tmp_path, encoder)
    assert encoder.asked == 2


def test_a_shard_without_clips_is_empty(corpus, tmp_path):
    clips = corpus[1][:2]
    parts = [
        embed(corpus, embedding.shard(clips, number, 3), tmp_path / str(number))
        for number in range(3)
    ]
    assert [part.vectors.shape[0] for part in parts] == [1, 1, 0]
    assert store.gather(parts, clips).vectors.shape == (2, 1, 2, 80)


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_only_so_much_sound_is_held_decoded(corpus, tmp_path, monkeypatch, seconds):
    """Windows that wait stay below the bound in seconds, however many or long clips are."""
    held = []
    whole = embedding._batches

    def watched(order, lengths, rate):
        held.append(sum(lengths) / rate)
        return whole(order, lengths, rate)

    expected = embed(corpus, corpus[1], tmp_path / "whole")
    monkeypatch.setattr(embedding, "_batches", watched)
    monkeypatch.setattr(embedding, "PART_SECONDS", seconds)
    found = embed(corpus, corpus[1], tmp_path / "parts")
    longest = max(len(read_audio(corpus[0] / clip.path, 16000)) for clip in corpus[1]) / 16000
    assert len(held) > 3
    assert max(held) <= seconds + longest
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-5)
