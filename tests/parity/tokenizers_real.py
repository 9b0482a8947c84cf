"""Our tokenizers beside the real ones, on texts meant to break them.

    python tests/parity/tokenizers_real.py

Needs transformers, sentencepiece and open_clip_torch, of which it reads the tokenizer alone, with
its vocabulary of 49,408 tokens: the rest wants torchvision.
"""

import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nasty_texts

from dual_encoder.checkpoints.tokenizers.read import read_tokenizer


def open_clip_tokenizers() -> ModuleType:
    """open_clip's module of tokenizers alone."""
    package = importlib.util.find_spec("open_clip")
    path = Path(package.submodule_search_locations[0]) / "tokenizer.py"
    spec = importlib.util.spec_from_file_location("open_clip_tokenizers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_clip(folder: Path, module: ModuleType) -> None:
    """open_clip's vocabulary as the paper's checkpoints publish it."""
    tokenizer = module.SimpleTokenizer()
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {names.get(token, token): index for token, index in tokenizer.encoder.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = ["#version: 0.2", *(" ".join(pair) for pair in tokenizer.bpe_ranks)]
    (folder / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def differing(ours, reference, found: list[str]) -> list[str]:
    """The texts that have not the same row in both; an error is a difference."""
    rows = ours(found, length=ours.context_length).tolist()
    return [text for text, row in zip(found, rows, strict=True) if row != list(reference(text))]


def check() -> list[tuple[str, int, list[str]]]:
    """(what was compared, number of texts, the texts that differ), for each pair."""
    found = nasty_texts.many()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [
            *_check_clip(folder, found),
            *_check_unigram(folder, found),
            *_check_fixtures(found),
        ]


def _check_clip(folder: Path, found: list[str]) -> list[tuple[str, int, list[str]]]:
    """All 49,408 tokens, from the older files and from a tokenizer.json."""
    from transformers import CLIPTokenizer

    older, newer = folder / "older", folder / "newer"
    older.mkdir()
    module = open_clip_tokenizers()
    write_clip(older, module)
    theirs = CLIPTokenizer.from_pretrained(older)
    theirs.save_pretrained(newer)
    simple = module.SimpleTokenizer()

    def of_open_clip(text: str) -> list[int]:
        return simple([text], context_length=77)[0].tolist()

    results = []
    for files in (older, newer):
        for cleaning, reference, name in (
            ("openai", of_open_clip, "open_clip"),
            ("none", _padded(theirs, length=77), "transformers"),
        ):
            ours = read_tokenizer(files, context_length=77, cleaning=cleaning)
            title = f"CLIP, {files.name} files, {cleaning!r}, {name}"
            results.append((title, len(found), differing(ours, reference, found)))
    return results


def _check_unigram(folder: Path, found: list[str]) -> list[tuple[str, int, list[str]]]:
    """SigLIP's and XLM-RoBERTa's layouts, vocabularies learnt here, the usual rules (nmt_nfkc).

    Of one letter a thousand times over, SentencePiece and tokenizers find ways of equal score, so
    these texts are left out where the reference is SentencePiece itself.
    """
    import tiny_unigram

    corpus = [text[:400].replace("\n", " ") for text in found if text.strip()]
    options = {"vocab_size": 900, "character_coverage": 0.995}
    siglip, as_open_clip = tiny_unigram.siglip(corpus, folder, **options)
    xlm = tiny_unigram.xlm_roberta(corpus, **options)
    as_open_clip.save_pretrained(folder / "siglip")
    xlm.save_pretrained(folder / "xlm")
    module = open_clip_tokenizers()
    few = [text for text in found if text not in nasty_texts.REPEATED]
    results = []
    for name, cleaning, theirs, length, texts in (
        ("siglip", "siglip", siglip, 64, few),
        ("siglip", "canonicalize", as_open_clip, 64, found),
        ("xlm", "none", xlm, 77, found),
        ("xlm", "whitespace", xlm, 77, found),
    ):
        ours = read_tokenizer(folder / name, context_length=length, cleaning=cleaning)
        in_open_clip = cleaning in ("canonicalize", "whitespace")
        clean = module.get_clean_fn(cleaning) if in_open_clip else str
        reference = _padded(theirs, length=length, clean=clean)
        title = f"{name}, {cleaning!r}, {type(theirs).__name__}"
        results.append((title, len(texts), differing(ours, reference, texts)))
    return results


def _check_fixtures(found: list[str]) -> list[tuple[str, int, list[str]]]:
    """RoBERTa's and BERT's older files, with the tests' tiny vocabularies."""
    from transformers import BertTokenizer, RobertaTokenizer

    fixtures = Path(__file__).parents[1] / "fixtures" / "tokenizers"
    results = []
    for name, kind in (("roberta", RobertaTokenizer), ("bert", BertTokenizer)):
        ours = read_tokenizer(fixtures / name, context_length=77)
        reference = _padded(kind.from_pretrained(fixtures / name), length=77)
        results.append((f"{name}, 'none'", len(found), differing(ours, reference, found)))
    return results


def _padded(tokenizer, *, length: int, clean: Callable[[str], str] = str):
    """A tokenizer of transformers as a function of a text."""
    options = {"padding": "max_length", "truncation": True, "max_length": length}
    return lambda text: tokenizer(clean(text), **options)["input_ids"]


if __name__ == "__main__":
    outcome = check()
    for title, count, differences in outcome:
        print(f"{title}: {count} texts, {len(differences)} differ", *map(ascii, differences[:20]))
    sys.exit(any(differences for _, _, differences in outcome))
