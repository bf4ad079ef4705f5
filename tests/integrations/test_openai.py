"""Endpoints, asked over the loopback: faults, budgets, the cache, and where keys go."""

import asyncio
import base64
import gzip
import json
import logging
import pickle
import sys
import time
from urllib.parse import quote

import numpy as np
import pytest
import torch

from captum_focalogic import FocaLogic
from captum_focalogic.errors import BudgetError, EndpointError, InputError, MissingExtraError, ModelOutputError

pytest.importorskip("openai", reason="openai is not installed (extra 'openai')")

from loopback import LABELS, broken, decide, send, serve, slow, status

from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.integrations.failures import Retries
from captum_focalogic.integrations.openai import Completion, EndpointModel
from captum_focalogic.oracle.forward import billed
from captum_focalogic.study.settings import setting_text

KEY = "sk-very-secret-0123456789"
QUICK = Retries(attempts=4, first=0.01, longest=0.5)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serve() as (endpoint, url):
        yield endpoint, url


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((6, 3, 4, 4), dtype=np.float32))


def model(server, **options):
    return EndpointModel("m", LABELS, base_url=server[1], retries=QUICK, **options)


def expected(images):
    pixels = np.round(255 * images.numpy()).astype(np.uint8).transpose(0, 2, 3, 1)
    return [LABELS.index(decide(image)) for image in pixels]


