"""The table of published figures: what ships is whole, and what is wrong is refused."""

import pytest

from dual_encoder import CHECKPOINTS
from pipelines.published import table
from pipelines.published.allowed_terms import METHODS
from tfrecords import DATASETS

BLOCK = """
- all: {dataset: dtd, model: clip-rn50, method: zero-shot, source: somewhere}
  columns:
    - {measure: top1}
    - {measure: mean_per_class}
  rows:
    - [{shots: 0}, 41.5, [40.0, 0.5]]
    - [{shots: 1, method: coop}, ~, 44]
"""


def read(tmp_path, text):
    path = tmp_path / "figures.yaml"
    path.write_text(text, encoding="utf-8")
    return table.read(path)


def test_the_table_has_hundreds_of_figures_each_with_its_source():
    found = table.figures()
    assert len(found) >= 300
    assert all(figure.source and 0 <= figure.value <= 100 for figure in found)


def test_models_are_checkpoints_or_said_to_be_none():
    for figure in table.figures():
        assert figure.unlisted == (figure.model not in CHECKPOINTS), figure


def test_open_clip_agrees_with_the_table_of_checkpoints():
    shown = 0
    for figure in table.figures():
        known = CHECKPOINTS[figure.model].zero_shot if figure.model in CHECKPOINTS else {}
        if figure.source.startswith("open_clip") and figure.dataset in known:
            assert figure.value == pytest.approx(100 * known[figure.dataset]), figure
            shown += 1
    assert shown == 13 * 14  # models and sets


def test_every_method_of_the_vocabulary_has_a_figure():
    assert {figure.method for figure in table.figures()} == set(METHODS)


def test_sets_of_the_catalogue_have_its_splits_and_as_many_classes():
    for name, facts in table.datasets().items():
        if name in DATASETS and (test := facts.splits.get("test")):
            splits = set(DATASETS[name].splits.values())
            # EuroSAT is published unsplit; figures are of CoOp's split.
            assert set(test.names) <= splits or splits == {"train"}
            assert test.classes == DATASETS[name].classes


def test_prompts_that_are_compared_are_known():
    for figure in table.figures():
        facts = table.datasets()[figure.dataset]
        if figure.prompts == "ensemble":
            assert figure.dataset in DATASETS or facts.templates, figure
        if figure.prompts == "coop" and facts.splits:
            assert "{}" in facts.coop, figure


def test_a_block_is_read_row_by_row(tmp_path):
    first, second, third = read(tmp_path, BLOCK)
    assert (first.value, first.deviation, first.measure, first.method) == (
        *(41.5, 0.0, "top1"),
        "zero-shot",
    )
    assert (second.value, second.deviation, second.measure) == (40.0, 0.5, "mean_per_class")
    assert (third.value, third.shots, third.method) == (44, 1, "coop")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("shots: 0", "shoots: 0", "unknown key 'shoots'; did you mean shots?"),
        ("columns:", "colums:", "unknown key 'colums'; did you mean columns?"),
        (", source: somewhere", "", "dtd, clip-rn50, zero-shot, top1: no source"),
        ("dataset: dtd", "dataset: dtt", "unknown dataset 'dtt'; did you mean dtd?"),
        ("method: coop", "method: cop", "unknown method 'cop'; did you mean coop?"),
        ("measure: top1", "measure: top", "unknown measure 'top'"),
        ("shots: 0", "split: tset", "unknown split 'tset'; did you mean test?"),
        ("shots: 0", "prompts: own", "unknown prompts 'own'; expected any, coop, cupl"),
        ("shots: 0", "held_out: ten", "unknown held_out 'ten'"),
        ("shots: 0", "shots: few", "shots: expected a whole number or all; got 'few'"),
        ("41.5", "415", "value: expected 0 to 100 per cent; got 415"),
        ("41.5", "high", "value: expected 0 to 100 per cent; got 'high'"),
        ("41.5, ", "", "expected 2 figures; got 1"),
        ("shots: 1, method: coop", "shots: 0", "mean_per_class: it is there twice"),
    ],
)
def test_a_figure_that_is_wrong_is_refused(old, new, words, tmp_path):
    assert old in BLOCK
    with pytest.raises(ValueError) as error:
        read(tmp_path, BLOCK.replace(old, new))
    assert words in str(error.value)
