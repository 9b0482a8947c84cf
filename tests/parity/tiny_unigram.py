"""Small SentencePiece vocabularies, in the layouts of SigLIP and of XLM-RoBERTa."""

import io
from pathlib import Path
from typing import Any

import sentencepiece
from transformers import SiglipTokenizer, T5Tokenizer, XLMRobertaTokenizer
from transformers.utils import sentencepiece_model_pb2_new

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def _train(corpus: list[str], **options: Any) -> tuple[bytes, list[tuple[str, float]], bytes]:
    """SentencePiece's model, its pieces with their scores, and its compiled rules."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=model,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(len(processor))]
    proto = sentencepiece_model_pb2_new.ModelProto()
    proto.ParseFromString(model.getvalue())
    return model.getvalue(), pieces, proto.normalizer_spec.precompiled_charsmap


def xlm_roberta(corpus: list[str], **options: Any) -> XLMRobertaTokenizer:
    _, pieces, rules = _train(corpus, **options)
    vocabulary = [*((token, 0.0) for token in SPECIAL), *pieces[3:], ("<mask>", 0.0)]
    return XLMRobertaTokenizer(vocab=vocabulary, _spm_precompiled_charsmap=rules)


def siglip(corpus: list[str], folder: Path, **options: Any) -> tuple[SiglipTokenizer, T5Tokenizer]:
    """That of transformers, on SentencePiece itself, and that of open_clip, on tokenizers."""
    model, pieces, rules = _train(corpus, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, **options)
    (folder / "spiece.model").write_bytes(model)
    theirs = SiglipTokenizer(str(folder / "spiece.model"))
    as_open_clip = T5Tokenizer(
        vocab=pieces, extra_ids=0, pad_token="</s>", _spm_precompiled_charsmap=rules
    )
    return theirs, as_open_clip
