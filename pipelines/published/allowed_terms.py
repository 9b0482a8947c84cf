"""The terms of the table of published figures: measures, methods, prompts."""

MEASURES = {
    "top1": "top-1 accuracy",
    "mean_per_class": "mean-per-class accuracy",
    "macro_f1": "macro F1",
    "worst_region": "accuracy of the worst region",
    "seen_top1": "accuracy of the classes learnt",
    "unseen_top1": "accuracy of the classes held out",
    "harmonic_mean": "harmonic mean of classes learnt and held out",
    "ece": "calibration error",
    **{
        f"{way}_recall{k}": f"{way.replace('_', ' ')} recall at {k}"
        for way in ("text_to_image", "image_to_text")
        for k in (1, 5, 10)
    },
}
#: Methods: Duet's names where it has the method, and where each is from.
METHODS = {
    "zero-shot": "class names alone, arXiv:2103.00020",
    "linear-probe": "logistic regression on frozen features, arXiv:2103.00020",
    "tip-adapter": "a cache of few images, arXiv:2207.09519",
    "tip-adapter-f": "the same, its keys trained",
    "coop": "learnt prompts, arXiv:2109.01134",
    "cocoop": "prompts learnt for each image, arXiv:2203.05557",
    "gaussian": "GDA: discriminant analysis beside the texts, arXiv:2402.04087",
    "full": "every weight, with a fresh linear head",
    "zero-shot-head": "every weight of the image side, from the zero-shot head, arXiv:2109.01903",
    "lp-ft": "every weight, from the linear probe's head, arXiv:2202.10054",
    "flyp": "both towers, contrastive against class prompts, arXiv:2212.00638",
    "ft-clip": "layer-wise rates and averaged weights, arXiv:2212.06138",
    "clip-adapter": "a small network on the features, arXiv:2110.04544",
    "ape": "a cache of chosen channels, arXiv:2304.01195",
    "ape-t": "the same, trained",
    "timo": "texts and images that guide each other",
    "clip-lora": "low-rank changes of both towers, arXiv:2405.18541",
    "maple": "prompts in the layers of both towers, arXiv:2210.03117",
    "promptsrc": "the same, held near the pretrained model, arXiv:2307.06948",
    "l2-sp": "every weight, drawn to where it started, arXiv:1802.01483",
    "self-distillation": "every weight, taught by the pretrained model as well",
    "lipsum-ft": "every weight, random texts scored as before, arXiv:2404.00860",
    "car-ft": "every weight, contexts told as before",
    "arf": "every weight, beside anchors of captions and retrieved pairs",
    "model-stock": "a mean of few fine-tuned models and the start, arXiv:2403.19522",
    "carot": "contrastive, calibrated by a running mean of itself, arXiv:2311.01723",
    "tracer": "contrastive, taught by a mean over its own course, arXiv:2605.29380",
}
#: What `prompts` can be, besides a template with {} for the class name.
PROMPTS = {
    "ensemble": "the prompts published for this set",
    "coop": "CoOp's one prompt for this set",
    "cupl": "sentences about each class, written by a language model",
    "learnt": "learnt vectors",
    "any": "none, or none that matter",
    "unstated": "prompts that its source does not state",
}
ALL = "all"  # `shots` of what learns from every training image
