"""Texts meant to break tokenizers."""
# ruff: noqa: RUF001  (letters that look like others are what this file is for)

import itertools
import random

PIECES = {
    "accents": ["café", "cafe\u0301", "Ångström", "A\u030angstro\u0308m", "naïve", "Việt Nam"],
    "marks": ["q\u0323\u0307", "q\u0307\u0323", "Z\u0351\u036b\u0343", "a\u0345b", "e\u0323\u0302"],
    "compatible": ["ﬁancé", "ｆｕｌｌ", "Ⅻ", "№ 5", "K", "㎏", "①"],
    "case": ["İstanbul", "ΟΔΟΣ", "ΣΑΣ", "straße", "STRASSE", "ǅ", "it'ſ", "IT'S", "we'LL"],
    "emoji": [
        "😀",
        "👨\u200d👩\u200d👧",
        "👍🏽",
        "🏳️\u200d🌈",
        "🇯🇵",
        "❤️",
        "1️⃣",
        "🧑🏿\u200d🚀 on the 🌕",
    ],
    "entities": [
        "&amp;",
        "&amp;amp;lt;",
        "&lt;b&gt;",
        "&#39;",
        "&eacute;",
        "e&#769;",
        "&nbsp;x",
        "<i>e&#769;",
    ],
    "chinese, japanese, korean": ["東京タワー", "北京烤鸭", "한국어", "ㄱㅏ", "カ\u3099", "𠮷野家"],
    "right to left": ["مرحبا بالعالم", "שָׁלוֹם", "\u202babc\u202c", "سلام، دنیا", "٣٤٥", "۱۲۳"],
    "control": ["a\x00b", "\x07bell", "tab\tnew\nline\r\n", "\x1cfs\x1f", "\x7f", "\x85nel"],
    "no width": ["zero\u200bwidth", "a\u200d", "soft\u00adhyphen", "a\u2060b", "\ufeffbom"],
    "spaces": ["nb\u00a0sp", "\u2028\u2029", "全角\u3000空白", "a\u2009b"],
    "digits": ["2024", "3.14", "1,000,000", "x86_64", "½", "²", "१२३", "0x1F"],
    "words": ["don't", "I'll", "they'RE", "rock'n'roll", "'s", "''", "o'clock", "a--b"],
    "signs": ["snake_case", "\\n", "``", "¿qué?", "#hash @at $1 50%", "&c", "c++ ~ {}"],
    "quotes": ["“curly”", "‘single’", "…", "—", "a…b", "«»"],
    "broken": ["cafÃ©", "â€œquotedâ€\x9d", "\ufffd", "ÃƒÂ©", "l’humanitÃ©", "\ue000", "\U000e0041"],
    "other scripts": ["ภาษาไทย", "हिन्दी", "தமிழ்", "ខ្មែរ", "ᚠᚢᚦ", "𝒜𝓃𝓃𝒶", "𓀀", "\u1e9e"],
    "almost tokens": ["</w>", "Ġ", "##ing", "[un k]", "< pad >", "<|", "|>", "</s", "▁low▁line"],
}
REPEATED = ["x" * 5000, "é" * 900, "😀" * 400, "!" * 700, "北京" * 300]
WHOLE = [
    *("", " ", "\t\n", "\u3000", "\u200b", ".", "!", "?!...", "a", "A", "é", "\x00", "_", "___"),
    "a photo of a cat.",
    "A PHOTO of a CAT, sitting  on\ta mat.",
    "the quick brown fox jumps over the lazy dog " * 60,
    "supercalifragilisticexpialidocious" * 30,
    *REPEATED,
]
# A text with one of these in it ends itself in the reference, and not in ours.
SPECIAL = [
    *("<|startoftext|>", "<|endoftext|>", "<start_of_text>", "<end_of_text>"),
    *("<s>", "</s>", "<pad>", "<unk>", "<mask>", "[CLS]", "[SEP]", "[PAD]"),
]
FEW = [
    *("", "   ", "a photo of a cat.", "A PHOTO of a Cat  on\ta\nmat", "the cat " * 40, "y" * 60),
    *("café cafe\u0301 Å", "İΣΑΣ straße ﬁ Ⅻ", "👨\u200d👩\u200d👧 👍🏽 ❤️🇯🇵"),
    *("cat &amp;amp; dog &lt;b&gt;", "&eacute;e&#769;", "東京 北京烤鸭 한국어", "カ\u3099ㄱㅏ"),
    *("مرحبا שָׁלוֹם \u202b٣٤\u202c", "a\x00b\x07 \x1cc\x7f\x85d"),
    *("zero\u200bwidth \ufeffbom soft\u00adhyphen", "2024 3.14 1,000 x86_64 ½"),
    *("don't it'ſ they'RE rock'n'roll", "snake_case ▁low▁ ___ ''", "cafÃ© “curly” …"),
    *("हिन्दी ไทย 𝒜", "a\u0345b!", "<i>e&#769; &amp;amp;", "#1 @at $5 50% ?!..."),
]


def many() -> list[str]:
    """Several hundred: the pieces alone, inside words, and mixed; always the same."""
    pieces = list(itertools.chain.from_iterable(PIECES.values()))
    found = [*WHOLE, *pieces, *(f"a{piece}b" for piece in pieces)]
    found += [f"  {piece} and {piece.upper()}!" for piece in pieces]
    rng = random.Random(0)
    for count in range(2, 12):
        for glue in (" ", "", ", ", "\u00a0", "'s "):
            found += [glue.join(rng.choices(pieces, k=count)) for _ in range(4)]
    return list(dict.fromkeys(found))
