"""The flags by which scripts ask an exported bundle, in process or on a server."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from absl import flags

if TYPE_CHECKING:
    from dc_keras.serving.predictor import Predictor


class OpenBundle(Protocol):
    """Opens the bundle that the flags name."""

    def __call__(self, challenges: Sequence[str] = ()) -> Predictor:
        """Returns the bundle.

        Args:
            challenges: names that it must contain, which is checked before TensorFlow
                is imported.

        Raises:
            DataError: there is no bundle, or it lacks a challenge.
        """


flags.disclaim_key_flags()


def define_bundle_flags() -> OpenBundle:
    """Defines --bundle, --server and --served_name; returns what opens the bundle."""
    bundle = flags.DEFINE_string(
        "bundle", None, "Bundle, or the directory of its versions.", required=True
    )
    server = flags.DEFINE_string(
        "server",
        None,
        "Address of a model server that serves it, grpc://host:8500 or "
        "http://host:8501; of --bundle only the choices are read then.",
    )
    name = flags.DEFINE_string(
        "served_name", None, "Its name there; that of the directory of versions if not."
    )

    def open_bundle(challenges: Sequence[str] = ()) -> Predictor:
        from dc_keras.errors import DataError
        from dc_keras.serving.bundle_config import (
            find_version,
            read_config,
            require_challenges,
        )
        from tfrecords.storage.integrity import verify_directory

        version = find_version(Path(bundle.value))
        verify_directory(version, "export_model")
        require_challenges(read_config(version)["challenges"], challenges)
        from dc_keras.serving.predictor import Predictor

        if server.value:
            # Each try would be a line; the last error says it all.
            logging.getLogger("urllib3").setLevel(logging.ERROR)
            return Predictor.connect(Path(bundle.value), server.value, name.value)
        if name.value:
            raise DataError(
                f"--served_name goes with --server. Received: served_name={name.value}"
            )
        return Predictor.load(Path(bundle.value))

    return open_bundle