def test_answers_are_the_endpoints(server, images):
    scores = model(server)(images)
    assert scores.argmax(1).tolist() == expected(images)
    assert torch.equal(scores.sum(1), torch.ones(6))
    request = server[0].requests[0]
    assert request["temperature"] == 0
    schema = request["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == LABELS
    assert request["messages"][0]["content"][0]["text"].endswith("red, green, blue. Answer with the label alone.")
    assert set(server[0].keys) == {f"Bearer {KEY}"}


def test_a_study_tells_it_by_what_it_asks_not_by_what_it_did(server, images):
    asked = model(server, max_calls=100)
    before = setting_text(asked)
    asked(images)
    assert setting_text(asked) == before == setting_text(model(server, concurrency=2))
    others = [model(server, seed=3), model(server, structured=False), model(server, question="Which of {labels}?")]
    assert len({before, *map(setting_text, others)}) == 4


def test_plain_words_and_further_fields(server, images):
    asked = model(server, structured=False, question="Which of {labels}?", temperature=None, seed=3)
    assert asked(images).argmax(1).tolist() == expected(images)
    request = server[0].requests[0]
    assert "response_format" not in request
    assert "temperature" not in request
    assert request["seed"] == 3
    assert request["messages"][0]["content"][0]["text"] == "Which of red, green, blue?"


def test_an_endpoint_is_explained(server, tmp_path):
    # Green wins by the right half alone, and black goes to red, the first label.
    image = torch.zeros(1, 3, 4, 4)
    image[:, 1, :, 2:] = 1.0
    mask = torch.tensor([[0, 0, 1, 1]]).expand(4, 4)
    focus = FocaLogic(model(server, cache=tmp_path / "a.sqlite")).explain(image, feature_mask=mask)[0]
    assert focus.target == 1
    assert focus.region_sets() == [frozenset({1})]


@pytest.mark.parametrize(
    "fault",
    [status(429, headers=[("retry-after", "0.2")]), status(500), status(503), status(408), broken],
    ids=["429", "500", "503", "408", "malformed JSON"],
)
def test_passing_faults_are_asked_again(server, images, fault):
    server[0].faults.extend([fault, fault])
    start = time.monotonic()
    asked = model(server, concurrency=1)
    assert asked(images[:2]).argmax(1).tolist() == expected(images)[:2]
    assert asked.usage.calls == 4
    assert time.monotonic() - start >= 0.01


def test_retry_after_is_waited_for(server, images):
    server[0].faults.append(status(429, headers=[("retry-after", "0.4")]))
    start = time.monotonic()
    model(server)(images[:1])
    assert time.monotonic() - start >= 0.4


def test_timeouts_are_asked_again_and_named(server, images):
    server[0].faults.append(slow(0.6))
    assert model(server, timeout=0.3)(images[:1]).argmax(1).tolist() == expected(images)[:1]
    server[0].faults.extend([slow(0.4)] * 4)
    with pytest.raises(EndpointError, match=r"4 attempt\(s\).*took too long; raise timeout="):
        model(server, timeout=0.1)(images[:1])


@pytest.mark.parametrize(
    ("fault", "attempts", "message"),
    [
        (status(401, f"Incorrect API key provided: {KEY}"), 1, "does not accept the key in OPENAI_API_KEY"),
        (status(404, "no such model"), 1, "no such model .check the model's name"),
        (status(400, "response_format is not supported"), 1, "pass temperature=None or structured=False"),
        (status(429, "no money", kind="insufficient_quota"), 1, "no money"),
        (status(500, f"stack trace with {KEY}"), 4, "status 500, stack trace with …"),
        (broken, 4, "cannot be read .*OpenAI-compatible"),
    ],
)
def test_lasting_faults_are_named_without_the_key(server, images, fault, attempts, message, caplog):
    caplog.set_level(logging.DEBUG)
    server[0].faults.extend([fault] * attempts)
    asked = model(server)
    with pytest.raises(EndpointError, match=message) as raised:
        asked(images[:1])
    assert asked.usage.calls == attempts
    assert KEY not in str(raised.value)
    assert raised.value.__suppress_context__
    assert KEY not in "".join(record.getMessage() for record in caplog.records if record.name != "asyncio")


def test_an_endpoint_that_is_not_there_is_named(monkeypatch, images):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    asked = EndpointModel("m", LABELS, base_url="http://127.0.0.1:9/v1", retries=Retries(2, 0.01))
    with pytest.raises(EndpointError, match="cannot be reached; check base_url="):
        asked(images[:1])


def test_answers_outside_the_labels_count_as_changed_and_are_told(server, images):
    endpoint = server[0]
    endpoint.faults.extend(
        [
            endpoint.say(None, refusal="I cannot help with that."),
            endpoint.say('{"label": "purple"}'),
            endpoint.say('{"label": "re', finish="length"),
            endpoint.say("", finish="content_filter"),
        ]
    )
    asked = model(server, concurrency=1)
    with pytest.warns(UserWarning, match=r"outside the labels for 4 image\(s\), which count as changed predictions"):
        scores = asked(images)
    assert scores.isnan().all(1).tolist() == [True] * 4 + [False] * 2
    assert asked.outside == {
        "refusal: I cannot help with that.": 1,
        '{"label": "purple"}': 1,
        '{"label": "re': 1,
        "refusal: content filter": 1,
    }


@pytest.mark.filterwarnings("ignore:m answered outside")
def test_a_refusal_of_the_whole_image_explains_nothing(server):
    server[0].faults.append(server[0].say(None, refusal="no"))
    with pytest.raises(ModelOutputError, match="NaN"):
        FocaLogic(model(server)).explain(torch.ones(1, 3, 2, 2), feature_mask=torch.tensor([[0, 1], [2, 3]]))


def test_answers_are_kept_and_a_run_resumes_free(server, images, tmp_path):
    path = tmp_path / "deep" / "answers.sqlite"
    server[0].faults.extend([None, None, None, status(401)])
    first = model(server, cache=path, concurrency=1)
    with pytest.raises(EndpointError):
        first(images)
    assert first.usage.calls == 4
    second = model(server, cache=path, concurrency=1)
    assert second(images).argmax(1).tolist() == expected(images)
    assert (second.usage.calls, second.usage.cached) == (3, 3)
    third = model(server, cache=path)
    assert third(images.flip(0)).argmax(1).tolist() == expected(images)[::-1]
    assert (third.usage.calls, third.usage.cached) == (0, 6)
    # Another question, label set or endpoint is another request.
    for other in (
        model(server, cache=path, question="{labels}?"),
        EndpointModel("n", LABELS, base_url=server[1], cache=path),
    ):
        other(images[:1])
        assert other.usage.calls == 1
    assert len(first.cache) == 8


def test_equal_images_are_asked_about_once(server):
    asked = model(server)
    asked(torch.zeros(5, 3, 2, 2))
    assert asked.usage.calls == 1


def test_no_more_requests_are_in_flight_than_allowed(server):
    images = torch.linspace(0, 1, 12)[:, None, None, None].expand(12, 3, 2, 2)
    server[0].delay = 0.03
    model(server, concurrency=3)(images)
    assert server[0].most_at_once == 3


def test_calls_are_capped_hard(server, images, tmp_path):
    asked = model(server, max_calls=4, cache=tmp_path / "a.sqlite")
    assert billed(asked)
    with pytest.raises(BudgetError, match=r"4 calls were made.*larger cap"):
        asked(images)
    assert len(server[0].requests) == 4
    assert len(asked.cache) == 4
    with pytest.raises(BudgetError):
        asked(images)
    assert len(server[0].requests) == 4
    server[0].faults.extend([status(500)] * 9)
    with pytest.raises(BudgetError):
        model(server, max_calls=2)(images[:1])
    assert len(server[0].requests) == 6


def test_cost_is_capped_hard(server, images, tmp_path):
    # 1,000 prompt tokens at 2 and 10 completion tokens at 50 a million: 0.0025 a call.
    options = {"prices": (2.0, 50.0), "cache": tmp_path / "a.sqlite", "concurrency": 4}
    asked = model(server, max_cost=0.0076, **options)
    server[0].delay = 0.02
    with pytest.raises(BudgetError, match=r"was spent, and a further call may exceed max_cost=0\.0076"):
        asked(images)
    assert asked.usage.cost == pytest.approx(0.0075)
    assert len(server[0].requests) == 3
    resumed = model(server, max_cost=0.0076, **options)
    assert resumed(images).argmax(1).tolist() == expected(images)
    assert resumed.usage.cost == pytest.approx(0.0075)
    assert (resumed.usage.prompt_tokens, resumed.usage.completion_tokens) == (3000, 30)


@pytest.mark.parametrize("fault", [slow(0.6), status(504), status(408)], ids=["slow", "504", "408"])
def test_what_got_no_answer_in_time_counts_under_the_cap(server, images, fault):
    # 0.0025 a call; one is answered, and two that follow are lost and counted like it.
    asked = model(server, timeout=0.3, max_cost=0.0076, prices=(2.0, 50.0), concurrency=1)
    asked(images[:1])
    server[0].faults.extend([fault] * 9)
    with pytest.raises(BudgetError, match=r"0\.0075 was spent, counting 2 that got no answer in time like the dearest"):
        asked(images[1:2])
    assert len(server[0].requests) == 3
    assert (asked.usage.lost, asked.usage.cost) == (2, pytest.approx(0.0075))


def test_a_first_request_without_an_answer_ends_a_run_under_a_cap(server, images):
    server[0].faults.append(slow(0.6))
    asked = model(server, timeout=0.2, max_cost=1.0, prices=(2.0, 50.0))
    with pytest.raises(BudgetError, match="no answer came in time to the first request"):
        asked(images[:1])
    assert (len(server[0].requests), asked.usage.lost, asked.usage.cost) == (1, 1, 0.0)


def test_what_was_never_sent_costs_nothing(monkeypatch, images):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    how = {"base_url": "http://127.0.0.1:9/v1", "retries": Retries(2, 0.01), "max_cost": 1.0, "prices": (1, 1)}
    asked = EndpointModel("m", LABELS, **how)
    with pytest.raises(EndpointError, match="cannot be reached"):
        asked(images[:1])
    assert asked.usage.lost == 0


def test_a_cap_on_cost_needs_prices_and_counts(server, images):
    with pytest.raises(InputError, match="max_cost needs prices"):
        model(server, max_cost=1.0)
    with pytest.raises(InputError, match="must be positive"):
        model(server, max_calls=0)
    server[0].usage = None
    with pytest.raises(InputError, match="does not report its use of tokens"):
        model(server, max_cost=1.0, prices=(1, 1))(images)
    assert model(server)(images).argmax(1).tolist() == expected(images)


def test_keys_come_from_the_environment_and_go_nowhere_else(server, images, tmp_path, monkeypatch):
    path = tmp_path / "a.sqlite"
    asked = model(server, cache=path)
    asked(images)
    assert KEY not in repr(vars(asked))
    assert KEY.encode() not in pickle.dumps(asked)
    assert pickle.loads(pickle.dumps(asked))(images).argmax(1).tolist() == expected(images)
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.iterdir())
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError, match="set the environment variable OPENAI_API_KEY"):
        EndpointModel("gpt-4o", LABELS)
    for url in ("http://me:secret@host/v1", "http://host/v1?key=secret", "host", "ftp://host"):
        with pytest.raises(InputError, match="base_url must") as raised:
            EndpointModel("m", LABELS, base_url=url)
        assert "secret" not in str(raised.value)


