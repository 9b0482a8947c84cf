"""Tiny tokenizers in the published layouts, and what the reference makes of nasty texts.

    python tests/parity/tokenizer_fixtures.py

Writes tests/fixtures/tokenizers. Needs transformers, sentencepiece and open_clip_torch.
"""

import json
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import tiny_unigram
import tokenizers_real
from nasty_texts import FEW as TEXTS
from tokenizers import pre_tokenizers
from transformers import BertTokenizer, CLIPTokenizer, RobertaTokenizer

OUT = Path(__file__).parents[1] / "fixtures" / "tokenizers"
LENGTH = 24
ENDS = ["<|startoftext|>", "<|endoftext|>"]
CAPTIONS = [
    "a photo of a cat.",
    "two dogs playing on the green grass, and a third one sleeping",
    "A man in a red shirt is standing near the blue car.",
    "the girl's hat isn't on the table; it's under the chair",
    "it was photographed in 2024 at 3:45, they'll say",
]


def learn_merges(words: Counter[tuple[str, ...]], *, count: int) -> list[tuple[str, str]]:
    """Byte pairs, the most frequent first, ties by the alphabet."""
    merges = []
    for _ in range(count):
        pairs = Counter()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({_merged(word, best): times for word, times in words.items()})
    return merges


def _merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    for symbol in word:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


