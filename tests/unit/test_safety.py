"""No pickle, no foreign code, no token, no altered file: in the sources, in all committed files."""

import ast
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.checkup import Finding, Report
from gemma_mtp_edu.models import files
from gemma_mtp_edu.models.files import BUNDLED, TOKEN_VARIABLES, sources, verify, without_tokens
from tests.cases import cases, posix

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("gemma_mtp_edu", "tools", "notebooks/src", "binder")
    for path in (ROOT / folder).rglob("*.py")
)
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# Judged by hand. The one runs code that has passed an allow-list, under builtins of its own; the
# other runs the lessons' own sources, as building a notebook does.
ALLOWED = {
    ("tools/pocket/workloads/functions.py", "exec"),
    ("tools/slides.py", "exec"),
    ("tools/slides.py", "compile"),
}
TOKEN = "hf_" + "NotARealTokenButLooksLikeOne1234"


def dangers(code: str) -> Iterator[str]:
    """Yield what could run code that is data: calls, imports and arguments."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN_IMPORTS)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in FORBIDDEN_IMPORTS:
                yield node.module
        elif isinstance(node, ast.Call):
            yield from _call_dangers(node)


def _call_dangers(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    if name.removeprefix("builtins.") in FORBIDDEN_CALLS:
        yield name.removeprefix("builtins.")
    if name in ("torch.load", "os.system", "os.popen", "yaml.load", "pd.read_pickle"):
        yield name
    for keyword in call.keywords:
        value = ast.unparse(keyword.value)
        if keyword.arg in ("trust_remote_code", "allow_pickle", "shell") and value != "False":
            yield f"{keyword.arg}={value}"
        if keyword.arg == "use_safetensors" and value != "True":
            yield f"{keyword.arg}={value}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_data(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    found = {(name, danger) for danger in dangers(path.read_text(encoding="utf-8"))}
    assert found - ALLOWED == set()


@cases
def test_dangers_are_seen(code: str, danger: str | None) -> None:
    assert list(dangers(code)) == ([danger] if danger else [])


# Tokens of the hub, of code hosts, of clouds and of chat services; private keys.
SECRET = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{40,}|glpat-[\w-]{20,}"
    r"|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|sk-[A-Za-z0-9_-]{32,}|xox[abp]-[\w-]{20,}"
    r"|pypi-[\w-]{50,})|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


def committed_files() -> list[Path]:
    """Return all files of the repository, or of the folder where it is none."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = [name for name in done.stdout.split("\0") if name]
    found = [ROOT / name for name in names] or list(ROOT.glob("*/**/*"))
    return [path for path in found if path.is_file() and path.suffix != ".safetensors"]


def test_neither_pickles_nor_code_are_asked_of_the_hub() -> None:
    asked = files.SETTINGS + files.WEIGHTS
    wrong = ("tokenizer.py", "pytorch_model.bin", "model.pt", "original/consolidated.00.pth")
    assert not [name for name in wrong for pattern in asked if fnmatch(name, pattern)]
    assert fnmatch("model-00001-of-00002.safetensors", *files.WEIGHTS)


def test_no_committed_file_holds_a_token() -> None:
    files = committed_files()
    assert sum(path.suffix == ".ipynb" for path in files) > 10
    texts = {path: path.read_bytes().decode("utf-8", "replace") for path in files}
    assert [path.name for path, text in texts.items() if SECRET.search(text)] == []


def test_tokens_would_be_found() -> None:
    for secret in ("hf_" + "a1B2" * 9, "ghp_" + "a1B2" * 9, "AKIA" + "ABCD" * 4):
        assert SECRET.search(f"login(token={secret!r})")
    assert not SECRET.search("hf_hub_download, hf_transfer, sk-learn")


@pytest.mark.parametrize("name", TOKEN_VARIABLES)
def test_the_environment_s_token_is_taken_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "any-kind-of-token")
    assert without_tokens("Bearer any-kind-of-token!") == "Bearer hf_***!"


@given(st.text(), st.text())
def test_a_token_never_stays_and_other_text_does(before: str, after: str) -> None:
    assert TOKEN not in without_tokens(f"{before} {TOKEN} {after}")
    assert without_tokens(before) == before or "hf_" in before or "api_org_" in before


@cases
def test_tokens_in_odd_places(before: str, after: str) -> None:
    assert without_tokens(before.replace("TOKEN", TOKEN)) == after


def test_the_doctor_tells_no_token() -> None:
    found = Finding("hub", "reached", "warning", f"401 for {TOKEN}", f"unset {TOKEN}")
    report = Report((found,), 1.0)
    for told in (report.to_json(), str(report), repr(report)):
        assert TOKEN not in told
        assert "401 for hf_***" in told


# The manifest of the bundled pair.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if os.name == "nt":
        pytest.skip("needs links")
    (tmp_path / "weights").write_bytes(b"12345")
    (tmp_path / "again").symlink_to(tmp_path / "weights")
    write_sums(tmp_path, dict.fromkeys(("weights", "again"), b"12345"))
    return tmp_path


def write_sums(folder: Path, contents: dict[str, bytes]) -> None:
    sums = {name: hashlib.sha256(held).hexdigest() for name, held in contents.items()}
    (folder / "manifest.json").write_text(json.dumps({"sha256": sums}))


def test_the_shipped_pair_is_sound_and_small() -> None:
    verify(BUNDLED)
    manifest = json.loads((BUNDLED / "manifest.json").read_text())
    assert manifest["bytes"] <= 25_000_000
    shipped = {p for p in BUNDLED.rglob("*") if p.is_file()}
    listed = {BUNDLED / name for name in manifest["sha256"]}
    assert {p.name for p in shipped - listed} <= {"manifest.json", "README.md"}


@pytest.mark.parametrize("damage", [b"1234", b"12346", b"", None])
def test_altered_cut_and_missing_files_are_refused(
    folder: Path, damage: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BUNDLED", folder)
    assert sources("pocket")[0] == folder.name
    (folder / "weights").unlink()
    if damage is not None:
        (folder / "weights").write_bytes(damage)
    seen = "No such file" if damage is None else "weights is cut off or altered"
    with pytest.raises(ValueError, match=f"{seen}.*install the package again"):
        sources("pocket")


@posix
@pytest.mark.parametrize("name", ["../other", "/etc/hosts", ".", "a/../../other", "link", "sub/w"])
def test_a_manifest_names_no_files_outside(folder: Path, name: str, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    outside.mkdir()
    for place in (folder.parent / "other", outside / "w"):
        place.write_bytes(b"secret")
    (folder / "link").symlink_to(outside / "w")
    (folder / "sub").symlink_to(outside)
    write_sums(folder, {name: b"secret"})
    with pytest.raises(ValueError, match="install the package again"):
        verify(folder)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"sha256": 3}', '{"sha256": ["a"]}'])
def test_a_manifest_that_cannot_be_read_is_named(folder: Path, text: str | None) -> None:
    (folder / "manifest.json").unlink()
    if text is not None:
        (folder / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match="install the package again"):
        verify(folder)
