"""Flags that select an exported bundle, in process or on a model server."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from absl import flags

from pipelines._cli import app

if TYPE_CHECKING:
    from dc_keras.serving.predictor import Predictor


class OpenBundle(Protocol):
    """Function that opens the bundle of the flags."""

    def __call__(self, challenges: Sequence[str] = ()) -> Predictor:
        """Returns the bundle.

        Args:
            challenges: Names of challenges that it must contain, which are checked
                before TensorFlow is imported.

        Raises:
            DataError: There is no bundle, or it does not contain a challenge.
        """


flags.disclaim_key_flags()


def define_bundle_flags() -> OpenBundle:
    """Defines --bundle, --server and --served_name.

    Returns:
        Function that opens the bundle when the flags have been parsed.
    """
    bundle = flags.DEFINE_string(
        "bundle", None, "Bundle, or the directory of its versions.", required=True
    )
    server = flags.DEFINE_string(
        "server",
        None,
        "Address of a model server of the bundle, grpc://host:8500 or "
        "http://host:8501. Only the configuration is then read from --bundle.",
    )
    name = flags.DEFINE_string(
        "served_name",
        None,
        "Name of the model on the server. Default: that of the directory of versions.",
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
        if name.value and not server.value:
            raise DataError(
                f"--served_name needs --server. Received: served_name={name.value}"
            )
        if not server.value:
            app.progress("loading TensorFlow and the bundle, about five seconds")
        from dc_keras.serving.predictor import Predictor

        if server.value:
            # Otherwise urllib3 logs each retry; the final error is sufficient.
            logging.getLogger("urllib3").setLevel(logging.ERROR)
            return Predictor.connect(Path(bundle.value), server.value, name.value)
        return Predictor.load(Path(bundle.value))

    return open_bundle


def read_bundle_config() -> Mapping[str, Any]:
    """Returns the configuration of --bundle, without loading the model."""
    from dc_keras.serving.bundle_config import find_version, read_config

    return read_config(find_version(Path(str(flags.FLAGS["bundle"].value))))
