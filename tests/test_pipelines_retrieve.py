"""`python -m pipelines retrieve`, on drawn images with the model that ships with Duet."""

import json
import shutil

import numpy as np
import pytest
from drawn_folders import COUNT, draw

import dual_encoder
import tfrecords
from pipelines.__main__ import main
from pipelines.retrieval import build as retrieval_build
from pipelines.retrieval import encode as retrieval_encode
from tfrecords.sources.shapes.source import ShapesSource

pytestmark = pytest.mark.usefixtures("all_eagerly")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with `images` (one of them broken) and an `index` of them."""
    home = tmp_path_factory.mktemp("retrieve")
    draw(home / "images", 0, COUNT)
    (home / "images" / "broken.jpg").write_text("no image")
    build = ["--build", "--folder", str(home / "images"), "--model", "shapes-tiny"]
    assert main(["retrieve", "--index", str(home / "index"), *build]) == 0
    return home


@pytest.fixture
def home(made, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(made / "index", tmp_path / "index")
    shutil.copytree(made / "images", tmp_path / "images")
    facts = tmp_path / "index" / "index.json"
    facts.write_text(facts.read_text().replace(str(made), str(tmp_path)))
    return tmp_path


def retrieve(home, *more):
    return main(["retrieve", "--index", str(home / "index"), *map(str, more)])


def answers(home, capsys, *more):
    """What `--json` prints."""
    capsys.readouterr()
    assert retrieve(home, "--json", *more) == 0
    return json.loads(capsys.readouterr().out)


def test_words_find_what_they_name(made, capsys):
    names = {path.stem[3:].replace("_", " ") for path in (made / "images").glob("[0-9]*")}
    wanted = sorted(names)[:10]
    found = answers(made, capsys, "--query", *(f"a picture of the {name}" for name in wanted))
    assert found["images"] == COUNT and found["search"] == "exact" and found["k"] == 10
    first = [answer["hits"][0]["id"][3:-4].replace("_", " ") for answer in found["answers"]]
    assert sum(a == b for a, b in zip(first, wanted, strict=True)) >= 8
    scores = [hit["score"] for hit in found["answers"][0]["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_names_in_learnt_prompts(made, capsys):
    """Before training, words in place of vectors are the same words in a query."""
    model, prompts = dual_encoder.load("shapes-tiny"), made / "prompts.safetensors"
    options = {"backbone": "shapes-tiny"}
    coop = dual_encoder.CoOp(model, ["red star", "blue ring"], words="a picture of the")
    dual_encoder.save_prompts(coop, prompts, **options)
    names = ["purple star", "green cross"]
    found = answers(made, capsys, "--query", *names, "--prompts", prompts)
    same = answers(made, capsys, "--query", *(f"a picture of the {name}." for name in names))
    for ours, theirs in zip(found["answers"], same["answers"], strict=True):
        scores = [[hit["score"] for hit in each["hits"]] for each in (ours, theirs)]
        np.testing.assert_allclose(*scores, atol=1e-5)
    own = dual_encoder.CoOp(model, names, words="a", class_specific=True)
    dual_encoder.save_prompts(own, prompts, **options)
    assert retrieve(made, "--query", "red star", "--prompts", prompts) == 2
    assert "class-specific vectors say nothing of other classes" in capsys.readouterr().err


def test_a_image_finds_itself(made, capsys):
    image = sorted((made / "images").glob("07*"))[0]
    found = answers(made, capsys, "--image", image, "-k", "2")
    hits = found["answers"][0]["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert hits[0]["id"] == image.name and hits[0]["score"] == pytest.approx(1, abs=1e-4)
    assert found["answers"][0]["query"] == {"kind": "image", "text": str(image)}


def test_what_a_terminal_and_the_contact_sheet_show(home, capsys):
    (home / "queries.txt").write_text("red star\n\n blue <ring> \n")
    gone = answers(home, capsys, "--query", "red star", "-k", "1")["answers"][0]["hits"][0]["id"]
    (home / "images" / gone).unlink()
    page = home / "sheet.html"
    assert retrieve(home, "--queries", home / "queries.txt", "-k", "3", "--html", page) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "red star" and said[1].endswith(f"  {gone}  (no longer there)")
    assert said[4] == "" and said[5] == "blue <ring>"
    html = page.read_text()
    assert html.startswith("<!doctype html>") and html.count("<li>") == 6
    assert html.count("data:image/jpeg;base64,") == 6 - html.count('class="gone"')
    assert html.count('class="gone"') >= 1 and "blue &lt;ring&gt;" in html
    assert "http" not in html
    assert retrieve(home, "--query", "x", "--html", page) == 2  # never overwritten
    assert capsys.readouterr().err == f"error: {page} exists; give --html another name\n"


def test_unreadable_images_are_listed(made):
    told = (made / "index" / "unreadable.csv").read_text().splitlines()
    assert len(told) == 2 and told[1].startswith('broken.jpg,"not an image of a kind')


def test_an_index_is_brought_up_to_date(home, capsys, in_graphs):
    first = sorted((home / "images").glob("[0-9]*"))[0]
    first.rename(first.with_name("renamed.jpg"))
    (home / "images" / "broken.jpg").unlink()
    assert retrieve(home, "--build") == 0
    assert f"{COUNT} images (1 new, 1 dropped)" in capsys.readouterr().out
    image = home / "images" / "renamed.jpg"
    assert answers(home, capsys, "--image", image)["answers"][0]["hits"][0]["id"] == image.name


def test_an_index_of_a_folder_that_moved(home, capsys):
    (home / "images").rename(home / "moved")
    gone = answers(home, capsys, "--query", "red star")
    assert not any(hit["there"] for hit in gone["answers"][0]["hits"])
    there = answers(home, capsys, "--query", "red star", "--folder", home / "moved")
    assert all(hit["there"] for hit in there["answers"][0]["hits"])
    assert retrieve(home, "--build", "--folder", home / "moved") == 0
    assert "(0 new, 0 dropped)" in capsys.readouterr().out


@pytest.mark.parametrize("runner", ["local", "beam"])
def test_records_by_either_runner(tmp_path, capsys, runner):
    if runner == "beam":
        pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
    source = ShapesSource(counts={"train": 3, "test": 9})
    tfrecords.write(source, tmp_path / "records", workers=1, progress=False)
    build = ["--build", "--data", tmp_path / "records", "--splits", "test", "--runner", runner]
    assert retrieve(tmp_path, *build, "--model", "shapes-tiny") == 0
    assert "9 images (9 new, 0 dropped)" in capsys.readouterr().out
    for more in (("--runner", "beam"), ("--first-frame",), ("--max-pixels", "9")):
        assert retrieve(tmp_path, *build[:-2], "--features", tmp_path / "cache", *more) == 2
        assert f"--features does not go with {more[0]}" in capsys.readouterr().err
    found = answers(tmp_path, capsys, "--query", "red star")
    hits = found["answers"][0]["hits"]
    assert len(hits) == 9 and all(hit["there"] for hit in hits)
    assert all(hit["id"].startswith("test/") for hit in hits)
    assert retrieve(tmp_path, "--query", "red star", "--html", tmp_path / "page.html") == 0
    assert (tmp_path / "page.html").read_text().count("data:image/jpeg") == 9


def test_more_than_there_are(made, capsys):
    assert retrieve(made, "--query", "red star", "-k", "50") == 0
    said = capsys.readouterr()
    assert said.err == f"--k 50: the index has {COUNT} images\n"
    assert len(said.out.splitlines()) == COUNT + 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "expected --build, --query, --queries or --image; got none of them"),
        (("--query", ""), "query: expected words; got an empty text"),
        (("--query", "a", " \t"), "query: expected words; got an empty text"),
        (("--query", "x" * 10_000), "expected at most 32 tokens; got"),
        (("--queries", "nowhere.txt"), "--queries: no file nowhere.txt"),
        (("--image", "nowhere.jpg"), "--image: no file nowhere.jpg"),
        (("--image", "{home}/images/broken.jpg"), "broken.jpg: not an image of a kind"),
        (("--query", "a", "-k", "0"), "--k: expected a number in [1, 1000000]; got 0"),
        (("--query", "a", "--search", "hnsw"), "--search hnsw: {home}/index has exact search"),
        (("--query", "a", "--data", "x"), "{home}/index is an index of a folder"),
        (("--build", "--folder", "nowhere"), "nowhere is not a folder of images"),
        (("--build", "--splits", "test"), "--splits goes with --data"),
        (("--build", "--folder", "a", "--data", "b"), "expected --folder or --data, got both"),
        (("--build", "--features", "x"), "--features goes with records (--data), not with {home}"),
        (("--query", "a", "--features", "x"), "--features goes with --build"),
        (("--query", "a", "--splits", "x"), "--splits goes with --build"),
        (("--query", "a", "--precision", "float32"), "--precision goes with --build"),
        (("--query", "a", "--batch-size", "8"), "--batch-size goes with --build"),
        (
            ("--build", "--search", "ivf"),
            "ivf needs 1,000 images or more; there are 41, few enough for exact",
        ),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_lost(home, capsys, more, message):
    before = {path.name: path.stat().st_size for path in (home / "index").iterdir()}
    assert retrieve(home, *(part.replace("{home}", str(home)) for part in more)) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ") and message.replace("{home}", str(home)) in said
    assert {path.name: path.stat().st_size for path in (home / "index").iterdir()} == before


def test_a_build_needs_to_know_what_and_with_which_model(tmp_path, capsys):
    assert retrieve(tmp_path, "--build") == 2
    assert "--build: expected --folder or --data and --model; got none" in capsys.readouterr().err
    assert retrieve(tmp_path, "--query", "a") == 2
    assert "index holds no index" in capsys.readouterr().err


def test_another_model_is_refused(home, tmp_path, capsys):
    import tiny_models

    tiny_models.scrambled(tiny_models.clip()).save(tmp_path / "other.keras")
    for more in (("--query", "a"), ("--build",)):
        assert retrieve(home, *more, "--model", tmp_path / "other.keras") == 2
        assert "was made by another model (shapes-tiny, " in capsys.readouterr().err


def test_approximate_search_says_what_it_finds(tmp_path, capsys):
    pytest.importorskip("faiss", reason="faiss is not installed")
    import numpy as np

    import dual_encoder

    folder, model = tmp_path / "index", dual_encoder.load("shapes-tiny")
    rows = np.random.default_rng(0).standard_normal((1100, 128), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    listing = {f"{i}.jpg": (i, 0, 0) for i in range(len(rows))}
    source = {"kind": "folder", "path": str(tmp_path / "gone")}
    made = dual_encoder.fingerprint(model)
    facts = dual_encoder.IndexFacts("shapes-tiny", made, 128, source, ())
    builder = dual_encoder.IndexBuilder(folder, listing, facts)
    named = dual_encoder.IndexRows.of(list(listing), list(listing.values()), rows)
    dual_encoder.write_part(folder, named, facts)
    builder.finish()
    dual_encoder.build_approximate(dual_encoder.Index.open(folder), "ivf")
    found = answers(tmp_path, capsys, "--query", "red star", "--check")
    assert found["search"] == "ivf" and found["recall_at_10"] >= 0.95
    assert 0.5 <= found["recall_of_these"] <= 1
    assert retrieve(tmp_path, "--query", "red star", "--check") == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("ivf: recall@10 was ") and "; of these queries it is " in said


def test_what_is_asked_of_an_index_just_built_is_encoded_once(made, tmp_path, monkeypatch, capsys):
    asked, encode = [], retrieval_encode.encode_texts
    monkeypatch.setattr(
        retrieval_encode,
        "encode_texts",
        lambda model, texts: asked.append(texts) or encode(model, texts),
    )
    build = ("--build", "--folder", made / "images", "--model", "shapes-tiny")
    assert retrieve(tmp_path, *build, "--query", "red star", "blue ring", "--k", 1) == 0
    assert asked == [["red star", "blue ring"]]
    told = capsys.readouterr().out.split("\n\n", 1)
    assert retrieve(tmp_path, "--query", "blue ring", "--k", 1) == 0
    assert told[1] == capsys.readouterr().out
    assert retrieve(tmp_path, "--query", "red star", "--check") == 0
    assert "--check: the search is exact" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--image", "nowhere.jpg"), "--image: no file nowhere.jpg"),
        (("--query", "star " * 200), "expected at most 32 tokens"),
        (("--query", "star", "--prompts", "nowhere.safetensors"), "nowhere.safetensors"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_images_are_embedded(
    made, tmp_path, monkeypatch, capsys, asked, message
):
    monkeypatch.setattr(retrieval_build, "_built", None)
    build = ("--build", "--folder", made / "images", "--model", "shapes-tiny")
    assert retrieve(tmp_path, *build, *asked) == 2
    assert message in capsys.readouterr().err
