"""What the live page answers, to whom, and what it refuses."""

import json
import re
import socket
import threading
import time
import urllib.request
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from visitors import NAMES, Gate, Visitor, breaks, lower, picture, png, quarters

from captum_focalogic import MaskedModel, explain_image, serve
from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import FocaLogicWarning, InputError, warn
from captum_focalogic.focus import Focus
from captum_focalogic.images import CentreCrop
from captum_focalogic.live.cases import Choices, Desk, counterpart
from captum_focalogic.live.server import UPLOAD, open_page

CORNERS = [True, False, False, True]


def test_from_an_image_to_what_the_model_says(serve_models):
    visitor = serve_models(picture()).enter()
    assert "/c/" in visitor.here
    last = visitor.events()[-1]
    assert (last["state"], last["best"]) == ("done", CORNERS)
    status, page, headers = visitor.get()
    assert status == 200
    assert "I</i>" in page or "I1" in page
    assert "1 and 4 keep it alone" in page
    assert 'data-state="done"' in page
    assert headers["cache-control"] == "no-store"
    status, said = visitor.post("/ask", {"states": [CORNERS, [True, False, False, False], [False] * 4]})
    assert status == 200
    for answer, state in zip(said["answers"], ([1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]), strict=True):
        kept = torch.tensor(state, dtype=torch.bool).reshape(2, 2).repeat_interleave(16, 0).repeat_interleave(16, 1)
        seen = torch.from_numpy(np.array(picture())).permute(2, 0, 1)[None] / 255 * kept
        likely = quarters(seen).softmax(1)[0]
        assert [one["index"] for one in answer["top"]] == likely.argsort(descending=True).tolist()
        assert [one["name"] for one in answer["top"]] == [NAMES[one["index"]] for one in answer["top"]]
        assert answer["top"][0]["share"] == pytest.approx(float(likely.max()), abs=1e-4)
        assert answer["valid"] == (state == [1, 0, 0, 1])
        assert answer["probability"] == pytest.approx(float(likely[2]), abs=1e-4)


def test_everything_can_be_saved(serve_models):
    visitor = serve_models(picture()).enter()
    visitor.events()
    page = visitor.get()[1]
    # A function has no name that a command line could find, and an image from memory is no file.
    assert "focalogic explain" not in page
    lines = "explain_image(model, image, segmenter=&#39;grid:2x2&#39;, baseline=&#39;black&#39;)"
    assert lines in page
    status, text, headers = visitor.get("/save/focus.json")
    assert status == 200
    assert headers["content-disposition"] == "attachment"
    assert Focus.from_json(text).region_sets() == [frozenset({1, 4})]
    assert visitor.get("/save/formula.txt")[1].strip() == "I1 & I4"
    assert "digraph" in visitor.get("/save/formula.dot")[1]
    static = visitor.get("/save/report.html")[1]
    assert "connect-src" not in static
    assert "data-asks" not in static
    assert "focalogic serve" in static
    with urllib.request.urlopen(f"{visitor.here}/save/headline.png") as answer:
        assert Image.open(answer).width > 100
    assert visitor.get("/save/passwd")[0] == 404
    assert visitor.get("/save/..%2f..%2fetc%2fpasswd")[0] == 404


def test_settings_are_chosen_from_what_is_offered(serve_models):
    visitor = serve_models(picture(), quarters=quarters, lower=lower).enter()
    visitor.events()
    status, said = visitor.post("/again", {"segmenter": "grid:4x4", "reading": "irreducible", "against": "light"})
    assert status == 200
    visitor.here = f"http://{visitor.host}{said['location']}"
    visitor.events()
    page = visitor.get()[1]
    assert "rather than" in page or "light" in page
    for chosen, message in (
        ({"model": "os:system"}, "'os:system' is not on offer; choose one of quarters, lower"),
        ({"segmenter": "slic:99999"}, "is not on offer"),
        ({"baseline": "/etc/passwd"}, "is not on offer"),
        ({"removal": "tokens"}, "is not on offer"),
        ({"max_evaluations": 10**9}, "a whole number from 1 to 100,000"),
        ({"zoom": True}, "a whole number from 0 to 8"),
        ({"against": "unicorn"}, "unicorn"),
        ({"criterion": "top1+nonsense"}, "criterion"),
        ({"criterion": ["top1"]}, "must be a short text"),
        ({"device": "cuda"}, "there is no setting 'device'"),
    ):
        status, said = visitor.post("/again", chosen)
        assert status == 400, chosen
        assert message in said["error"], said


