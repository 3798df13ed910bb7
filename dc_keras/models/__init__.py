"""The networks of the paper as Keras models: two proxies and deepChallenger."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dc_keras.models.deep_challenger import DeepChallenger
    from dc_keras.models.proxy import ChallengeProxy, UserProxy, embedding_model

__all__ = ["ChallengeProxy", "DeepChallenger", "UserProxy", "embedding_model"]

_HOME_OF = {
    "ChallengeProxy": "proxy",
    "DeepChallenger": "deep_challenger",
    "UserProxy": "proxy",
    "embedding_model": "proxy",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'dc_keras.models' has no attribute {name!r}")
    value = getattr(import_module(f"dc_keras.models.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
