"""Networks that turn frames and captions into embeddings, and their registry."""

from dc_keras.encoders.registry import register_text, register_vision

__all__ = ["register_text", "register_vision"]
