"""Writes text encoders that bring their own tokeniser, with random weights."""

import io
import string

import keras
import keras_nlp
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

SIZES = {
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
    "max_sequence_length": 32,
}


def byte_pairs():
    """The vocabulary and the merges of a byte-level tokeniser."""
    pieces = ("<s>", "<pad>", "</s>", "<unk>", "<mask>", *string.ascii_lowercase)
    pieces += ("Ġ", "#", "da", "nc", "nce", "dance", "Ġdance")
    merges = ["d a", "n c", "nc e", "da nce", "Ġ dance"]
    return {piece: number for number, piece in enumerate(pieces)}, merges


def sentence_pieces():
    """A trained model of SentencePiece, as bytes."""
    trainer = pytest.importorskip("sentencepiece").SentencePieceTrainer
    model = io.BytesIO()
    special = ("<pad>", "<unk>", "[CLS]", "[SEP]")
    names = zip(("pad", "unk", "bos", "eos"), special, strict=True)
    trainer.train(
        sentence_iterator=iter(["dance a b c", "post cats dance", "look at the cat"]),
        model_writer=model,
        vocab_size=22,
        user_defined_symbols="[MASK]",
        minloglevel=2,
        **{f"{name}_piece": piece for name, piece in names},
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
    )
    return model.getvalue()


def save_preset(directory, tokenizer, backbone, **sizes):
    """Writes a preset of random weights."""
    keras.utils.set_random_seed(0)
    made = backbone(vocabulary_size=tokenizer.vocabulary_size(), **(SIZES | sizes))
    # Fresh weights are small, and hide what they are multiplied by.
    for weight in made.weights:
        weight.assign_add(0.3 * keras.random.normal(weight.shape, seed=1))
    made.save_to_preset(str(directory))
    tokenizer.save_to_preset(str(directory))
    return f"keras_hub:{directory}"


def save_roberta(directory):
    """Writes a RoBERTa; returns its handle."""
    models = keras_nlp.models
    tokenizer = models.RobertaTokenizer(*byte_pairs())
    return save_preset(directory, tokenizer, models.RobertaBackbone)


def save_preprocessor(directory, vocabulary, *, length, takes_length):
    """Writes a preprocessing module, as TensorFlow Hub has them for BERT."""
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(vocabulary), tf.range(len(vocabulary), dtype=tf.int64)
        ),
        num_oov_buckets=1,
    )
    tokenizer = tf_text.BertTokenizer(table, lower_case=True)
    cls, sep = (vocabulary.index(token) for token in ("[CLS]", "[SEP]"))

    def tokenize(texts):
        return tf.cast(tokenizer.tokenize(texts).merge_dims(-2, -1), tf.int32)

    def pack(inputs, seq_length):
        [pieces] = inputs
        pieces = pieces[:, : seq_length - 2]
        column = tf.ones([pieces.nrows(), 1], tf.int32)
        packed = tf.concat([column * cls, pieces, column * sep], axis=1)
        ids = packed.to_tensor(shape=tf.stack([-1, seq_length]))
        mask = tf.sequence_mask(packed.row_lengths(), seq_length, tf.int32)
        names = ("input_word_ids", "input_mask", "input_type_ids")
        return dict(zip(names, (ids, mask, tf.zeros_like(ids)), strict=True))

    texts = tf.TensorSpec((None,), tf.string)
    pieces = tf.RaggedTensorSpec((None, None), tf.int32, row_splits_dtype=tf.int64)
    root = tf.train.Checkpoint(table=table)
    root.__call__ = tf.function(
        lambda given: pack([tokenize(given)], length), input_signature=[texts]
    )
    if takes_length:
        root.tokenize = tf.function(tokenize, input_signature=[texts])
        root.bert_pack_inputs = tf.function(pack)
        root.bert_pack_inputs.get_concrete_function(
            [pieces], seq_length=tf.TensorSpec((), tf.int32)
        )
    tf.saved_model.save(root, str(directory))
    return f"hub:{directory}"
