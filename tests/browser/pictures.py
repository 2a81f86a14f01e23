"""What a browser makes of a timeline: whether what stands together in the record stands together on the screen."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

_BOXES = """svg => {
  const box = it => { const b = it.getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom]; };
  return {
    whole: box(svg), room: document.documentElement.clientWidth, colour: getComputedStyle(svg).color,
    letter: 13 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width,
    line: box(svg.querySelector(":scope > path:last-of-type")),
    texts: [...svg.querySelectorAll("text")].map(it => [it.textContent, box(it)]),
    lanes: [...svg.querySelectorAll(":scope > g")].map(it => box(it)),
  };
}"""
_LEAST = 8.0  # pixels of a letter that can be read


def measured(svg: Locator) -> dict[str, Any]:
    """Return where the parts of a timeline are, in pixels, having seen that they agree with each other."""
    found = svg.evaluate(_BOXES)
    left, right, top, bottom = found["whole"]
    assert left >= 0
    assert right <= found["room"]
    assert found["letter"] >= _LEAST
    texts = found["texts"]
    for words, box in [*texts, *(("a mark", lane) for lane in found["lanes"])]:
        inside = left - 1 <= box[0] and box[1] <= right + 1 and top - 1 <= box[2] and box[3] <= bottom + 1
        assert inside, words
    for place, (words, box) in enumerate(texts):
        for others, other in texts[place + 1 :]:
            apart = box[1] <= other[0] or other[1] <= box[0] or box[3] <= other[2] + 2 or other[3] <= box[2] + 2
            assert apart, f"{words} lies on {others}"
    return found


def middle(box: list[float]) -> float:
    """Return the middle of a box, from left to right."""
    return (box[0] + box[1]) / 2
