"""The words of the simulated world: captions, hashtags, names.

The words, tags and emoji of a caption are drawn from topics, with probabilities given
by a softmax of the textual taste. Captions are in English or Spanish.
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

# Scale of the taste inside the softmax; 0 gives uniform topics and scenes.
_TASTE_SHARPNESS = 2.5


def taste_weights(taste: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the probability of each of `TOPICS` or `SCENES`: a softmax of the taste.

    Args:
        taste: textual or visual taste, float64 (4,).

    Returns:
        Probabilities, float64 (8,), first of the positive ends of the components, then
        of the negative ends.
    """
    scores = _TASTE_SHARPNESS * np.concatenate([taste, -taste])
    odds = np.exp(scores - scores.max())
    return np.asarray(odds / odds.sum(), dtype=np.float64)


def draw_topic(rng: np.random.Generator, weights: NDArray[np.float64]) -> Topic:
    """Draws one of `TOPICS` with probabilities `weights`, float64 (8,)."""
    return TOPICS[rng.choice(len(TOPICS), p=weights)]


def pick(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    """Draws one of the values, with equal probabilities."""
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
    """Draws a caption: a sentence, possibly an emoji, mentions, hashtags.

    Args:
        rng: random generator.
        weights: probabilities of `TOPICS`, float64 (8,).
        language: language of the sentence; hashtags are in both languages.
        mean_tags: expected number of topical hashtags, before repeats are dropped.
        tags: hashtags that the caption must contain, without #, as spelled.
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
    """Draws distinct two-word names, such as "mirror jump".

    Args:
        rng: random generator.
        count: number of names, at most 144.
    """
    phrases = [f"{head} {tail}" for head in NAME_HEADS for tail in NAME_TAILS]
    chosen = rng.choice(len(phrases), size=count, replace=False)
    return tuple(phrases[index] for index in chosen)


def challenge_tags(phrase: str) -> tuple[str, str]:
    """Returns the two hashtags of a challenge: "mirrorjumpchallenge", "mirrorjump"."""
    joined = phrase.replace(" ", "")
    return f"{joined}challenge", joined


def draw_tag_spelling(rng: np.random.Generator, phrase: str) -> str:
    """Draws one of the usual spellings of a challenge's hashtag."""
    long, short = challenge_tags(phrase)
    camel = phrase.title().replace(" ", "")
    return pick(rng, (long, long, f"{camel}Challenge", short, camel, long.upper()))


def draw_handles(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    """Draws distinct handles of lower-case letters, digits, dots and underscores."""
    handles = []
    for index in range(count):
        separator = pick(rng, (".", "_", ""))
        name = f"{pick(rng, HANDLE_HEADS)}{separator}{pick(rng, HANDLE_TAILS)}"
        handles.append(f"{name}{index:03d}")
    return tuple(handles)
