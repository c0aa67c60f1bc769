"""Texts as data: cleaned, bounded, cut into sentences and words. English and Russian alike."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

from lycosa.analysis.report import Language

__all__ = [
    "Scope",
    "clean",
    "clip_bytes",
    "content_list",
    "content_words",
    "language_of",
    "one_line",
    "sentences",
    "visible",
    "words",
]

Scope = Literal["text", "line"]

# Control, format (bidi marks, zero widths, tag characters), surrogate, private and unassigned characters.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SPACES = re.compile(r"[^\S\n]+")
_LINE_END = re.compile(r"\s*\n\s*")
_END = re.compile(r"[.!?…]+[\"'»”’)\]]*(?=\s|$)|\n+")
_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
_ABBREVIATION_TEXT = (
    "inc ltd co corp llc mr mrs ms dr prof st no vs etc e.g i.e u.s u.k jr sr approx est "
    "г гг в вв т д п р им ул руб тыс млн млрд т.е т.д т.п т.к стр рис см др проф акад обл"
)
_STOP_TEXT = (
    "a an and are as at be been but by did do does for from had has have he her his how i in into is it its my not "
    "of on or our she so that the their them they this to us was we were what when where which who why will with you "
    "your about any can customer "
    "а без бы был была были было быть в во вы да для до его ее если есть еще же за и из или им их к как ко когда кто "
    "ли мне мы на над не нет но о об он она они от по под при с со так там то того только тот у уже что чтобы эта эти "
    "это этот я про какие какой какая какое каковы клиент клиента клиенте"
)
_ABBREVIATIONS = frozenset(_ABBREVIATION_TEXT.split())
_STOP_WORDS = frozenset(_STOP_TEXT.split())


def clean(text: str, limit: int, scope: Scope = "text") -> str:
    """The text without characters that are not seen, composed (NFC), and cut at a word within `limit` characters.

    Bidirectional marks, zero widths and control characters can hide one text inside another; none is kept but the
    line feed, and with scope `line` not that either.
    """
    kept = []
    for character in unicodedata.normalize("NFC", text[: 4 * limit]):
        if character == "\n" and scope == "text":
            kept.append(character)
        elif character in "\n\t\r":
            kept.append(" ")
        elif unicodedata.category(character) not in _UNSEEN:
            kept.append(character)
    joined = _LINE_END.sub("\n", _SPACES.sub(" ", "".join(kept))).strip()
    if len(joined) <= limit:
        return joined
    cut = joined[:limit]
    border = max(cut.rfind(" "), cut.rfind("\n"))
    return (cut[:border] if border > limit // 2 else cut).rstrip()


def visible(text: str) -> str:
    """The text without characters that are not seen, line feeds apart; blanks stay as they are, as streams need it."""
    return "".join(
        character for character in text if character == "\n" or unicodedata.category(character) not in _UNSEEN
    )


def one_line(text: str, limit: int) -> str:
    """`clean` for titles and names: no line feeds."""
    return clean(text, limit, "line")


def clip_bytes(text: str, limit: int) -> str:
    """The longest beginning of the text that is at most `limit` bytes of UTF-8."""
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[:limit].decode(errors="ignore")


def _is_abbreviation(text: str, dot: int) -> bool:
    """Whether the full stop at `dot` ends an abbreviation or an initial and not a sentence."""
    start = dot
    while start > 0 and (text[start - 1].isalpha() or text[start - 1] == "."):
        start -= 1
    word = text[start:dot]
    if len(word) == 1 and word.isalpha():
        # "A. Smith" and "А. С. Пушкин"; one capital is an initial, one small letter a known abbreviation.
        return word.isupper() or word in _ABBREVIATIONS
    return word.lower() in _ABBREVIATIONS


def sentences(text: str) -> Iterator[str]:
    """Sentences of a text, each exactly as it stands there (a substring), without blanks around it."""
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        following = text[end:].lstrip()[:1]
        dot = text[match.start()] == "."
        if dot and following and (following.islower() or _is_abbreviation(text, match.start())):
            continue
        sentence = text[start:end].strip()
        if sentence:
            yield sentence
        start = end
    rest = text[start:].strip()
    if rest:
        yield rest


def language_of(text: str) -> Language | None:
    """`ru` when most letters are Cyrillic, `en` when most are Latin, None without letters."""
    cyrillic = latin = 0
    for character in text:
        if "Ѐ" <= character <= "ӿ":
            cyrillic += 1
        elif character.isascii() and character.isalpha():
            latin += 1
    if cyrillic == latin == 0:
        return None
    return "ru" if cyrillic > latin else "en"


def words(text: str) -> list[str]:
    """Words in lower case with ё as е."""
    return [word.replace("ё", "е") for word in _WORD.findall(text.lower())]


def content_list(text: str) -> list[str]:
    """The beginnings of the words that carry meaning, in their order, so that inflected forms meet.

    Five letters stand for a longer word: coarser than the store's stemmers and enough to compare sentences that the
    store has already found.
    """
    return [word if word.isdigit() else word[:5] for word in words(text) if word not in _STOP_WORDS]


def content_words(text: str) -> set[str]:
    """`content_list` without order and repeats."""
    return set(content_list(text))
