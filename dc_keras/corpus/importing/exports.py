"""Imports exports with one call from Python, like the command `import_corpus`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dc_keras.corpus.importing.importer import import_files
from dc_keras.corpus.importing.sources.sniffing import AUTO
from dc_keras.corpus.pseudonyms import (
    DEFAULT_KEY_FILE,
    Pseudonymizer,
    load_or_create_key,
)
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError


def import_exports(
    inputs: str | Path | Sequence[str | Path],
    corpus_dir: str | Path,
    *,
    key_file: str | Path = DEFAULT_KEY_FILE,
    source: str = AUTO,
    media_root: str | Path | None = None,
) -> Corpus:
    """Imports export files into a new or existing corpus, and opens it.

    Args:
        inputs: paths, glob patterns or directories of exports.
        corpus_dir: the corpus directory; created if it does not exist.
        key_file: the secret key of the pseudonyms; created if it does not exist. It
            must lie outside the corpus directory.
        source: name of the export's format, or "auto" to recognise it.
        media_root: directory of the media; None keeps that of an existing corpus.

    Raises:
        DataError: an input matches no file, no record could be read, the key is not
            that of the corpus, or `media_root` is not a directory.
    """
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    place = Path(corpus_dir).expanduser()
    key = load_or_create_key(Path(key_file).expanduser(), corpus_dir=place)
    summary = import_files(
        [str(path) for path in given],
        place,
        pseudonymizer=Pseudonymizer(key),
        source=source,
        media_root=media_root,
    )
    if summary.is_empty:
        raise DataError(
            "`inputs` must contain records of a known format (docs/importing.md). "
            f"Received: {', '.join(str(path) for path in given)}"
        )
    return Corpus.open(place)
