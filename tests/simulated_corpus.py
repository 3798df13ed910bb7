"""A corpus of a small simulated world without media, its study, and made-up features."""

from dataclasses import asdict
from zlib import crc32

import numpy as np

_WORDS = 64
_LOOK_DIM = 6


def write_corpus(directory, num_users=60, num_challenges=4):
    """Writes and imports a world; returns the corpus and the file of its study."""
    from dc_keras.corpus.importing.importer import import_exports
    from dc_keras.simulation.world import WorldConfig, simulate_world, write_world

    config = WorldConfig(
        num_users=num_users,
        num_challenges=num_challenges,
        videos_per_user=4,
        text_only_share=1.0,
    )
    write_world(simulate_world(config), directory / "world", workers=1)
    corpus = import_exports(
        directory / "world" / "items.ndjson",
        directory / "corpus",
        key_file=directory / "pseudonym.key",
    )
    return corpus, directory / "world" / "study.toml"


def caption_vectors(corpus):
    """Counts of hashed words, float32 (num_videos, 64), a row a post of a corpus."""
    vectors = np.zeros((corpus.videos.height, _WORDS), np.float32)
    for row, caption in enumerate(corpus.videos["caption"].fill_null("")):
        for word in caption.casefold().split():
            vectors[row, crc32(word.encode()) % _WORDS] += 1.0
    return vectors


def frame_vectors(corpus, num_frames=2):
    """Noise that looks alike within an author, float32 (num_videos, num_frames, 6)."""
    rng = np.random.default_rng(0)
    authors = corpus.videos["user_id"].to_list()
    looks = {user: rng.normal(size=_LOOK_DIM) for user in sorted(set(authors))}
    base = np.stack([looks[user] for user in authors])[:, None]
    noise = rng.normal(scale=0.3, size=(len(authors), num_frames, _LOOK_DIM))
    return (base + noise).astype(np.float32)


def write_features(directory, corpus, network, with_text):
    """Writes made-up feature records as `extract_features` would, in one shard."""
    from tfrecords.frame_sampling import SamplingConfig
    from tfrecords.schema import FeatureRecord, build_feature_record
    from tfrecords.writer import shard_name, write_manifest, write_shard

    frames, captions = frame_vectors(corpus), caption_vectors(corpus)
    users = corpus.videos["user_id"]
    records = [
        build_feature_record(
            FeatureRecord(
                video_id=video,
                user_id=user,
                frames=frames[row].astype(np.float16),
                frame_mask=np.ones(len(frames[row]), bool),
                caption=captions[row] if with_text else None,
            )
        )
        for row, (video, user) in enumerate(
            zip(corpus.videos["video_id"], users, strict=True)
        )
    ]
    directory.mkdir(parents=True)
    entry = write_shard(
        directory, shard_name("features", 0, 1), "digest", records, dict
    )
    settings = {
        "vision": {"name": network, "fingerprint": f"made up {network}"},
        "text": {"name": "words", "fingerprint": "made up"} if with_text else None,
        "frames": asdict(SamplingConfig(num_frames=2, image_size=8)),
        "repeat": "nearest",
    }
    write_manifest(directory, "features", settings, [entry])
