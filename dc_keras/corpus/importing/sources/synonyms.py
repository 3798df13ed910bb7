"""The names of columns in hand-made tables.

A header is reduced to its essential words: without accents, capitals, punctuation,
plural s, words such as "number of", and "video", "post" or "TikTok" next to other
words. `# of Likes`, `like_count` and `Likes (total)` all become `like`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from dc_keras.corpus.importing.sources.post import Row

# Field: headers in English, German, Spanish and French, the most specific ones first.
_TEXT = """
video_id: video id, post id, aweme id, item id, clip id, media id, id, video nummer,
    id del video, id de la video, identifiant, beitrag id, beitrags id,
    id de la publicacion, id de la publication
url: video url, post url, share url, web video url, video link, url, share link, link,
    permalink, hyperlink, web address, address, link zum video, adresse, enlace,
    direccion, lien, lien vers
profile_url: profile url, profile link, author url, user url, creator url, account url,
    author link, profil link, enlace al perfil, lien vers le profil, channel url
user_id: author id, user id, creator id, account id, profile id, uid, autor id,
    nutzer id, benutzer id, id del autor, id de usuario, id auteur, id utilisateur
handle: username, user name, handle, author username, author handle, creator username,
    creator handle, account handle, tiktok username, unique id, author unique id,
    screen name, account name, author name, creator name, channel name, profile name,
    author, user, creator, account, profile, channel, uploader, posted by, influencer,
    owner, benutzername, nutzername, nutzer, benutzer, autor, autorin, konto, ersteller,
    profil, nombre de usuario, usuario, autora, creador, creadora, cuenta, perfil,
    nom d'utilisateur, utilisateur, auteur, compte, createur
name: nickname, display name, full name, author nickname, name
caption: caption, description, desc, text, body, content, message, title, video text,
    beschreibung, bildunterschrift, inhalt, titel, descripcion, leyenda, texto,
    contenido, titulo, legende, texte, contenu, titre
create_time: create time, created at, creation time, creation date, created,
    date posted, posted at, posted on, posted, time posted, publish date, published at,
    published on, published, publish time, publication date, upload date, uploaded at,
    uploaded, timestamp, date and time, date time, datetime, date utc, date, time,
    unix timestamp, veroffentlicht am, veroffentlicht, erstellt am, gepostet am, datum,
    uhrzeit, zeitstempel, fecha de publicacion, publicado el, fecha y hora, fecha,
    date de publication, publie le, date et heure, horodatage
views: view, play, viewer, aufruf, aufrufe, wiedergabe, wiedergaben, vista,
    visualizacion, visualizaciones, reproduccion, reproducciones, vue, lecture,
    visionnage
likes: like, heart, digg, gefallt mir, gefallt mir angaben, herzen, me gusta, megusta,
    corazon, corazones, j'aime, mention j'aime
comments: comment, kommentar, kommentare, comentario, commentaire
shares: share, geteilt, teilungen, compartido, compartida, veces compartido, partage
saves: save, saved, bookmark, collect, collected, favorite, favourite, gespeichert,
    lesezeichen, guardado, guardada, favorito, enregistrement, enregistre, favori
duration_s: duration, length, duration s, duration sec, duration second, length s,
    length sec, length second, dauer, lange, duracion, duree
hashtags: hashtag, tag, hashtag name, challenge, etiqueta
mentions: mention, mentioned user, erwahnung, erwahnungen, mencion
music_id: music id, sound id, audio id, song id, ton id, musik id
music_title: music title, sound title, song title, music name, sound name, music, sound,
    song, audio, track, musik, ton, musica, sonido, cancion, musique, chanson
region: region, region code, country, country code, location, location created, land,
    pais, pays
language: language, lang, text language, sprache, idioma, langue
transcript: transcript, transcription, voice to text, transkript
effects: effect, effect id, effect name, effekt, efecto, effet
followers: follower, author follower, subscriber, abonnent, abonnenten, seguidor,
    seguidores, abonne
"""
SYNONYMS: dict[str, tuple[str, ...]] = {
    field: tuple(map(str.strip, headers.split(",")))
    for field, _, headers in (
        line.partition(": ") for line in _TEXT.replace("\n   ", "").strip().splitlines()
    )
}
_STOP_WORDS = frozenset(
    {"of", "the", "a", "an", "number", "num", "no", "nr", "count", "total", "how"}
    | {"many", "n", "nb", "nombre", "de", "des", "du", "d", "la", "le", "les", "l"}
    | {"del", "los", "las", "el", "numero", "cantidad", "anzahl", "der", "die"}
    | {"das", "zahl"}
)
# Words that are ignored next to other words.
_CONTEXT = frozenset(
    ("video", "post", "clip", "tiktok", "tik", "tok", "videos", "posts")
)
_SHORTEST_ID = 12
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BRACKETS = re.compile(r"\([^()%]*\)|\[[^\[\]%]*\]|['’]s\b")
_WORDS = re.compile(r"[^\W_]+|%")


def name_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the known fields of a record under canonical names.

    If several columns have the same field, the most specific header is used. A URL of a
    profile in the column of a handle becomes `profile_url`. A number that is too short
    for the id of a post is ignored.
    """
    found: dict[str, tuple[int, Any]] = {}
    for header, value in record.items():
        field, rank = find_field(header)
        if field is None or value is None or value == "":
            continue
        if field == "handle" and isinstance(value, str) and "tiktok.com/@" in value:
            field = "profile_url"
        if field == "video_id" and _is_row_number(value):
            continue
        if field not in found or rank < found[field][0]:
            found[field] = (rank, value)
    kind = type(record) if isinstance(record, Row) else dict
    return kind((field, value) for field, (_, value) in found.items())


@lru_cache(maxsize=2**12)
def find_field(header: str) -> tuple[str | None, int]:
    """Returns the field of a header and its rank; the field is None if unknown.

    A smaller rank is more specific: 0 for `Video ID`, 1 for `ID`.
    """
    words, has_context = _words_of(header)
    field, rank = _BY_WORDS.get(words, (None, 0))
    return field, 2 * rank + (not has_context)


def _is_row_number(value: object) -> bool:
    digits = str(value).strip()
    return digits.isdecimal() and len(digits) < _SHORTEST_ID


def _words_of(header: str) -> tuple[str, bool]:
    """Returns the essential words of a header, and whether others were removed."""
    text = unicodedata.normalize("NFKD", _CAMEL.sub(" ", header))
    text = "".join(c for c in text if not unicodedata.combining(c)).casefold()
    words = [
        w for w in _WORDS.findall(_BRACKETS.sub(" ", text)) if w not in _STOP_WORDS
    ]
    essential = [word for word in words if word not in _CONTEXT]
    return " ".join(map(_singular, essential)), len(essential) < len(words)


def _singular(word: str) -> str:
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if is_plural else word


_BY_WORDS: dict[str, tuple[str, int]] = {}
for _field, _headers in SYNONYMS.items():
    for _rank, _header in enumerate(_headers):
        _BY_WORDS.setdefault(_words_of(_header)[0], (_field, _rank))
