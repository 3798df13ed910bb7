"""Creates the client of a model server for the protocol of its address."""

from __future__ import annotations

from typing import Any

from dc_keras.errors import DataError
from dc_keras.serving.client import Client, strip_credentials
from dc_keras.serving.rest_client import RestClient


def connect(address: str, model: str, **options: Any) -> Client:
    """Returns a REST or gRPC client of a model; for options see `Client`.

    Args:
        address: "http://…", "https://…" or "grpc://host:port".
        model: name of the model.
        options: options of `Client`.

    Raises:
        DataError: the address has another form; see also `Client`.
    """
    scheme, _, rest = address.partition("://")
    if scheme in ("http", "https") and rest:
        return RestClient(address, model, **options)
    if scheme == "grpc" and rest:
        # Imported here because it needs the extra `serving` and TensorFlow.
        from dc_keras.serving.grpc_client import GrpcClient

        return GrpcClient(rest, model, **options)
    raise DataError(
        "a server's address must begin with http://, https:// or grpc://. "
        f"Received: address={strip_credentials(address)!r}"
    )
