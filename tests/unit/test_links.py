"""Links lead somewhere, headings come in order, pictures have texts; each check can fail."""

import re
from pathlib import Path

import pytest

from tests.cases import cases
from tools import links
from tools.lessons import ROOT

DOCUMENTS = links.documents()


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    assert list(links.broken(path)) == []


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if p.suffix == ".md"], ids=named)
def test_headings_come_in_order(path: Path) -> None:
    assert list(links.misordered(links.headings(links.markdown(path)))) == []


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if p.suffix == ".md"], ids=named)
def test_pictures_have_texts(path: Path) -> None:
    text = links.markdown(path)
    assert re.findall(r"!\[\s*\]\(", text) == []
    tags = re.findall(r"<img [^>]*>", text)
    assert [tag for tag in tags if not re.search(r"""alt=("|')\s*\S""", tag)] == []


def test_all_that_readers_open_is_looked_at() -> None:
    seen = set(map(named, DOCUMENTS))
    assert {"README.md", "CONTRIBUTING.md", "notebooks/00_first_run.ipynb"} <= seen
    assert len(links.elsewhere()) > 10


@cases
def test_broken_links_are_found(text: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (tmp_path / "other.md").write_text("# There\n", encoding="utf-8")
    document = tmp_path / "some.md"
    document.write_text(f"# Here\n\n[b](#here) [c](other.md#there)\n\n{text}\n", encoding="utf-8")
    (problem,) = links.broken(document, tmp_path)
    assert found in problem


@pytest.mark.parametrize("text", ["## Second first", "# One\n\n# Two", "# One\n\n### Three"])
def test_misordered_headings_are_found(text: str) -> None:
    assert list(links.misordered(links.headings(text)))


def test_links_in_code_are_no_links() -> None:
    assert links.targets("`[a](b)`\n\n```text\n[c](d)\n```\n") == []


def test_a_page_that_is_gone_is_told(capsys: pytest.CaptureFixture[str],
                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(links, "elsewhere", lambda: {"https://a.org": ["README.md"], "b": ["c"]})
    monkeypatch.setattr(
        links, "failure", lambda address: "404 gone" if "a.org" in address else None
    )
    assert links.main() == 1
    told = capsys.readouterr()
    assert told.err == "https://a.org: 404 gone (in README.md)\n"
    assert told.out == "1 of 2 addresses answer\n"
