"""Reads a corpus on disk, for the tests of the import."""

import hashlib

from dc_keras.corpus.store import Corpus


def hash_files(directory):
    """Returns the sha256 of each file of a directory, by its name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
    }


def read_videos(directory):
    """Returns the records of all posts of a corpus."""
    return list(Corpus.open(directory).iter_videos())