def test_patches_are_left_out_where_that_is_chosen():
    made = pytest.importorskip("torchvision.models.vision_transformer").VisionTransformer
    torch.manual_seed(0)
    vit = made(32, 8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=len(NAMES)).eval()
    for weights in vit.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    page = serve(vit, picture(), labels=NAMES, segmenter="grid:2x2", baseline="black", removal=["tokens", "fill"])
    visitor = Visitor(page).enter()
    states = np.array([CORNERS, [True, False, False, False], [False] * 4])
    seen = torch.from_numpy(np.array(picture())).permute(2, 0, 1)[None] / 255
    cells = (torch.arange(32) // 16)[:, None] * 2 + torch.arange(32) // 16
    said = {}
    try:
        for removal, told in (
            ("tokens", "dropped regions are not filled"),
            ("fill", "dropped regions are filled: black"),
        ):
            status, answer = visitor.post("/again", {"removal": removal})
            assert status == 200
            visitor.here = f"http://{visitor.host}{answer['location']}"
            assert visitor.events()[-1]["state"] == "done"
            assert told in visitor.get()[1]
            asked = visitor.post("/ask", {"states": states.tolist()})[1]["answers"]
            said[removal] = [one["probability"] for one in asked]
            masked = MaskedModel(vit, seen, 0, feature_mask=cells, criterion="top1+0.5", removal=removal)
            assert said[removal] == pytest.approx(masked.ask(states).probability.tolist(), abs=1e-3)
    finally:
        page.stop()
    assert said["tokens"] != pytest.approx(said["fill"], abs=1e-2)


def test_two_models_side_by_side(serve_models):
    visitor = serve_models(picture(), quarters=quarters, lower=lower).enter()
    visitor.events()
    status, said = visitor.post("/beside", {"model": "lower"})
    assert status == 200
    visitor.here = f"http://{visitor.host}{said['location']}"
    visitor.events()
    page = visitor.get()[1]
    assert "The two formulas" in page
    assert "They differ, for instance where" in page
    assert "quarters itself " in page
    assert "lower itself " in page
    addresses = re.findall('data-asks="(.*?)"', page)
    # Each answers for itself: the left half, which the second one sees only the lower part of.
    said = [
        visitor.post(f"http://{visitor.host}{address}/ask", {"states": [[True, False, True, False]]})[1]["answers"][0]
        for address in addresses
    ]
    assert [one["top"][0]["name"] for one in said] == ["light", "both"]
    for address, name in zip(addresses, ("quarters", "lower"), strict=True):
        static = visitor.get(f"http://{visitor.host}{address}/save/report.html")[1]
        assert f"<dd>{name}</dd>" in static


def crop(side, share):
    return CentreCrop(side, side, share, Image.Resampling.NEAREST)


def test_regions_have_a_counterpart_where_another_model_sees_the_same_place():
    image = Image.new("RGB", (64, 48))
    whole = Classifier.fitted(quarters, crop(24, 1.0))
    finer, closer = Classifier.fitted(quarters, crop(32, 1.0)), Classifier.fitted(quarters, crop(24, 0.5))
    regions = whole.preprocess_labels(np.arange(64)[None].repeat(48, 0) // 16)
    seen = counterpart(regions, whole, finer, image.size)
    assert (seen == finer.preprocess_labels(np.arange(64)[None].repeat(48, 0) // 16)).mean() > 0.9
    # The middle of the image, not a smaller copy of all of it.
    inner = counterpart(regions, whole, closer, image.size)
    assert (inner == closer.preprocess_labels(np.arange(64)[None].repeat(48, 0) // 16)).mean() > 0.9
    with pytest.raises(InputError, match="see different parts of the image"):
        counterpart(closer.preprocess_labels(np.zeros((48, 64), dtype=np.int64)), closer, whole, image.size)
    with pytest.raises(InputError, match="is not known"):
        counterpart(regions, whole, Classifier(quarters), image.size)
    assert counterpart(regions, whole, whole, image.size) is regions


def test_strangers_are_refused(serve_models):
    visitor = serve_models(picture()).enter()
    assert visitor.get(Host="evil.example")[0] == 403
    assert visitor.get(Host=f"evil.example:{visitor.page.url.split(':')[2].split('/')[0]}")[0] == 403
    question = {"states": [CORNERS]}
    for origin in ("http://evil.example", "null", "", f"http://{visitor.host}.evil.example"):
        assert visitor.post("/ask", question, Origin=origin)[0] == 403
    root = f"http://{visitor.host}"
    for path in ("/", "/r/x/", "/wrong-token/", visitor.here.split(visitor.host)[1].split("/", 2)[2]):
        assert visitor.get(f"{root}/{path.lstrip('/')}")[0] == 404
    token = visitor.page.url.rstrip("/").rsplit("/", 1)[1]
    assert len(token) >= 20
    assert visitor.get(f"{root}/{token}/r/nobody/c/nothing")[0] == 404


def test_what_is_no_question(serve_models):
    visitor = serve_models(picture()).enter()
    for body, status, message in (
        (b"\xff{", 400, "no JSON"),
        (b"[]", 400, "must be a JSON object"),
        ({}, 400, "1 to 64 region sets"),
        ({"states": [[True]]}, 400, "a list of 4 booleans"),
        ({"states": [[1, 0, 1, 0]]}, 400, "a list of 4 booleans"),
        ({"states": [CORNERS] * 65}, 400, "1 to 64 region sets"),
        (b" " * (2 << 20), 413, "at most 1 MB"),
        (b"[" * 100_000, 400, "no JSON"),
    ):
        given, said = visitor.post("/ask", body)
        assert given == status
        assert message in said["error"]


def test_images_that_are_none(serve_models):
    visitor = serve_models().enter()
    assert "/c/" not in visitor.here
    assert "Drop an image here" in visitor.get()[1]
    for content in (b"", b"no image", png(picture())[:60], b"<svg onload=alert(1)>"):
        status, said = visitor.opened(content)
        assert status == 400
        assert "image" in said["error"]
    status, said = visitor.opened(b"\0" * (UPLOAD + 1))
    assert (status, said["error"]) == (413, "at most 24 MB can be sent")
    status, _ = visitor.opened(png(picture()), title="</title><script>alert(1)</script>.png")
    assert status == 200
    assert "<script>alert" not in visitor.get()[1]


def test_a_model_that_raises_gives_a_sentence(serve_models):
    visitor = serve_models(picture(), breaks=breaks).enter()
    last = visitor.events()[-1]
    assert last["state"] == "failed"
    page = visitor.get()[1]
    assert "the model raised ValueError: &lt;b&gt;no upper half&lt;/b&gt;" in page
    status, said = visitor.post("/ask", {"states": [[False, False, True, True]]})
    assert (status, said["error"]) == (502, "the model raised ValueError: <b>no upper half</b>")
    assert visitor.post("/ask", {"states": [[True] * 4]})[0] == 200


def animation(frames):
    stream = BytesIO()
    shades = [Image.new("RGB", (32, 32), (255, 255, 255 - shade)) for shade in range(frames)]
    shades[0].save(stream, "GIF", save_all=True, append_images=shades[1:])
    return stream.getvalue()


def test_what_a_search_warns_of_is_told_on_the_page_alone(serve_models, recwarn, capsys):
    visitor = serve_models(labels=lambda images: (images.mean((1, 2, 3)) > 0.5).long()).enter()
    visitor.opened(animation(3), {"max_evaluations": 1})
    visitor.events()
    page = visitor.get()[1]
    said = re.findall(r"<li>(.*?)</li>", re.search(r'aria-label="Warnings">(.*?)</ul>', page, re.DOTALL)[1])
    # What was said when the image was opened, when the model was first asked, and when the search had ended.
    assert [words.split()[0:4] for words in said] == [
        ["the", "image", "has", "3"],
        ["the", "model", "gives", "labels,"],
        ["example(s)", "0:", "the", "search"],
    ]
    # Another search of the same image tells of the image again, and of nothing that is mended.
    visitor.here = f"http://{visitor.host}{visitor.post('/again', {'max_evaluations': 100})[1]['location']}"
    visitor.events()
    page = visitor.get()[1]
    assert "the image has 3 frames" in page
    assert "the search ended before" not in page
    assert [str(one.message) for one in recwarn if issubclass(one.category, FocaLogicWarning)] == []
    assert "frames" not in capsys.readouterr().err


def test_warnings_are_escaped_and_say_of_which_model_they_are(serve_models):
    def says(images):
        warn("<i>of note</i>")
        return quarters(images)

    visitor = serve_models(picture(), **{"<b>one</b>": says, "two": says}).enter()
    visitor.events()
    assert "<li>&lt;i&gt;of note&lt;/i&gt;</li>" in visitor.get()[1]
    visitor.here = f"http://{visitor.host}{visitor.post('/beside', {'model': 'two'})[1]['location']}"
    visitor.events()
    text = visitor.get()[1]
    assert "<li>&lt;b&gt;one&lt;/b&gt;: &lt;i&gt;of note&lt;/i&gt;</li><li>two: &lt;i&gt;of note&lt;/i&gt;</li>" in text


def test_a_model_s_own_key_error_is_its_own(serve_models):
    def forgets(images):
        if (images[:, :, :16].mean((1, 2, 3)) < 0.2).any():
            raise KeyError("weights")
        return quarters(images)

    visitor = serve_models(picture(), forgets=forgets).enter()
    status, said = visitor.post("/ask", {"states": [[False, False, True, True]]})
    assert (status, said["error"]) == (502, "the model raised KeyError: 'weights'")


def test_a_click_overtakes_a_search_and_a_stop_keeps_what_was_found(serve_models):
    gate = Gate()
    visitor = serve_models(gate=gate).enter()
    visitor.opened(png(picture()), {"segmenter": "grid:4x4", "reading": "irreducible", "max_evaluations": 50_000})
    while gate.calls < 10:
        time.sleep(0.01)
    before = gate.calls
    assert visitor.post("/ask", {"states": [[True] * 5 + [False] * 11]})[0] == 200
    assert gate.calls > before
    assert visitor.post("/stop", {})[0] == 200
    last = visitor.events()[-1]
    assert last["state"] == "stopped"
    assert 10 < gate.rows < 50_000
    assert "The search was stopped: this is what was found until then." in visitor.get()[1]
    assert visitor.get("/save/focus.json")[0] == 200


def test_two_readers_at_once(serve_models):
    one, two = (serve_models(picture()).enter() for _ in range(2))
    two.page = one.page
    two.enter()
    assert one.reader() != two.reader()
    ends = []
    threads = [
        threading.Thread(target=lambda each=each: ends.append(each.events()[-1]["state"])) for each in (one, two)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ends == ["done", "done"]
    case = two.here.rsplit("/", 1)[1]
    assert one.get(f"{one.reader()}/c/{case}")[0] == 404


def test_a_new_search_stops_the_one_before(serve_models):
    gate = Gate()
    visitor = serve_models(gate=gate).enter()
    visitor.opened(png(picture()), {"segmenter": "grid:4x4", "reading": "irreducible", "max_evaluations": 50_000})
    first = visitor.here
    visitor.opened(png(picture()))
    assert visitor.events()[-1]["state"] == "done"
    visitor.here = first
    assert visitor.events()[-1]["state"] == "stopped"


def test_in_public_any_host_may_be_named_but_questions_come_from_its_own_pages(serve_models):
    visitor = serve_models(picture(), public=True, token="")
    assert visitor.page.url.count("/") == 3
    visitor.enter()
    assert visitor.get(Host="space.example")[0] == 200
    question = {"states": [CORNERS]}
    assert visitor.post("/ask", question, Host="space.example", Origin="https://space.example")[0] == 200
    assert visitor.post("/ask", question, Host="space.example", Origin="https://evil.example")[0] == 403


def test_from_python():
    page = serve(
        {"quarters": quarters, "lower": lower}, picture(), labels=NAMES, segmenter="grid:2x2", baseline="black"
    )
    try:
        with urllib.request.urlopen(page.url) as answer:
            text = answer.read().decode()
        assert "Why <em>both</em>?" in text
        assert "lower" in text
        assert page.url in page._repr_html_()
    finally:
        page.stop()


def test_an_answer_is_opened_alive_in_its_own_regions():
    regions = np.arange(4).reshape(2, 2).repeat(16, 0).repeat(16, 1) * 5 + 3
    answer = explain_image(quarters, picture(), labels=NAMES, segmenter=regions, baseline="black")
    page = answer.serve(quarters, labels=NAMES)
    visitor = Visitor(page)
    try:
        visitor.enter()
        assert visitor.events()[-1]["state"] == "done"
        found = Focus.from_json(visitor.get("/save/focus.json")[1])
        assert found.region_sets() == answer.focus.region_sets() == [frozenset({3, 18})]
        assert found.formula == answer.focus.formula
    finally:
        page.stop()
    with pytest.raises(InputError, match="not about an image"):
        replace(answer, focus=replace(answer.focus, image=None)).serve(quarters)


def test_a_module_of_the_user_s_is_left_as_it_was():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 3)).train()
    page = serve(model, picture(), labels=NAMES, segmenter="grid:2x2")
    try:
        with urllib.request.urlopen(page.url) as answer:
            assert answer.status == 200
        assert model.training
        assert all(parameter.requires_grad for parameter in model.parameters())
    finally:
        page.stop()


def test_what_is_misspelt_is_told_before_anybody_comes():
    for choices in (
        Choices({"no-such-model": None}),
        Choices({"demo": None}, segmenters={"magic": "magic"}),
        Choices({"demo": None}, baselines=("pink-ish",)),
    ):
        with pytest.raises(InputError, match=r"no-such-model|magic|pink-ish"):
            Desk(choices).check()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"nobody can listen on 127.0.0.1, port {port}: "):
            open_page(Desk(Choices({"demo": None})), None, port=port)


def test_events_are_json_lines(serve_models):
    visitor = serve_models(picture()).enter()
    events = visitor.events()
    assert [one["asked"] for one in events] == sorted(one["asked"] for one in events)
    assert all(json.dumps(one) for one in events)
