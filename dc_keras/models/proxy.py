"""The two proxy models: which challenge is this video of, which user posted it?

Their task is a pretext; what is kept is the learned video embedding before the softmax,
from which eqs. (1) and (2) make representations (sections IV-A and IV-B).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from dc_keras.models.dropout import DropModality, DropUnits
from dc_keras.models.ensemble import dense, normalize
from dc_keras.models.functional_model import (
    FunctionalModel,
    dtype_policy_scope,
    require_positive,
)
from dc_keras.models.pooling import (
    PoolSet,
    Standardize,
    standardize_and_pool,
    standardizer,
)
from dc_keras.options import ModelOptions

EMBEDDING_LAYER = "video_embedding"
POOL_FRAMES = "pool_frames"
STANDARDIZE_CAPTION = "standardize_caption"


class VideoProxy(FunctionalModel):
    """A classifier of videos, the base class of both proxies.

    Args:
        num_classes: challenges or users to tell apart.
        num_frames: frames of a video; 0 for a model of captions alone.
        frame_dim: width of a frame embedding; 0 for a model of captions alone.
        caption_dim: width of a caption embedding; 0 for a model of frames alone.
        name: name of the model.
        dtype: dtype policy of the layers; None for the default one.
        trainable: whether the weights are trained.
        **options: fields of `dc_keras.options.ModelOptions`, such as `hidden_dim`.

    Call arguments:
        inputs: by name, each only where its sizes are not 0: `frames` float32
            (batch_size, num_frames, frame_dim), `frame_mask` bool (batch_size,
            num_frames), `caption` float32 (batch_size, caption_dim).

    Returns:
        Probabilities of the classes, float32 (batch_size, num_classes). The learned
        video embedding is the output of the layer `video_embedding`; see
        `embedding_model`.

    Raises:
        ValueError: the model would see neither frames nor captions.
        DataError: an option outside its range.
        TypeError: an unknown option.

    Reference:
        Sections IV-A and IV-B: concatenated frame embeddings, concatenated with the
        caption's [CLS], a feed-forward network, softmax.
    """

    def __init__(
        self,
        num_classes: int,
        num_frames: int = 0,
        frame_dim: int = 0,
        caption_dim: int = 0,
        *,
        name: str = "video_proxy",
        dtype: Any = None,
        trainable: bool = True,
        **options: Any,
    ) -> None:
        require_positive(num_classes=num_classes)
        if num_frames * frame_dim == 0 and caption_dim == 0:
            raise ValueError(
                "a video model needs frames, captions or both. Received: "
                f"num_frames={num_frames}, frame_dim={frame_dim}, "
                f"caption_dim={caption_dim}"
            )
        shape = ModelOptions(**options)
        with dtype_policy_scope(dtype) as policy:
            tensors = _video_tensors(num_frames, frame_dim, caption_dim)
            x = _embed(_join_modalities(tensors, shape), shape)
            x = keras.layers.Dense(num_classes, name="logits")(x)
            x = keras.layers.Softmax(name="class", dtype="float32")(x)
        arguments = {
            "num_classes": num_classes,
            "num_frames": num_frames,
            "frame_dim": frame_dim,
            "caption_dim": caption_dim,
        }
        super().__init__(
            tensors, x, arguments, shape, policy, name=name, trainable=trainable
        )


@keras.saving.register_keras_serializable(package="dc_keras")
class ChallengeProxy(VideoProxy):
    """Predicts which challenge a video belongs to; see `VideoProxy` (section IV-A)."""

    def __init__(
        self, *args: Any, name: str = "challenge_proxy", **kwargs: Any
    ) -> None:
        super().__init__(*args, name=name, **kwargs)


@keras.saving.register_keras_serializable(package="dc_keras")
class UserProxy(VideoProxy):
    """Predicts which user posted a video; see `VideoProxy` (section IV-B)."""

    def __init__(self, *args: Any, name: str = "user_proxy", **kwargs: Any) -> None:
        super().__init__(*args, name=name, **kwargs)


def _embed(x: Any, options: ModelOptions) -> Any:
    """The feed-forward network; its last activation is the video embedding."""
    for index in range(options.num_layers):
        is_last = index == options.num_layers - 1
        x = dense_block(
            [x], options, f"dense_{index}", EMBEDDING_LAYER if is_last else None
        )
        x = DropUnits(options.dropout, name=f"dropout_{index}")(x)
    return x


def dense_block(
    inputs: Sequence[Any],
    options: ModelOptions,
    name: str,
    activation_name: str | None = None,
    copies: int | None = None,
) -> Any:
    """Dense over the inputs, joined; LayerNorm where the options ask for it; relu."""
    x = dense(inputs, options.hidden_dim, copies, name)
    if options.layer_norm:
        x = normalize(x, copies, f"{name}_norm")
    return keras.layers.ReLU(name=activation_name or f"{name}_relu")(x)


def embedding_model(proxy: keras.Model) -> keras.Model:
    """Returns the proxy up to its learned video embedding, (batch_size, hidden_dim)."""
    output = proxy.get_layer(EMBEDDING_LAYER).output
    return keras.Model(proxy.input, output, name=f"{proxy.name}_embedding")


def _video_tensors(num_frames: int, frame_dim: int, caption_dim: int) -> dict[str, Any]:
    tensors = {}
    if num_frames * frame_dim:
        frames = (num_frames, frame_dim)
        tensors["frames"] = keras.Input(frames, name="frames", dtype="float32")
        tensors["frame_mask"] = keras.Input(
            (num_frames,), name="frame_mask", dtype="bool"
        )
    if caption_dim:
        tensors["caption"] = keras.Input(
            (caption_dim,), name="caption", dtype="float32"
        )
    return tensors


@keras.saving.register_keras_serializable(package="dc_keras")
class AnyNonZero(keras.layers.Layer):
    """Tells of each vector whether anything in it is not zero: bool (batch_size, …)."""

    def call(self, values: Any) -> Any:
        """Reduces the last axis."""
        return ops.any(ops.not_equal(values, 0.0), axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        """Returns the shape without its last axis."""
        return shape[:-1]

    def compute_output_spec(self, values: Any) -> Any:
        """Returns a bool of that shape."""
        return keras.KerasTensor(values.shape[:-1], dtype="bool")


def _join_modalities(tensors: dict[str, Any], options: ModelOptions) -> Any:
    parts = []
    frames = tensors.get("frames")
    if options.modality_dropout > 0 and len(tensors) == 3:
        names = ("frames", "frame_mask", "caption")
        drop = DropModality(options.modality_dropout, name="drop_modality")
        tensors = dict(
            zip(names, drop(*(tensors[name] for name in names)), strict=True)
        )
    if frames is not None:
        # Hidden frames are zeros to a concatenation; the others go by the mask.
        frames = tensors["frames"] if options.frame_pooling == "concat" else frames
        parts.append(_pool_frames(frames, tensors["frame_mask"], options))
    if "caption" in tensors:
        caption = tensors["caption"]
        if options.standardize:
            has_caption = AnyNonZero(name="has_caption")(caption)
            caption = Standardize(caption.shape[-1], name=STANDARDIZE_CAPTION)(
                caption, has_caption
            )
        parts.append(caption)
    if len(parts) == 1:
        return parts[0]
    return keras.layers.Concatenate(name="join_modalities")(parts)


def _pool_frames(frames: Any, mask: Any, options: ModelOptions) -> Any:
    mode = options.frame_pooling
    if not options.standardize:
        return PoolSet(mode, name=POOL_FRAMES)(frames, mask)
    is_frame = AnyNonZero(name="is_frame")(frames)
    return standardize_and_pool(frames, mask, is_frame, mode, POOL_FRAMES)


def standardizers(proxy: keras.Model) -> tuple[Standardize | None, Standardize | None]:
    """Returns what standardizes the frames and the captions of a proxy, if anything."""
    layers = {layer.name: layer for layer in proxy.layers}
    return standardizer(proxy, POOL_FRAMES), layers.get(STANDARDIZE_CAPTION)
