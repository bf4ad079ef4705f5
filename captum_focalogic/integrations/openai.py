"""Models behind an OpenAI-compatible endpoint: GPT-4o, or what vLLM, Ollama and LM Studio serve."""

import asyncio
import base64
import io
import json
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from PIL import Image
from torch import Tensor

from captum_focalogic.classifier import Classifier, distinct_labels, refuse_weights, require_labels
from captum_focalogic.errors import EndpointError, InputError, MissingExtraError
from captum_focalogic.files import make_folder
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.integrations.answers import QUESTION, StrayAnswers, ask, read_answer, scores_of
from captum_focalogic.integrations.failures import (
    NoAnswerError,
    Retries,
    TooLongError,
    complaint,
    may_be_billed,
    wait_before_retry,
)
from captum_focalogic.integrations.functions import ANY_SIZE, ArrayFormat
from captum_focalogic.integrations.masks import default_folder
from captum_focalogic.integrations.redaction import quiet_logs, without_secret
from captum_focalogic.integrations.spending import Budget, Usage, count_of

DEFAULT_URL = "https://api.openai.com/v1"

MAX_CALLS = 1_000
"""Most requests of a model by name."""


MAX_BYTES = 1 << 20
"""Most bytes of a reply; an answer has some hundreds, and its reasoning some ten thousand."""


