"""The words of the simulated world: captions, hashtags, names.

The words, tags and emoji of a caption are drawn from topics, with probabilities given
by a softmax of the textual taste. Captions are in English or Spanish.

Each of the four components of the textual taste has one topic at its positive and one
at its negative end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Language = Literal["en", "es"]


@dataclass(frozen=True)
class Topic:
    """The vocabulary of a topic: nouns in two languages, tags, emoji and sounds."""

    name: str
    english: tuple[str, ...]
    spanish: tuple[str, ...]
    tags: tuple[str, ...]
    emoji: tuple[str, ...]
    sounds: tuple[str, ...]

    def nouns(self, language: Language) -> tuple[str, ...]:
        """Returns the nouns in the given language."""
        return self.english if language == "en" else self.spanish


# Topic k is at the positive end of textual taste component k, topic k + 4 at its
# negative end.
TOPICS: tuple[Topic, ...] = (
    Topic(
        name="dance",
        english=("dance", "choreography", "moves", "ballet", "rhythm", "studio"),
        spanish=("baile", "coreografía", "pasos", "ballet", "ritmo", "estudio"),
        tags=("dancing", "dancelife", "baile", "coreo"),
        emoji=("💃", "🕺", "🩰"),
        sounds=("Midnight Steps", "Two Left Feet", "Ritmo de Verano"),
    ),
    Topic(
        name="cooking",
        english=("recipe", "pasta", "kitchen", "cake", "dinner", "sauce"),
        spanish=("receta", "pasta", "cocina", "pastel", "cena", "salsa verde"),
        tags=("recipes", "foodie", "recetas", "cocinafacil"),
        emoji=("🍝", "🍰", "🥖"),
        sounds=("Kitchen Radio", "Butter and Salt", "Cena para Dos"),
    ),
    Topic(
        name="pets",
        english=("puppy", "cat", "kitten", "dog", "rabbit", "paws"),
        spanish=("perrito", "gato", "gatito", "perro", "conejo", "patitas"),
        tags=("petlover", "catsoftiktok", "mascotas", "perritos"),
        emoji=("🐶", "🐱", "🐰"),
        sounds=("Paws on the Piano", "Good Boy Anthem", "Siete Vidas"),
    ),
    Topic(
        name="comedy",
        english=("joke", "prank", "sketch", "laughs", "punchline", "parody"),
        spanish=("chiste", "broma", "sketch", "risas", "remate", "parodia"),
        tags=("comedy", "funnyvideo", "humor", "chistes"),
        emoji=("😂", "🤣", "🙃"),
        sounds=("Canned Laughter", "Awkward Silence", "Risa Floja"),
    ),
    Topic(
        name="gaming",
        english=("game", "console", "level", "boss fight", "stream", "controller"),
        spanish=("juego", "consola", "nivel", "jefe final", "directo", "mando"),
        tags=("gaming", "gamer", "videojuegos", "speedruns"),
        emoji=("🎮", "👾", "🕹️"),
        sounds=("Final Boss", "Eight Bit Heart", "Nivel Secreto"),
    ),
    Topic(
        name="sports",
        english=("football", "training", "goal", "gym", "marathon", "coach"),
        spanish=("fútbol", "entrenamiento", "gol", "gimnasio", "maratón", "entrenador"),
        tags=("fitness", "gymtok", "futbol", "entrenar"),
        emoji=("⚽", "🏋️", "🏆"),
        sounds=("Extra Time", "Stadium Lights", "Gol de Oro"),
    ),
    Topic(
        name="fashion",
        english=("outfit", "dress", "makeup", "sneakers", "lipstick", "style"),
        spanish=("conjunto", "vestido", "maquillaje", "zapatillas", "labial", "estilo"),
        tags=("ootd", "makeuptok", "moda", "estilo"),
        emoji=("👗", "💄", "👟"),
        sounds=("Runway Walk", "Velvet Mirror", "Tacones Rojos"),
    ),
    Topic(
        name="travel",
        english=("beach", "mountains", "airport", "sunset", "backpack", "island"),
        spanish=("playa", "montañas", "aeropuerto", "atardecer", "mochila", "isla"),
        tags=("traveltok", "wanderlust", "viajes", "playa"),
        emoji=("🏝️", "✈️", "🌄"),
        sounds=("Window Seat", "Golden Hour Drive", "Rumbo al Sur"),
    ),
)

GENERIC_TAGS = ("fyp", "foryou", "foryoupage", "parati", "viral", "xyzbca")

# Each {} is replaced by a noun.
TEMPLATES: dict[Language, tuple[str, ...]] = {
    "en": (
        "{} and {} today",
        "my {} is all about {}",
        "when the {} meets the {}",
        "first try at {} with {}",
        "just {}, {} and {}",
        "who else loves {}? more {} soon",
        "POV: you found the {}",
    ),
    "es": (
        "{} y {} hoy",
        "mi {} con mucho {}",
        "cuando llega el {} y también {}",
        "primer intento de {} con {}",
        "solo {}, {} y {}",
        "¿a quién más le gusta {}? pronto más {}",
        "así fue mi {}",
    ),
}

NAME_HEADS = (
    *("glass", "mirror", "paper", "shadow", "bubble", "silver"),
    *("lemon", "thunder", "velvet", "pocket", "rocket", "sugar"),
)
NAME_TAILS = (
    *("jump", "spin", "switch", "walk", "freeze", "wave"),
    *("drop", "clap", "stare", "bounce", "swap", "slide"),
)
HANDLE_HEADS = ("luna", "leo", "mia", "noah", "sofia", "diego", "emma", "hugo", "vera")
HANDLE_TAILS = ("daily", "real", "oficial", "tv", "xo", "vibes", "world", "life", "yt")


# Scale of the taste inside the softmax; 0 gives uniform topics and scenes.
_TASTE_SHARPNESS = 2.5


def taste_weights(taste: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the probability of each of `TOPICS` or `SCENES`: a softmax of the taste.

    The taste is float64 (4,). The result, float64 (8,), has first the positive ends of
    its components, then the negative ends.
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
    """Draws up to 144 distinct two-word names, such as "mirror jump"."""
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
