"""The handles that a caption mentions."""

from dc_keras.corpus.records import replace_mentions


def find_mentions(caption):
    """Returns the handles mentioned in a caption, lower-cased, without repeats."""
    found = []
    replace_mentions(caption, lambda handle: found.append(handle) or handle)
    return tuple(dict.fromkeys(found))
