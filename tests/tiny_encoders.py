"""Encoders that build in milliseconds: `--encoders=tiny_encoders --vision=tiny_frames`.

Any image size from 4 px does. Weights: `random`, from the spec's seed, or the networks'
own, from a fixed seed.
"""

import keras

from dc_keras.encoders import register_text, register_vision


@register_vision("tiny_frames")
def tiny_frames(image_size: int) -> keras.Model:
    """Returns two convolutions, 1,400 weights, that end in a map 16 channels deep."""
    return _convolutions(image_size, 8, 16)


@register_vision("tiny_colours")
def tiny_colours(image_size: int) -> keras.Model:
    """Returns one convolution, 336 weights, that ends in a map 12 channels deep."""
    return _convolutions(image_size, 12)


@register_text("tiny_texts")
def tiny_texts() -> keras.Model:
    """Returns the mean of known words' vectors, 6 wide."""
    captions = keras.Input((), dtype="string")
    words = keras.layers.TextVectorization(
        vocabulary=["dance", "cats", "post", "cat"], output_sequence_length=8
    )(captions)
    table = keras.layers.Embedding(
        6, 6, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=0)
    )
    return keras.Model(captions, keras.layers.GlobalAveragePooling1D()(table(words)))


def _convolutions(image_size: int, *sizes: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((image_size, image_size, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1.0),
            *(
                keras.layers.Conv2D(
                    size,
                    3,
                    strides=2,
                    padding="same",
                    activation="relu",
                    kernel_initializer=keras.initializers.HeNormal(seed=size),
                )
                for size in sizes
            ),
        ]
    )
