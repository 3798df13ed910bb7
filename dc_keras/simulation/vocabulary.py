"""The vocabulary of the simulated world: topics, sentences, names.

Each of the four components of the textual taste has one topic at its positive and one
at its negative end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "es"]


@dataclass(frozen=True)
class Topic:
    """The vocabulary of a topic.

    Attributes:
        name: in English.
        english: English nouns.
        spanish: Spanish nouns.
        tags: hashtags.
        emoji: emoji.
        sounds: titles of sounds.
    """

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
