"""Connects to a model server, over the protocol that its address names."""

from __future__ import annotations

from typing import Any

from dc_keras.errors import DataError
from dc_keras.serving.client import Client, without_credentials
from dc_keras.serving.rest_client import RestClient


def connect(address: str, model: str, **options: Any) -> Client:
    """Returns a client for an address: "http://…", "https://…" or "grpc://host:port".

    Raises:
        DataError: another address; see also `Client`.
    """
    scheme, _, rest = address.partition("://")
    if scheme in ("http", "https") and rest:
        return RestClient(address, model, **options)
    if scheme == "grpc" and rest:
        # Only where it is used: it needs the extra `serving`, and TensorFlow.
        from dc_keras.serving.grpc_client import GrpcClient

        return GrpcClient(rest, model, **options)
    raise DataError(
        "a server's address must begin with http://, https:// or grpc://. "
        f"Received: address={without_credentials(address)!r}"
    )
