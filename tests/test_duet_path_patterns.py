"""A pattern finds files in folders whose names look like patterns."""

import pytest

from duet.path_patterns import matching


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("data [v2]/*.jpg", ["data [v2]/1.jpg", "data [v2]/2.jpg"]),
        ("data [v2]/[12].jpg", ["data [v2]/1.jpg", "data [v2]/2.jpg"]),
        ("data [v2]/**/*.jpg", ["data [v2]/1.jpg", "data [v2]/2.jpg", "data [v2]/in/3.jpg"]),
        ("data*/2.jpg", ["data [v2]/2.jpg", "data v/2.jpg"]),
        ("data [v2]/a[1].jpg", ["data [v2]/a[1].jpg"]),  # itself, not a1.jpg
        ("data [v2]/none*.jpg", []),
        ("nowhere", ["nowhere"]),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_a_pattern_finds_its_files(tmp_path, monkeypatch, pattern, names, absolute):
    there = ("data [v2]/1.jpg", "data [v2]/2.jpg", "data [v2]/a[1].jpg", "data [v2]/a1.png")
    for name in (*there, "data [v2]/in/3.jpg", "data v/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    before = f"{tmp_path}/" if absolute else ""
    found = matching(before + pattern)
    assert [name for name in found if "a[1]" not in name or "a[1]" in pattern] == [
        before + name for name in names
    ]