def write(path: Path, content: str | dict | list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
    path.write_text(content, encoding="utf-8")


def byte_words(*, lower: bool) -> Counter[tuple[str, ...]]:
    """Words of the captions in the alphabet of bytes; CLIP's in lower case, "</w>" at the end."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words: Counter[tuple[str, ...]] = Counter()
    for text in [*CAPTIONS, *TEXTS[6:]]:
        for word, _ in split.pre_tokenize_str(text.lower() if lower else text):
            letters = tuple(word.lstrip("Ġ") if lower else word)
            if letters:
                words[(*letters[:-1], f"{letters[-1]}</w>") if lower else letters] += 1
    return words


def write_byte_pairs(folder: Path, *, before: list[str], after: list[str], lower: bool) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    ends = [f"{character}</w>" for character in alphabet] if lower else []
    merges = learn_merges(byte_words(lower=lower), count=120)
    tokens = [*before, *alphabet, *ends, *("".join(pair) for pair in merges), *after]
    tokens = list(dict.fromkeys(tokens))
    write(folder / "vocab.json", {token: index for index, token in enumerate(tokens)})
    write(folder / "merges.txt", "\n".join(["#version: 0.2", *map(" ".join, merges), ""]))


def write_bert(folder: Path) -> None:
    """Characters of the texts, alone and inside words, and a few words and endings."""
    texts = [unicodedata.normalize("NFD", text.lower()) for text in [*CAPTIONS, *TEXTS]]
    letters = sorted({c for text in texts for c in text if c > "\x7f" or c.isalnum()})[:150]
    marks = list("!#$%&',.:;?@_")
    words = ["a", "cat", "photo", "of", "the", "cafe", "##ing", "##hat", "##s", "##ed", "202"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = [*special, *marks, *letters, *(f"##{c}" for c in letters if c < "\u0250"), *words]
    write(folder / "vocab.txt", "\n".join(dict.fromkeys(tokens)) + "\n")


def write_rules(path: Path) -> None:
    """SentencePiece's usual rules (nmt_nfkc, which is 240 kB), for what the texts have in them."""
    text = " ".join([*TEXTS, *(text.upper() for text in TEXTS)])
    parts = {*text, *map("".join, pairwise(text))}
    rules = {part: unicodedata.normalize("NFKC", part) for part in parts}
    rules = {part: to for part, to in rules.items() if part != to and len(to) <= len(part) + 3}
    rules |= {c: "" for c in "\x07\x1c\x7f"} | {c: " " for c in "\t\n\u200b\ufeff\u0085"}
    lines = (
        "\t".join(" ".join(f"{ord(c):X}" for c in side) for side in rule)
        for rule in sorted(rules.items())
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def save(tokenizer, folder: Path) -> None:
    """As published: a tokenizer.json, and the settings."""
    tokenizer.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        write(folder / name, json.loads((folder / name).read_text(encoding="utf-8")))


def row(encode: Callable[[str], list[int]], text: str, *, pad: int) -> list[int]:
    """LENGTH ids, without the padding but one, to keep the file small."""
    found = [int(index) for index in encode(text)]
    assert len(found) == LENGTH
    while found[-2:] == [pad, pad]:
        found.pop()
    return found


def reference(tokenizer, clean: Callable[[str], str] = str) -> Callable[[str], list[int]]:
    options = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
    return lambda text: tokenizer(clean(text), **options)["input_ids"]


def write_vocabularies() -> tuple:
    """The five folders; the tokenizers of transformers that have no vocabulary in files."""
    write_byte_pairs(OUT / "clip", before=[], after=ENDS, lower=True)
    write_byte_pairs(OUT / "roberta", before=tiny_unigram.SPECIAL, after=["<mask>"], lower=False)
    write_bert(OUT / "bert")
    corpus = [text.replace("\n", " ")[:80] for text in [*CAPTIONS * 3, *TEXTS[2:]]]
    with tempfile.TemporaryDirectory() as name:
        rules = Path(name) / "rules.tsv"
        write_rules(rules)
        options = {"normalization_rule_tsv": str(rules), "vocab_size": 260}
        options |= {"character_coverage": 0.98}
        xlm = tiny_unigram.xlm_roberta(corpus, **options)
        siglip, t5 = tiny_unigram.siglip(corpus, Path(name), **options)
    save(xlm, OUT / "xlm_roberta")
    save(t5, OUT / "siglip")
    return xlm, siglip, t5


def main() -> None:
    open_clip = tokenizers_real.open_clip_tokenizers()
    xlm, siglip, t5 = write_vocabularies()
    clip = CLIPTokenizer.from_pretrained(OUT / "clip")
    roberta = RobertaTokenizer.from_pretrained(OUT / "roberta")
    bert = BertTokenizer.from_pretrained(OUT / "bert")
    whitespace = open_clip.get_clean_fn("whitespace")
    canonicalize = open_clip.get_clean_fn("canonicalize")
    end = clip.convert_tokens_to_ids(ENDS[1])
    references = {  # folder and cleaning: the real thing, its padding, its end as people type it
        "clip none": (reference(clip), end, ENDS[1]),
        "clip openai": (of_open_clip(open_clip, OUT / "clip"), 0, "<end_of_text>"),
        "roberta none": (reference(roberta), 1, "</s>"),
        "roberta whitespace": (reference(roberta, whitespace), 1, "</s>"),
        "xlm_roberta none": (reference(xlm), 1, "</s>"),
        "xlm_roberta whitespace": (reference(xlm, whitespace), 1, "</s>"),
        "bert none": (reference(bert), 0, "[SEP]"),
        "siglip none": (reference(t5), 1, "</s>"),
        "siglip siglip": (reference(siglip), 1, "</s>"),
        "siglip canonicalize": (reference(t5, canonicalize), 1, "</s>"),
    }
    ids, ending = {}, {}
    for name, (encode, pad, end_text) in references.items():
        ids[name] = [row(encode, text, pad=pad) for text in TEXTS]
        text = f"a {end_text} cat"
        ending[name] = {"text": text, "ids": row(encode, text, pad=pad)}
    found = {"length": LENGTH, "texts": TEXTS, "ids": ids, "ending": ending}
    write(OUT / "references.json", found)
    total = sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file())
    print(f"{OUT}: {total:,} bytes")


def of_open_clip(open_clip, folder: Path) -> Callable[[str], list[int]]:
    """open_clip's class on the vocabulary in `folder`."""
    tokenizer = open_clip.SimpleTokenizer()
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    starts_and_ends = dict(zip(tokenizer.cache, map(vocabulary.get, ENDS), strict=True))
    tokenizer.encoder = vocabulary | starts_and_ends
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    tokenizer.bpe_ranks = {tuple(pair.split()): rank for rank, pair in enumerate(merges)}
    tokenizer.cache = {token: token for token in starts_and_ends}
    tokenizer.sot_token_id, tokenizer.eot_token_id = starts_and_ends.values()
    return lambda text: tokenizer([text], context_length=LENGTH)[0].tolist()


if __name__ == "__main__":
    main()
