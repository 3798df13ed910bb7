"""Loads the inputs that several scripts share, as the flags describe them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dc_keras.errors import DataError
from dc_keras.options import StudyOptions
from pipelines._cli import app, option_flags

if TYPE_CHECKING:
    from dc_keras.corpus.pseudonyms import Pseudonymizer
    from dc_keras.corpus.store import Corpus
    from dc_keras.study.participation import Grid
    from dc_keras.study.study import Study


def load_study(corpus: Corpus, study_file: str) -> Study:
    """Reads a study, and prints which of its challenges match no post of a corpus."""
    from dc_keras.study.challenge import require_matches
    from dc_keras.study.study import Study

    study = Study.load(study_file)
    for line in require_matches(study.challenges, corpus.videos):
        app.progress(line)
    return study


def load_grid(corpus: Corpus, study_file: str) -> Grid:
    """Resolves a study on a corpus, with the settings that the flags override."""
    from dc_keras.study.resolution import resolve_study

    changes = option_flags.resolve(StudyOptions)
    study = load_study(corpus, study_file)
    return resolve_study(study, corpus, **changes.overrides())


def load_pseudonymizer(corpus: Corpus, key_file: str | None) -> Pseudonymizer:
    """Reads the key with which a corpus was imported."""
    from dc_keras.corpus.pseudonyms import Pseudonymizer, load_or_create_key

    path = None if key_file is None else Path(key_file).expanduser()
    if path is None or not path.exists():
        raise DataError(
            "--key_file must be the key that import_corpus used. "
            f"Received: key_file={key_file}"
        )
    key = load_or_create_key(path, corpus_dir=corpus.directory)
    pseudonymizer = Pseudonymizer(key)
    pseudonymizer.require_key_of(corpus.directory, corpus.info["key_fingerprint"])
    return pseudonymizer


def find_users(
    corpus: Corpus, names: Sequence[str], key_file: str | None
) -> tuple[str, ...]:
    """Returns the pseudonyms of authors, in order and without duplicates.

    With a key, names are also platform ids, secUids or handles.
    """
    key = load_pseudonymizer(corpus, key_file) if key_file else None
    authors = [
        (author.user_id, {author.user_id, *author.aliases, *author.sec_uids})
        for author in corpus.iter_users()
    ]
    users = []
    for name in names:
        codes = {name}
        if key is not None:
            codes |= {key.user(name), key.handle(name.lstrip("@")), key.sec_uid(name)}
        matches = [user_id for user_id, known in authors if codes & known]
        if len(matches) != 1:
            problem = (
                f"is ambiguous: one of {', '.join(matches)}"
                if matches
                else "is no user"
            )
            hint = "" if key else "; ids and handles of the platform need --key_file"
            raise DataError(f"{name!r} {problem} in {corpus.directory}{hint}")
        users += matches
    return tuple(dict.fromkeys(users))
