"""The words of the simulated world: captions, hashtags, names.

A caption draws its words, tags and emoji from the topics by the softmax of the textual
taste, in English or in Spanish.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dc_keras.simulation.vocabulary import (
    GENERIC_TAGS,
    HANDLE_HEADS,
    HANDLE_TAILS,
    NAME_HEADS,
    NAME_TAILS,
    TEMPLATES,
    TOPICS,
    Language,
    Topic,
)

# How sharply taste decides the topic: 0 is not at all.
_TOPIC_SHARPNESS = 2.5


def topic_weights(textual_taste: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns how likely each of `TOPICS` is: the softmax of the taste.

    Args:
        textual_taste: float64 (4,).

    Returns:
        Probabilities, float64 (8,), in the order of `TOPICS`.
    """
    scores = _TOPIC_SHARPNESS * np.concatenate([textual_taste, -textual_taste])
    odds = np.exp(scores - scores.max())
    return np.asarray(odds / odds.sum(), dtype=np.float64)


def draw_topic(rng: np.random.Generator, weights: NDArray[np.float64]) -> Topic:
    """Draws one of `TOPICS` by its weight, float64 (8,)."""
    return TOPICS[rng.choice(len(TOPICS), p=weights)]


def pick(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    """Draws one of the values, each as likely."""
    return values[rng.integers(len(values))]


def draw_caption(
    rng: np.random.Generator,
    weights: NDArray[np.float64],
    *,
    language: Language,
    mean_tags: float,
    tags: tuple[str, ...] = (),
    mentions: tuple[str, ...] = (),
) -> str:
    """Writes a caption: a sentence, perhaps an emoji, mentions, hashtags.

    Args:
        rng: source of the draws.
        weights: of `TOPICS`, float64 (8,).
        language: of the sentence; hashtags come in both.
        mean_tags: expected number of topical hashtags, before repeats are dropped.
        tags: hashtags that the caption must carry, without #, as spelled.
        mentions: handles, without @.

    Returns:
        The text as posted.
    """
    template = pick(rng, TEMPLATES[language])
    nouns = [
        pick(rng, draw_topic(rng, weights).nouns(language))
        for _ in range(template.count("{}"))
    ]
    parts = [template.format(*nouns)]
    if rng.random() < 0.5:
        parts.append(pick(rng, draw_topic(rng, weights).emoji))
    parts += [f"@{handle}" for handle in mentions]
    topical = [
        _respell(rng, pick(rng, draw_topic(rng, weights).tags))
        for _ in range(rng.poisson(mean_tags))
    ]
    parts += [f"#{tag}" for tag in dict.fromkeys((*tags, *topical))]
    if rng.random() < 0.4:
        parts.append(f"#{pick(rng, GENERIC_TAGS)}")
    return " ".join(parts)


def _respell(rng: np.random.Generator, tag: str) -> str:
    return tag.capitalize() if rng.random() < 0.2 else tag


def draw_challenge_phrases(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    """Draws different two-word names, such as "mirror jump".

    Args:
        rng: source of the draws.
        count: how many, at most 144.
    """
    phrases = [f"{head} {tail}" for head in NAME_HEADS for tail in NAME_TAILS]
    chosen = rng.choice(len(phrases), size=count, replace=False)
    return tuple(phrases[index] for index in chosen)


def challenge_tags(phrase: str) -> tuple[str, str]:
    """Returns the two hashtags of a challenge: "mirrorjumpchallenge", "mirrorjump"."""
    joined = phrase.replace(" ", "")
    return f"{joined}challenge", joined


def draw_tag_spelling(rng: np.random.Generator, phrase: str) -> str:
    """Draws one of the ways in which people spell a challenge's hashtag."""
    long, short = challenge_tags(phrase)
    camel = phrase.title().replace(" ", "")
    return pick(rng, (long, long, f"{camel}Challenge", short, camel, long.upper()))


def draw_handles(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    """Draws different handles of lower-case letters, digits, dots and underscores."""
    handles = []
    for index in range(count):
        separator = pick(rng, (".", "_", ""))
        name = f"{pick(rng, HANDLE_HEADS)}{separator}{pick(rng, HANDLE_TAILS)}"
        handles.append(f"{name}{index:03d}")
    return tuple(handles)
