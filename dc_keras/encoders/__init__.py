"""Encoders of frames and captions, and their registry."""

from dc_keras.encoders.registry import register_text, register_vision

__all__ = ["register_text", "register_vision"]
