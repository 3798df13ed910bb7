import string
from pathlib import Path

import pytest

# Real wordpieces would need a download; these spell every ASCII word.
VOCABULARY = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *string.ascii_lowercase,
    *(f"##{letter}" for letter in string.ascii_lowercase),
    *string.digits,
    *(f"##{digit}" for digit in string.digits),
    *"#@!.,",
    "dance",
    "cat",
    "##s",
)
VOCABULARY = tuple(dict.fromkeys(VOCABULARY))


@pytest.fixture(scope="session")
def vocabulary() -> tuple[str, ...]:
    return VOCABULARY


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory) -> Path:
    """A random BERT of two layers, 16 wide, as a keras-nlp preset directory."""
    import keras
    import keras_nlp

    keras.utils.set_random_seed(0)
    backbone = keras_nlp.models.BertBackbone(
        vocabulary_size=len(VOCABULARY),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=64,
    )
    # Freshly made biases are zero, and would hide one that is lost.
    for weight in backbone.weights:
        weight.assign_add(0.3 * keras.random.normal(weight.shape, seed=1))
    directory = tmp_path_factory.mktemp("bert") / "preset"
    backbone.save_to_preset(str(directory))
    tokenizer = keras_nlp.models.BertTokenizer(list(VOCABULARY), lowercase=True)
    tokenizer.save_to_preset(str(directory))
    return directory


@pytest.fixture(scope="session")
def tiny_hub(tiny_preset, tmp_path_factory) -> Path:
    """The same as a SavedModel for tensorflow-hub."""
    from dc_keras.encoders.hub_export import export_text_encoder

    directory = tmp_path_factory.mktemp("hub") / "bert"
    return export_text_encoder(f"keras_nlp:{tiny_preset}", directory)
