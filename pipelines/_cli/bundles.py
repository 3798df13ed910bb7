"""Flags that select an exported bundle, in process or on a model server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from dc_keras.errors import DataError
from pipelines._cli import app

if TYPE_CHECKING:
    from dc_keras.serving.predictor import Predictor


flags.disclaim_key_flags()


def define() -> None:
    """Defines --bundle, --server and --served_name."""
    flags.DEFINE_string(
        "bundle", None, "Bundle, or the directory of its versions.", required=True
    )
    flags.DEFINE_string(
        "server",
        None,
        "Address of a model server of the bundle, grpc://host:8500 or "
        "http://host:8501. Only the configuration is then read from --bundle.",
    )
    flags.DEFINE_string(
        "served_name",
        None,
        "Name of the model on the server. Default: that of the directory of versions.",
    )


class Source(NamedTuple):
    """A version of a bundle, and the server that answers for it if there is one."""

    bundle: str
    server: str | None
    name: str | None


def source() -> Source:
    """Returns the bundle of the flags."""
    from dc_keras.serving.bundle_config import find_version

    bundle = find_version(Path(str(flags.FLAGS["bundle"].value)))
    return Source(
        str(bundle), flags.FLAGS["server"].value, flags.FLAGS["served_name"].value
    )


def check(challenges: Sequence[str] = ()) -> Source:
    """Verifies the bundle of the flags without TensorFlow, and returns it."""
    from dc_keras.serving.bundle_config import read_config, require_challenges
    from tfrecords.storage.integrity import verify_directory

    place = source()
    verify_directory(Path(place.bundle), "export_model")
    known = read_config(Path(place.bundle))["challenges"]
    require_challenges(known, challenges)
    if place.name and not place.server:
        raise DataError(
            f"--served_name needs --server. Received: served_name={place.name}"
        )
    return place


def open_bundle(challenges: Sequence[str] = ()) -> Predictor:
    """Returns the bundle of the flags; see `check`."""
    place = check(challenges)
    if place.server is None:
        app.progress("loading TensorFlow and the bundle, about five seconds")
    return load(place)


@lru_cache(maxsize=1)
def load(place: Source) -> Predictor:
    """Returns a bundle, which is loaded once in each process."""
    from dc_keras.serving.predictor import Predictor

    if place.server is None:
        return Predictor.load(place.bundle)
    return Predictor.connect(place.bundle, place.server, place.name)