def test_it_works_inside_a_running_loop(server, images):
    async def notebook():
        return model(server)(images)

    assert asyncio.run(notebook()).argmax(1).tolist() == expected(images)


def test_bad_arguments_are_refused(server, tmp_path, images, monkeypatch):
    with pytest.raises(InputError, match="'red' appears twice"):
        EndpointModel("m", ["red", "red"], base_url=server[1])
    with pytest.raises(InputError, match="at least two labels"):
        EndpointModel("m", ["red"], base_url=server[1])
    with pytest.raises(InputError, match="concurrency"):
        model(server, concurrency=0)
    (tmp_path / "no.sqlite").write_text("this is text, and long enough not to be taken for an empty file" * 20)
    with pytest.raises(InputError, match="answers cannot be kept in"):
        model(server, cache=tmp_path / "no.sqlite")(images)
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[openai\]"):
        model(server)(images)


def test_the_answers_file_holds_hashes_only(server, images, tmp_path):
    import sqlite3

    path = tmp_path / "a.sqlite"
    asked = model(server, cache=path)
    asked(images[:1])
    asked.cache.close()
    rows = sqlite3.connect(path).execute("SELECT * FROM answers").fetchall()
    assert len(rows) == 1
    assert len(rows[0][0]) == 40
    assert json.loads(rows[0][1])["prompt_tokens"] == 1000


