"""Every fenced block of every page runs as it stands; what cannot says why, and these are few."""

import pages
import pytest

NOT_RUN = {
    "CONTRIBUTING.md": ["it makes the environment that this runs in", "it is what runs this", ".ci/run does"],
    "docs/coming-from.md": ["the program of another package"],
    "docs/demo.md": ["it trains a network for minutes"],
    "docs/results/scenarios.md": ["it makes images for hours; tests/experiments/test_generation.py makes a few"],
    "docs/scale.md": ["it starts Ray; tests/study/test_engines.py does"],
    "docs/search.md": ["it asks networks about photographs for hours, and neither stands in the project"],
}


@pytest.mark.parametrize("page", [page for page in pages.PAGES if pages.blocks_of(page)])
def test_the_blocks_of_a_page_run_and_print_what_they_are_said_to(page: str) -> None:
    ran = pages.run(page)
    assert set(ran.printed) == {block.line for block in pages.blocks_of(page) if block.why is None}


def test_no_fence_is_missed() -> None:
    for page in pages.PAGES:
        fences = [line for line in (pages.ROOT / page).read_text(encoding="utf-8").splitlines() if "```" in line]
        shown = sum(1 + (block.prints is not None) for block in pages.blocks_of(page))
        assert len(fences) == 2 * shown, page


def test_what_is_not_run_is_little_and_says_why() -> None:
    found = {page: [block.why for block in pages.blocks_of(page) if block.why is not None] for page in pages.PAGES}
    assert {page: reasons for page, reasons in found.items() if reasons} == NOT_RUN


def test_nothing_that_pages_use_is_there_for_nothing() -> None:
    """Names and numbers that stand for smaller ones stand on some page."""
    import offline

    texts = {page: (pages.ROOT / page).read_text(encoding="utf-8") for page in pages.PAGES}
    assert all(any(usual in text for text in texts.values()) for usual in offline.FEWER)
    assert set(offline.OWN) <= set(texts)
    for page, make in offline.OWN.items():
        code = "".join(block.code for block in pages.blocks_of(page))
        assert [name for name in make() if name not in code] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "prints\n1"),
        ("```python\nraise ValueError('no')\n```\n", "ValueError: no"),
        ("```python\nimport captum_focalogic.nonesuch\n```\n", "No module named 'captum_focalogic.nonesuch'"),
        ("```\nwhat is this\n```\n", "without a language"),
        ("```sh\nfocalogic explain none.jpg\n```\n", "leaves with 2"),
        ("```sh\nmake it\n```\n", "make is no program that this knows"),
        ("```sh\npip install 'captum-focalogic[nonesuch]'\n```\n", "AssertionError"),
        ("```sh\npytest tests/test_focus.py -k nonesuch\n```\n", "nonesuch"),
        ("```console\n$ focalogic --version\n9.9\n```\n", "prints"),
        ("```json\n{1}\n```\n", "JSONDecodeError"),
        ('```toml\n[project.entry-points."captum_focalogic.nonesuch"]\nmine = "a:b"\n```\n', "nonesuch"),
    ],
)
def test_a_block_that_does_not_hold_is_told(text: str, message: str, tmp_path, monkeypatch) -> None:
    (tmp_path / "page.md").write_text(text)
    monkeypatch.chdir(tmp_path)
    blocks = pages.blocks_of(str(tmp_path / "page.md"))
    assert len(blocks) == 1
    with pytest.raises(AssertionError, match=r"page\.md:1") as told:
        pages._run_block(blocks[0], {})
    assert message in str(told.value)
