"""`python -m pipelines serve`: the server as it runs, asked over HTTP and through Chromium."""

import asyncio
import base64
import hashlib
import http.client
import importlib.util
import io
import json
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import quote

import browser
import numpy as np
import pytest
from drawn_folders import COUNT, draw
from PIL import Image

import dual_encoder
from pipelines import serve
from pipelines.__main__ import main

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

from pipelines.serving.app import application, security_policy


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("serve")
    draw(home / "images", 0, COUNT)
    build = ["--build", "--folder", str(home / "images"), "--model", "shapes-tiny"]
    assert main(["retrieve", "--index", str(home / "index"), *build]) == 0
    return home


@pytest.fixture(scope="module")
def server(home):
    """A running server, and its `port`."""
    options = serve.Options(str(home / "index"), templates=["a picture of the {}"], max_upload=1)
    server = serve.prepared(options)
    listening = serve.listen(0)
    server.port = listening.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server
    server.should_exit = True
    thread.join()


def ask(server, path, *, method="GET", body=None, accept="application/json", **headers):
    """Status, and the JSON or the bytes of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers={"Accept": accept, **headers})
    answer = connection.getresponse()
    data, kind = answer.read(), answer.headers["content-type"]
    connection.close()
    return answer.status, json.loads(data) if kind == "application/json" else data


def lives(server):
    return ask(server, "/?q=red+star&k=1")[0] == 200


def test_words_and_images_find_images(server, home):
    status, found = ask(server, "/?q=the+red+star&k=5")
    (answer,) = found["answers"]
    assert status == 200 and len(answer["hits"]) == 5 and answer["query"]["text"] == "the red star"
    path = sorted((home / "images").glob("*.jpg"))[3]
    status, found = ask(server, "/similar?k=3", method="POST", body=path.read_bytes())
    hits = found["answers"][0]["hits"]
    assert status == 200 and len(hits) == 3 and found["labels"] == []
    assert hits[0]["id"] == path.name and hits[0]["score"] > 0.999
    status, small = ask(server, f"/image/{hits[0]['row']}")
    with Image.open(io.BytesIO(small)) as image, Image.open(path) as original:
        assert status == 200 and image.format == "JPEG" and image.size == original.size


def test_more_like_one_that_was_found(server):
    _, found = ask(server, "/?q=the+red+star&k=3")
    row = found["answers"][0]["hits"][0]["row"]
    status, alike = ask(server, f"/?like={row}&k=4")
    hits = alike["answers"][0]["hits"]
    assert status == 200 and hits[0]["row"] == row and len(hits) == 4
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-3)
    assert (
        f'href="/?like={row}&amp;k=3"' in ask(server, "/?q=the+red+star&k=3", accept="")[1].decode()
    )
    assert ask(server, "/?like=9999")[0] == 404 and ask(server, "/?like=x")[0] == 400


def test_names_of_a_image(server, home):
    right = 0
    for image in sorted((home / "images").glob("*.jpg"))[:8]:
        name = image.stem[3:].replace("_", " ")
        names = quote("\n".join(["green cross", name, " ", "white ring"]))
        if name in ("green cross", "white ring"):
            continue
        _, found = ask(server, f"/similar?names={names}", method="POST", body=image.read_bytes())
        labels = found["labels"]
        assert {label["name"] for label in labels} == {"green cross", name, "white ring"}
        assert sum(label["probability"] for label in labels) == pytest.approx(1, abs=1e-4)
        right += labels[0]["name"] == name
    assert right >= 6


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/?q=", 400, "expected words; got an empty text"),
        ("/?q=%20%09", 400, "expected words; got an empty text"),
        ("/?q=" + 10_000 * "x", 400, "expected at most 32 tokens; got"),
        ("/?q=a&k=0", 400, "k: expected 1 to 200; got 0"),
        ("/?q=a&k=x", 400, "k: expected a whole number; got 'x'"),
        ("/?q=a&k=99999999999999999999", 400, "k: expected a whole number"),
        ("/?query=red", 400, "query: expected q, like, k in the address, each once"),
        ("/?q=a&q=b", 400, "q: expected q, like, k in the address, each once"),
        ("/?q=a&like=0", 400, "q and like: expected one of them; got both"),
        ("/image/1?size=256", 400, "size: expected side in the address"),
        (f"/image/{COUNT}", 404, f"the index has images 0 to {COUNT - 1}"),
        ("/image/99999999999999999999999999", 404, "the index has images 0 to"),
        ("/image/1?side=5000", 400, "side: expected one of 256, 1024; got 5000"),
        ("/image/-1", 404, "Not Found"),
        ("/image/../index.json", 404, "Not Found"),
        ("/image/..%2f..%2fetc%2fpasswd", 404, "Not Found"),
        ("/images/00_red_star.jpg", 404, "Not Found"),
        ("/similar", 405, "Method Not Allowed"),
    ],
)
def test_a_malformed_request_gets_one_line_and_the_server_lives_on(server, path, status, said):
    found, answer = ask(server, path)
    assert found == status and said in answer["error"] and "\n" not in answer["error"]
    assert lives(server)


@pytest.mark.parametrize(
    ("body", "query", "status", "said"),
    [
        (b"", "", 400, "image: empty file"),
        (b"no image", "", 400, "image: not an image of a kind read here"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "", 400, "not an image of a kind"),
        ("cut", "", 400, "image: truncated"),
        (b"x" * 1_000_001, "", 413, "expected an image of at most 1,000,000 bytes; got more"),
        ("whole", "?names=cat", 400, "expected two or more, to choose between; got 'cat' alone"),
        ("whole", "?names=cat,cat", 400, "names: expected each name once"),
        ("whole", "?names=" + "%0A".join(map(str, range(300))), 400, "at most 200; got 300"),
        ("whole", "?name=cat,dog", 400, "name: expected k, names in the address"),
        ("whole", "?k=-3", 400, "k: expected a whole number; got '-3'"),
    ],
)
def test_a_image_that_is_none_is_refused(server, home, body, query, status, said):
    whole = next((home / "images").glob("*.jpg")).read_bytes()
    body = {"whole": whole, "cut": whole[: len(whole) // 2]}.get(body, body)
    found, answer = ask(server, f"/similar{query}", method="POST", body=body)
    assert found == status and said in answer["error"]
    assert lives(server)


def test_a_form_is_told_from_an_image(server):
    kind = {"Content_Type": "multipart/form-data; boundary=x"}
    status, answer = ask(server, "/similar", method="POST", body=b"--x\r\n--x--", **kind)
    assert (status, answer["error"]) == (415, "expected an image alone as the body; got a form")


def test_a_bomb_of_pixels_is_refused(server):
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    status, answer = ask(server, "/similar", method="POST", body=buffer.getvalue())
    assert status == 400 and "more than" in answer["error"] and "pixels" in answer["error"]


def test_what_is_no_http_and_what_comes_under_another_name(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(b"\x00\xff garbage\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    status, answer = ask(server, "/", Host="elsewhere.example")
    assert status == 400 and answer == b"Invalid host header"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        head = b"POST /similar HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999999\r\n\r\n"
        raw.sendall(head)  # and nothing of what it promises
        assert raw.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        head = b"POST /similar HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw.sendall(head + b"FFFFFFFFFFFFFFFF\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 411")
    with socket.create_connection(("127.0.0.1", server.port)) as raw:  # and is gone
        raw.sendall(b"POST /similar HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999\r\n\r\nabc")
    assert lives(server)


def test_a_image_removed_since_is_gone_and_the_page_says_so(home, server):
    _, found = ask(server, "/?q=blue+ring&k=1")
    hit = found["answers"][0]["hits"][0]
    path = home / "images" / hit["id"]
    kept = path.read_bytes()
    path.unlink()
    status, answer = ask(server, f"/image/{hit['row']}")
    assert status == 410 and answer["error"] == "this image is no longer there"
    status, page = ask(server, "/?q=blue+ring&k=1", accept="text/html")
    assert status == 200 and b"no longer there" in page
    path.write_bytes(kept)


def test_no_script_runs_but_those_of_the_page():
    own = security_policy("<script>\nlet a;\n</script><p><script>b</script>")
    directive = next(
        part for part in own["Content-Security-Policy"].split("; ") if "script" in part
    )
    assert directive.count("'sha256-") == 2 and "unsafe-inline" not in directive
    digest = hashlib.sha256(b"\nlet a;\n").digest()
    assert f"'sha256-{base64.b64encode(digest).decode()}'" in directive


def test_an_index_that_is_cut_short_while_it_is_served_is_noticed(home, tmp_path):
    shutil.copytree(home / "index", tmp_path / "index")
    found = dual_encoder.Index.open(tmp_path / "index")
    (rows,) = (tmp_path / "index").glob("*.safetensors")
    with open(rows, "r+b") as file:
        file.truncate(rows.stat().st_size // 2)
    for read in (
        lambda: found.search(np.ones((1, found.facts.embed_dim)), 3),
        lambda: found.id(0),
        lambda: found.embeddings([0]),
    ):
        with pytest.raises(dual_encoder.CutShortError, match="cut short in use; build the index"):
            read()


def test_whoever_leaves_before_the_image_has_come_is_no_fault_of_the_server():
    async def gone():
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    app = application(SimpleNamespace(), max_upload=9)
    scope = {"type": "http", "method": "POST", "path": "/similar", "query_string": b""}
    scope |= {"headers": [(b"host", b"127.0.0.1")]}
    asyncio.run(app(scope, gone, send))  # the terminal would show what is raised


def test_the_page_escapes_what_was_typed(server):
    _, page = ask(server, "/?q=" + quote('"><script>x</script>'), accept="text/html")
    assert b"<script>x" not in page and b"&lt;script&gt;x" in page
    status, page = ask(server, "/?q=+", accept="text/html")
    assert status == 400 and b"expected words; got an empty text" in page


def test_many_requests_at_once_are_batched(server, home, monkeypatch):
    batches = server.config.app.state.finder.batches
    sizes, find = [], batches.work

    def counted(wanted):
        sizes.append(len(wanted))
        return find(wanted)

    monkeypatch.setattr(batches, "work", counted)
    image = next((home / "images").glob("*.jpg")).read_bytes()

    def one(number):
        if number % 4:
            return ask(server, f"/?q=red+star&k={1 + number % 7}")
        return ask(server, f"/similar?k={1 + number % 7}", method="POST", body=image)

    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(one, range(48)))
    assert {status for status, _ in found} == {200}
    for number, (_, answer) in enumerate(found):
        assert len(answer["answers"][0]["hits"]) == 1 + number % 7
    assert sum(sizes) == 48 and len(sizes) < 48 and max(sizes) > 1


def test_whoever_asks_before_the_server_answers_waits():
    with serve.listen(0) as listening:
        socket.create_connection(listening.getsockname(), timeout=5).close()


def test_what_cannot_be_served(home, tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--index", str(home / "index"), "--port", str(port)]) == 2
        assert f"error: --port {port}: Address already in use" in capsys.readouterr().err
    assert main(["serve", "--index", str(tmp_path)]) == 2
    assert "holds no index" in capsys.readouterr().err


@pytest.mark.skipif(browser.CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_in_a_browser(server, home, tmp_path):
    shown = "[...document.querySelectorAll('.sheet img')]"
    image = sorted((home / "images").glob("*.jpg"))[5]
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    with browser.Browser(tmp_path / "profile") as page:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.value("document.querySelector('#q').value = 'the red star'")
        page.value("document.querySelector('form button').click()")
        page.wait(f"location.search.includes('red') && {shown}.length === 24")
        page.wait(f"{shown}.slice(0, 4).every((image) => image.naturalWidth > 0)")
        assert page.value("document.querySelector('.name').textContent").endswith(".jpg")
        name = image.stem[3:].replace("_", " ")
        page.value(f"document.querySelector('#names').value = 'green cross\\n{name}'")
        page.choose_file("#file", image)
        page.wait("document.querySelectorAll('.labels tr').length === 2")
        if importlib.util.find_spec("axe_core_python"):
            assert page.violations() == []
        assert page.value("document.querySelector('.labels th').textContent") == name
        assert page.value("document.querySelector('.name').textContent") == image.name
        page.choose_file("#file", broken)
        page.wait("document.querySelector('.error') !== null")
        said = page.value("document.querySelector('.error').textContent")
        assert said.startswith("image: not an image of a kind read here")
        assert page.value("document.documentElement.scrollWidth <= innerWidth")


def test_a_template_without_a_name_is_refused_before_the_server_starts(home):
    options = serve.Options(str(home / "index"), templates=["a photo"])
    with pytest.raises(ValueError, match=r"expected {} where the name goes; got 'a photo'"):
        serve.prepared(options)