def quoted(key):
    """The key as an endpoint may quote it."""
    return {
        "plain": key,
        "header": f"Bearer {key}",
        "escaped": json.dumps(f"Bearer {key}"),
        "url": quote(key, safe=""),
        "base64": base64.b64encode(f"Bearer {key}".encode()).decode(),
        "base64 of it alone": base64.b64encode(key.encode()).decode(),
        "hexadecimal": key.encode().hex(),
        "wrapped": "\n".join([key[:9], key[9:]]),
        "capitals": key.upper(),
        "at the cut": "x" * 190 + key,
    }


def leaks(text, key):
    """Whether a text holds more of the key, in any form, than chance would."""
    forms = set(quoted(key).values())
    parts = {form[start : start + 9] for form in forms for start in range(len(form) - 8)} - {"x" * 9}
    return [part for part in parts if part in text and not part.startswith(("Bearer", "x")) and key[3:6] in part]


@pytest.mark.parametrize("form", quoted(KEY))
def test_an_endpoint_that_echoes_the_key_is_quoted_without_it(server, images, form, tmp_path):
    endpoint, echo = server[0], quoted(KEY)[form]
    path = tmp_path / "a.sqlite"
    asked = model(server, cache=path, concurrency=1)
    endpoint.faults.extend([endpoint.say(echo), endpoint.say(None, refusal=echo), endpoint.say(f"Answer: {echo}")])
    with pytest.warns(UserWarning, match="outside the labels") as told:
        asked(images[:3])
    texts = [str(warning.message) for warning in told] + [repr(asked.outside)]
    endpoint.faults.extend([status(400, echo)])
    with pytest.raises(EndpointError, match="status 400") as raised:
        asked(images[3:4])
    texts += [str(raised.value), *(file.read_bytes().decode("latin-1") for file in tmp_path.iterdir())]
    for text in texts:
        assert echo not in text
        assert not leaks(text, KEY)


def test_all_headers_echoed_hold_no_key(server, images):
    def echo(handler, body):
        server[0].say(json.dumps(dict(handler.headers)))(handler, body)

    server[0].faults.append(echo)
    asked = model(server)
    with pytest.warns(UserWarning, match="outside the labels"):
        asked(images[:1])
    assert asked.outside
    assert not leaks(repr(asked.outside), KEY)


