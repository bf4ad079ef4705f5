"""Endpoints, asked over the loopback: faults, budgets, the cache, and where keys go."""

import asyncio
import json
import logging
import pickle
import sys
import time

import numpy as np
import pytest
import torch

from captum_focalogic import FocaLogic
from captum_focalogic.errors import BudgetError, EndpointError, InputError, MissingExtraError, ModelOutputError

pytest.importorskip("openai", reason="openai is not installed (extra 'openai')")

from loopback import LABELS, broken, decide, serve, slow, status

from captum_focalogic.integrations.openai import EndpointModel, Retries, retry_after

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
    with pytest.raises(InputError, match="at least one attempt"):
        Retries(attempts=0)
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[openai\]"):
        model(server)(images)


def test_pauses_double_up_to_the_longest():
    retries = Retries(first=1, longest=10, jitter=0)
    assert [retries.pause(attempt) for attempt in range(5)] == [1, 2, 4, 8, 10]
    assert retries.pause(0, asked=7.5) == 7.5
    assert retries.pause(0, asked=999) == 10
    jittered = [Retries(first=1, jitter=0.5).pause(0) for _ in range(50)]
    assert all(0.5 <= pause <= 1 for pause in jittered)
    assert len(set(jittered)) > 1


def test_retry_after_may_be_a_date():
    assert retry_after({}) is None
    assert retry_after({"retry-after": "3.5"}) == 3.5
    assert retry_after({"retry-after": "soon"}) is None
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 27 < retry_after({"retry-after": date}) <= 30


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
