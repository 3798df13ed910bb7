"""Imports simulated worlds, whose posts have captions and no media."""

from __future__ import annotations

from pathlib import Path

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.corpus.store import Corpus
from dc_keras.simulation.world import World, write_world
from dc_keras.study.participation import Grid
from dc_keras.study.resolution import resolve_study
from dc_keras.study.study import Study

KEY = Pseudonymizer(bytes(32))


def import_world(world: World, directory: Path) -> tuple[Corpus, Grid]:
    """Writes and imports a world; returns its corpus, and its study on this corpus."""
    write_world(world, directory / "world")
    items = str(directory / "world" / "items.ndjson")
    import_files([items], directory / "corpus", pseudonymizer=KEY)
    corpus = Corpus.open(directory / "corpus")
    study = Study.load(directory / "world" / "study.toml")
    return corpus, resolve_study(study, corpus)