def test_a_key_with_white_space_in_it_is_refused_unseen(server, monkeypatch, images):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    model(server)(images[:1])
    assert set(server[0].keys) == {f"Bearer {KEY}"}
    for wrong in ("sk-very secret-012345", "sk-very\nsecret", "sk-v\u00e9ry-secret-012"):
        monkeypatch.setenv("OPENAI_API_KEY", wrong)
        with pytest.raises(InputError, match="holds white space or other characters") as raised:
            model(server)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "tokens", [-1000, "many", None, 1e30, [1000], {"n": 1}, float("nan")], ids=lambda value: str(value)[:8]
)
@pytest.mark.parametrize("which", ["prompt_tokens", "completion_tokens"])
def test_what_cannot_be_priced_stops_the_run(server, images, tokens, which):
    server[0].usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010, which: tokens}
    asked = model(server, max_cost=1.0, prices=(2.0, 50.0), concurrency=1)
    with pytest.raises(InputError, match="max_cost cannot hold"):
        asked(images)
    assert len(server[0].requests) == 1
    free = model(server)
    free(images[:1])
    assert free.usage.prompt_tokens in (0, 1000)
    assert free.usage.completion_tokens in (0, 10)


def no_choices(usage, error=None):
    reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [], "usage": usage}
    if error is not None:
        reply["error"] = error
    return lambda handler, body: send(handler, 200, json.dumps(reply).encode())


def test_replies_without_an_answer_are_paid_for(server, images):
    server[0].faults.extend([no_choices(server[0].usage)] * 2)
    asked = model(server, prices=(2.0, 50.0), max_cost=0.006, concurrency=1)
    # Two replies of 0.0025 were of no use; a third would still fit, a fourth not.
    with pytest.raises(BudgetError, match="may exceed max_cost"):
        asked(images[:2])
    assert asked.usage.cost == pytest.approx(0.005)
    assert len(server[0].requests) == 2
    for useless in (no_choices(None), broken):
        server[0].faults.append(useless)
        with pytest.raises(InputError, match="max_cost cannot hold"):
            model(server, prices=(2.0, 50.0), max_cost=1.0)(images[:1])


def test_an_error_with_status_200_keeps_its_reason(server, images):
    error = {"message": f"the model is being loaded, {KEY}", "code": 7}
    server[0].faults.extend([no_choices(None, error)] * 4)
    with pytest.raises(EndpointError, match="holds no answer: the model is being loaded, …"):
        model(server)(images[:1])


def test_a_reply_that_trickles_in_or_never_ends_is_given_up(server, images):
    def trickle(handler, body):
        handler.send_response(200)
        handler.send_header("content-length", "100000")
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
        handler.close_connection = True

    def flood(handler, body):
        send(handler, 200, b" " * (3 << 20) + b"{}")

    def packed(handler, body):
        send(handler, 200, gzip.compress(b" " * (64 << 20)), [("content-encoding", "gzip")])

    once = Retries(attempts=1)
    server[0].faults.append(trickle)
    start = time.monotonic()
    with pytest.raises(EndpointError, match="took too long"):
        EndpointModel("m", LABELS, base_url=server[1], retries=once, timeout=0.3)(images[:1])
    assert time.monotonic() - start < 1.8
    for fault, message in ((flood, "more than 1 MiB"), (packed, "packed .gzip., which was not asked for")):
        server[0].faults.append(fault)
        with pytest.raises(EndpointError, match=message):
            EndpointModel("m", LABELS, base_url=server[1], retries=once)(images[:1])


def test_what_could_not_be_read_is_asked_again(server, images, tmp_path):
    endpoint, path = server[0], tmp_path / "a.sqlite"
    endpoint.faults.append(endpoint.say("mauve"))
    asked = model(server, cache=path)
    with pytest.warns(UserWarning, match="outside the labels"):
        asked(images[:1])
    assert len(asked.cache) == 0
    # As an older version may have kept it.
    (key,) = [fingerprint(asked.base_url, asked.request(pixels)) for pixels in asked._format(images[:1])]
    asked.cache.put(key, Completion("mauve"))
    assert asked(images[:1]).argmax(1).tolist() == expected(images)[:1]
    assert (asked.usage.calls, asked.usage.cached) == (2, 0)
    assert asked.cache.get(key).text != "mauve"