@dataclass(frozen=True)
class Completion:
    """What a model said.

    Attributes
    ----------
    text : str or None
        Its words; None if there were none.
    refusal : str or None
        Why it would not answer.
    prompt_tokens, completion_tokens : int or None
        What it took; None where the endpoint does not say.
    """

    text: str | None
    refusal: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class AnswerCache:
    """A file of answers by request.

    Requests are stored as hashes only: neither images nor keys nor addresses can be read from the file. Several
    processes may use it at once.

    Parameters
    ----------
    path : str or Path
        Made, with its folder, when it is first used.

    Raises
    ------
    InputError
        When used: if the file is something else or cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def get(self, key: str) -> Completion | None:
        """The answer to a request, if it is known."""
        row = self._run("SELECT answer FROM answers WHERE request = ?", (key,))
        return Completion(**json.loads(row[0])) if row else None

    def put(self, key: str, answer: Completion) -> None:
        """Keep an answer."""
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(asdict(answer))))

    def __len__(self) -> int:
        row = self._run("SELECT COUNT(*) FROM answers", ())
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Close the file; it opens again when needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(self, statement: str, values: tuple[Any, ...]) -> Any:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                with self._connection:
                    return self._connection.execute(statement, values).fetchone()
            except (sqlite3.Error, OSError) as error:
                raise InputError(f"the answers cannot be kept in {self.path}: {error}; give another file") from error

    def _open(self) -> sqlite3.Connection:
        make_folder(self.path.parent)
        connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        return connection

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


class EndpointModel:
    """A model that is asked in words which label fits an image.

    Answers are restricted to the labels where the endpoint can do that, at temperature 0. An answer outside the labels
    (a refusal, a broken or cut one) counts as a changed prediction, is counted in :attr:`outside` and warned of.

    Parameters
    ----------
    model : str
        The model's name at the endpoint, such as "gpt-4o".
    labels : sequence of str
        At least two, all different.
    base_url : str, optional
        The endpoint, such as "http://localhost:11434/v1" for Ollama; OpenAI's by default.
    question : str
        What is asked; ``{labels}`` stands for the labels.
    structured : bool
        Ask for JSON that names one of the labels; False for endpoints that cannot.
    concurrency : int, default 8
        Most requests in flight.
    max_calls : int, optional
        Most requests in this object's life, repeated ones included.
    max_cost : float, optional
        Most money, by ``prices``.
    prices : (float, float), optional
        Of a million prompt tokens and of a million completion tokens.
    cache : str or Path, optional
        An SQLite file for the answers, so that no image is ever paid for twice; None keeps none.
    timeout : float, default 60
        Seconds to wait for an answer.
    retries : Retries
        How often, and after what pauses, to ask again after a fault of the endpoint.
    key_variable : str, default "OPENAI_API_KEY"
        Environment variable that has the key: the only place a key is taken from.
    **options
        Further fields of the request, such as ``seed=0``; None removes one, as in ``temperature=None`` for models that
        do not take it.

    Raises
    ------
    MissingExtraError
        Without openai.
    InputError
        If an argument does not fit, or the key is missing.
    BudgetError
        When called: if a further request would exceed a cap.
    EndpointError
        When called: if the endpoint refuses, or goes on failing.

    Examples
    --------
    >>> model = EndpointModel("gpt-4o", ["cat", "dog", "bird"], max_cost=1.0, prices=(2.5, 10.0), cache="gpt4o.sqlite")
    ... # doctest: +SKIP
    >>> FocaLogic(model, max_evaluations=200).explain(images)  # doctest: +SKIP
    """

    billed_by_the_call: ClassVar = True
    """Nothing is put to it that was not asked for; see :func:`captum_focalogic.oracle.forward.billed`."""

    def __init__(
        self,
        model: str,
        labels: Sequence[str],
        *,
        base_url: str | None = None,
        question: str = QUESTION,
        structured: bool = True,
        concurrency: int = 8,
        max_calls: int | None = None,
        max_cost: float | None = None,
        prices: tuple[float, float] | None = None,
        cache: str | Path | None = None,
        timeout: float = 60.0,
        retries: Retries | None = None,
        key_variable: str = "OPENAI_API_KEY",
        **options: Any,
    ) -> None:
        self.model = model
        self.labels = distinct_labels(labels)
        if len(self.labels) < 2:
            raise InputError("there must be at least two labels to choose from")
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise InputError(f"concurrency must be a whole number, at least 1; got {concurrency!r}")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise InputError(f"timeout must be a number of seconds, more than 0; got {timeout!r}")
        self.base_url = _checked_url(base_url or DEFAULT_URL)
        self.key_variable = key_variable
        self._key()
        self.question = question
        self.structured = structured
        self.concurrency = concurrency
        self.timeout = timeout
        self.retries = retries or Retries()
        self.budget = Budget(max_calls, max_cost, prices)
        self.cache = None if cache is None else AnswerCache(cache)
        self.options = options
        self.outside = StrayAnswers()
        self._format = ArrayFormat()

    @property
    def identity(self) -> str:
        """What the answers depend on, by which a study tells it from others; what was spent does not count."""
        asked = (self.base_url, self.model, self.labels, self.question, self.structured, self.options)
        return f"{type(self).__name__} {self.model} {fingerprint(*asked)}"

    @property
    def usage(self) -> Usage:
        """What was spent so far."""
        return self.budget.usage

    def __call__(self, images: Tensor) -> Tensor:
        """Answers for images.

        Parameters
        ----------
        images : (N, 3, H, W) Tensor
            RGB in [0, 1].

        Returns
        -------
        (N, K) float32 Tensor
            1 for the label that was named, NaN throughout where none was.
        """
        requests = [self.request(pixels) for pixels in self._format(images)]
        keys = [fingerprint(self.base_url, request) for request in requests]
        known = {key: self._known(key) for key in dict.fromkeys(keys)}
        asked = {key: request for key, request in zip(keys, requests, strict=True) if known[key] is None}
        if asked:
            known.update(_run(self._ask_all(asked)))
        answers = [known[key] for key in keys]
        read = [None if answer is None else read_answer(answer.text, self.labels) for answer in answers]
        strange = [answer for answer, label in zip(answers, read, strict=True) if label is None and answer is not None]
        self.outside.warn(
            [f"refusal: {answer.refusal}" if answer.refusal else answer.text for answer in strange], self.model
        )
        return scores_of(read, len(self.labels)).to(images.device)

    def request(self, pixels: Any) -> dict[str, Any]:
        """The request about an image (H, W, 3) uint8."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        content = [
            {"type": "text", "text": ask(self.question, self.labels)},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
        }
        if self.structured:
            request["response_format"] = _label_schema(self.labels)
        request.update(self.options)
        return {name: value for name, value in request.items() if value is not None}

    def _known(self, key: str) -> Completion | None:
        answer = None if self.cache is None else self.cache.get(key)
        # One that could not be read is asked again.
        known = answer is not None and self._reads(answer)
        self.usage.cached += known
        return answer if known else None

    def _reads(self, answer: Completion) -> bool:
        return read_answer(answer.text, self.labels) is not None

    async def _ask_all(self, requests: dict[str, dict[str, Any]]) -> dict[str, Completion]:
        openai = _openai()
        gate, stop = asyncio.Semaphore(self.concurrency), asyncio.Event()
        address, query = split_version(self.base_url)
        async with openai.AsyncOpenAI(
            api_key=self._key(),
            base_url=address,
            default_query=query,
            # Azure's key has a header of its own; nothing is packed, so that bytes can be counted.
            default_headers={"Accept-Encoding": "identity", **({"api-key": self._key()} if query else {})},
            # Whoever it may point to is sent neither the key nor the image.
            http_client=openai.DefaultAsyncHttpxClient(
                event_hooks={"response": [_bound]}, timeout=self.timeout, follow_redirects=False
            ),
            max_retries=0,
            timeout=self.timeout,
        ) as client:

            async def one(key: str, request: dict[str, Any]) -> Completion | None:
                async with gate:
                    if stop.is_set():
                        return None
                    try:
                        answer = await self._ask(openai, client, request, stop)
                    except BaseException:
                        stop.set()
                        raise
                if answer is not None and self.cache is not None and self._reads(answer):
                    self.cache.put(key, answer)
                return answer

            # What is in flight when one fails was paid for: it is waited for and kept.
            with quiet_logs(self._hidden):
                done = await asyncio.gather(*(one(*item) for item in requests.items()), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
        return {key: answer for key, answer in zip(requests, done, strict=True) if isinstance(answer, Completion)}

    async def _ask(self, openai: Any, client: Any, request: dict[str, Any], stop: asyncio.Event) -> Completion | None:
        for attempt in range(self.retries.attempts):
            while self.budget.must_wait and not stop.is_set():
                await asyncio.sleep(0.005)
            if stop.is_set():
                return None
            self.budget.start()
            answer, tokens, lost = None, None, False
            try:
                # The client's own time-out is for each wait; a reply that trickles in would never meet it.
                reply = await asyncio.wait_for(_sent(client, request), self.timeout)
                # Whatever it says, and be it an error: an answer with status 200 is paid for.
                tokens = _tokens_of(reply)
                answer = _read_reply(reply, self._hidden)
            except (openai.OpenAIError, ValueError, TimeoutError) as error:
                if isinstance(error, openai.APIResponseValidationError | ValueError) and tokens is None:
                    tokens = (None, None)
                lost = tokens is None and may_be_billed(openai, error)
                pause = wait_before_retry(openai, error, self.retries, attempt)
                if pause is None:
                    raise self._failure(openai, error, attempt + 1) from None
            finally:
                if lost:
                    self.budget.lose()
                else:
                    self.budget.finish(tokens)
            if answer is not None:
                return answer
            await asyncio.sleep(pause or 0.0)
        raise AssertionError("the last attempt returns or raises")

    def _failure(self, openai: Any, error: Exception, attempts: int) -> EndpointError:
        said = complaint(openai, error, self.key_variable, self._hidden, structured=self.structured)
        return EndpointError(f"{self.model} at {self.base_url} did not answer ({attempts} attempt(s)): {said}")

    def _hidden(self, text: str) -> str:
        """A text of the endpoint's, which may quote the key, without it."""
        return without_secret(text, self._key())

    def _key(self) -> str:
        key = os.environ.get(self.key_variable, "").strip()
        if any(not " " < sign <= "~" for sign in key):
            raise InputError(
                f"the key in the environment variable {self.key_variable} holds white space or other characters that "
                "no key has; set it to the key alone"
            )
        if not key and self.base_url == DEFAULT_URL:
            raise InputError(
                f"set the environment variable {self.key_variable} to your key; it is taken from nowhere else"
            )
        # Local servers ask for none, but the client insists on one.
        return key or "none"


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier from ``NAME@LABELS``, at ``$OPENAI_BASE_URL`` if that is set; it keeps its answers."""
    refuse_weights(weights, "openai:…", "nothing")
    name, labels = require_labels(text, "openai:gpt-4o@cat,dog")
    model = EndpointModel(
        name,
        labels,
        base_url=os.environ.get("OPENAI_BASE_URL"),
        max_calls=MAX_CALLS,
        cache=default_folder().parent / "answers.sqlite",
    )
    return Classifier.fitted(model, ANY_SIZE, labels, f"openai:{name}")


async def _sent(client: Any, request: dict[str, Any]) -> Any:
    try:
        return await client.chat.completions.create(**request)
    except RecursionError:
        raise ValueError("the reply is nested too deep") from None


def _label_schema(labels: list[str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": labels}},
        "required": ["label"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def _read_reply(reply: Any, hidden: Callable[[str], str]) -> Completion:
    """What a reply says, without the secrets that it quotes."""
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list) or not choices:
        error = getattr(reply, "error", None)
        said = error.get("message", error) if isinstance(error, Mapping) else error
        raise NoAnswerError("no choices" if said is None else str(said))
    message = getattr(choices[0], "message", None)
    text, refusal = (getattr(message, name, None) for name in ("content", "refusal"))
    if getattr(choices[0], "finish_reason", None) == "content_filter":
        refusal = refusal or "content filter"
    prompt, completion = map(count_of, _tokens_of(reply))
    return Completion(
        text=hidden(text) if isinstance(text, str) and not refusal else None,
        refusal=hidden(str(refusal)) if refusal else None,
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


def _tokens_of(reply: Any) -> tuple[Any, Any]:
    """Prompt and completion tokens, as the endpoint tells them."""
    used = getattr(reply, "usage", None)
    return getattr(used, "prompt_tokens", None), getattr(used, "completion_tokens", None)


def split_version(url: str) -> tuple[str, dict[str, object] | None]:
    """An address without its query, and the query where it says a version, as Azure's ``?api-version=…`` does."""
    address, _, query = url.partition("?")
    return address.rstrip("/"), dict(parse_qsl(query)) or None


async def _bound(response: Any) -> None:
    """Let a reply have no more than :data:`MAX_BYTES`, whatever it announces."""
    packed = response.headers.get("content-encoding", "identity")
    if packed.lower() != "identity":
        raise TooLongError(f"it is packed ({packed[:20]}), which was not asked for")
    kind: Any = next(kind for kind in type(response.stream).__mro__ if kind.__name__ == "AsyncByteStream")

    class Bounded(kind):  # type: ignore[misc]
        """The reply's bytes, as far as they may be."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            count = 0
            async for part in self.inner:
                count += len(part)
                if count > MAX_BYTES:
                    raise TooLongError(f"it has more than {MAX_BYTES >> 20} MiB")
                yield part

        async def aclose(self) -> None:
            await self.inner.aclose()

    response.stream = Bounded(response.stream)


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"base_url must be an http address such as http://localhost:8000/v1; got {url!r}")
    if parts.username or parts.password or (parts.query and set(dict(parse_qsl(parts.query))) != {"api-version"}):
        raise InputError(
            "base_url must hold no name, password or query but ?api-version=: keys are taken from the environment only"
        )
    return url.rstrip("/")


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise MissingExtraError("openai", "openai") from error
    return openai


def _run(work: Any) -> Any:
    """Run a coroutine to its end, also where a loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
