"""Experiments on the real benchmark, with captions that MiniLM embeds once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from absl import flags

from benchmarks.famous import Famous
from dc_keras.context.post_features import read_facts
from dc_keras.encoders.extraction import CaptionEmbedder
from dc_keras.encoders.text import TextSpec, build_text_encoder
from dc_keras.evaluation.experiment import Experiment
from dc_keras.features import Features
from pipelines._cli.demo_steps import bert_directory

_MAX_TOKENS = 32
_EMBED_BATCH = 256


def minilm_handle() -> str:
    """Returns the handle of MiniLM for `--text` and `TextSpec`."""
    return f"keras_nlp:{bert_directory()}"


def define_flags() -> tuple[flags.FlagHolder[str], flags.FlagHolder[str]]:
    """Defines --data and --output."""
    data = flags.DEFINE_string(
        "data", "../shared/data/famous", "Directory of datares/TikTok_Famous."
    )
    output = flags.DEFINE_string("output", None, "Directory of the run.", required=True)
    return data, output


def make_experiment(
    famous: Famous, output: Path, log: Callable[[str], None], **settings: Any
) -> Experiment:
    """Returns an experiment on all splits; captions are the only features."""
    return Experiment(
        grid=famous.grid,
        table=_read_features(famous, output, log),
        facts=read_facts(
            famous.videos,
            famous.grid,
            famous.temporal,
            users=famous.users,
            joins=famous.joins,
        ),
        temporal=famous.temporal,
        **settings,
    )


def _read_features(
    famous: Famous, output: Path, log: Callable[[str], None]
) -> Features:
    """Returns the caption embeddings of all posts in the grids."""
    shown = {
        video
        for grid in (famous.grid, famous.temporal)
        for ids in (*grid.histories, *grid.support, *grid.pool_histories)
        for video in ids
    }
    posts = famous.videos.filter(pl.col("video_id").is_in(list(shown))).sort("video_id")
    path = output / "captions.npz"
    if path.exists():
        kept = np.load(path, allow_pickle=False)
        if kept["video_ids"].tolist() == posts["video_id"].to_list():
            made_by = json.loads(str(kept["made_by"]))
            return Features(tuple(posts["video_id"]), {}, kept["captions"], made_by)
    spec = TextSpec(minilm_handle(), max_tokens=_MAX_TOKENS, pooling="mean")
    encoder = build_text_encoder(spec)
    # Raw captions, as in requests to a bundle.
    texts = posts["caption"].to_list()
    unique = sorted(set(texts))
    log(f"embedding {len(unique)} texts of {len(texts)} posts")
    vectors = CaptionEmbedder(encoder, _EMBED_BATCH).embed(unique)
    row_of = {text: row for row, text in enumerate(unique)}
    captions = vectors[[row_of[text] for text in texts]].astype(np.float32)
    output.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        video_ids=np.array(posts["video_id"].to_list()),
        captions=captions,
        made_by=np.array(json.dumps(encoder.settings())),
    )
    return Features(tuple(posts["video_id"]), {}, captions, encoder.settings())