def test_azures_address_has_a_version_and_its_key_a_header(server, images):
    paths, headers = [], []

    def note(handler, body):
        paths.append(handler.path)
        headers.append(handler.headers["api-key"])
        server[0].answer(handler, body)

    server[0].faults.append(note)
    asked = EndpointModel("m", LABELS, base_url=f"{server[1]}?api-version=2024-10-21")
    assert asked(images[:1]).argmax(1).tolist() == expected(images)[:1]
    assert paths == ["/v1/chat/completions?api-version=2024-10-21"]
    assert headers == [KEY]
    with pytest.raises(InputError, match="api-version"):
        EndpointModel("m", LABELS, base_url=f"{server[1]}?api-version=1&key=secret")


@pytest.mark.parametrize("prompt", [0, 0.0, -0.0])
def test_an_image_for_no_tokens_does_not_pass_under_a_cap(server, images, prompt):
    server[0].usage = {"prompt_tokens": prompt, "completion_tokens": 0, "total_tokens": 0}
    with pytest.raises(InputError, match="max_cost cannot hold"):
        model(server, max_cost=1e-6, prices=(1, 1), concurrency=1)(images)
    assert len(server[0].requests) == 1


def test_headers_that_come_back_are_logged_without_the_key(server, images, caplog):
    caplog.set_level(logging.DEBUG)
    server[0].faults.append(status(500, headers=[("x-echo", f"Bearer {KEY}")]))
    assert model(server)(images[:1]).argmax(1).tolist() == expected(images)[:1]
    logged = "".join(record.getMessage() for record in caplog.records)
    assert "x-echo" in logged
    assert KEY not in logged


@pytest.mark.parametrize("version", ["", "?api-version=2024-06-01"])
def test_whoever_an_endpoint_points_to_is_sent_nothing(server, images, version):
    """Azure's key has a header of its own, which a client would take along to another host."""
    with serve() as (elsewhere, url):
        server[0].faults.append(status(307, headers=[("location", f"{url}/chat/completions?{KEY}")]))
        asked = EndpointModel("m", LABELS, base_url=server[1] + version, retries=QUICK)
        with pytest.raises(EndpointError, match=r"status 307, it points to http.* which is not asked") as raised:
            asked(images[:1])
    assert not elsewhere.requests
    assert KEY not in str(raised.value)


def test_nothing_of_the_client_hangs_on_an_error(server, images):
    """Its errors hold the request, and that the key."""
    server[0].faults.append(status(400, KEY))
    with pytest.raises(EndpointError) as raised:
        model(server)(images[:1])
    error, seen = raised.value, []
    while error is not None:
        seen.append(error)
        error = error.__cause__ or error.__context__
    assert not [one for one in seen if KEY in f"{one!r}{vars(one)}" or hasattr(one, "request")]


def test_replies_that_are_nested_too_deep_or_very_long_are_read_in_time(server, images):
    deep = b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    server[0].faults.extend([lambda handler, body: send(handler, 200, deep)] * QUICK.attempts)
    with pytest.raises(EndpointError, match="its reply cannot be read"):
        model(server)(images[:1])
    server[0].faults.append(server[0].say("red" * 300_000))
    begun = time.process_time()
    with pytest.warns(UserWarning, match="outside the labels"):
        model(server)(images[:1])
    assert time.process_time() - begun < 10, "looking for the key took a second a megabyte, not twelve"


@pytest.mark.parametrize(
    "wrong",
    [
        *({"timeout": value} for value in (0, -1, float("nan"), "5", True)),
        *({"concurrency": value} for value in (0, 1.5, float("nan"), "3", True)),
        *({"max_calls": value} for value in (0, 1.5, float("nan"), "5", True)),
        *({"max_cost": value, "prices": (1, 1)} for value in (0, float("nan"), "1", True)),
        *({"prices": value, "max_cost": 1} for value in (5, (1,), ("1", 1), (float("nan"), 1), (float("inf"), 1))),
    ],
    ids=str,
)
def test_numbers_are_checked_before_anything_is_asked(server, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))} must be"):
        model(server, **wrong)
