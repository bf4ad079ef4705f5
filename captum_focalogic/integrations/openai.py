"""Models behind an OpenAI-compatible endpoint: GPT-4o, or what vLLM, Ollama and LM Studio serve."""

import asyncio
import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from torch import Tensor

from captum_focalogic.classifier import Classifier, distinct_labels, refuse_weights, require_labels
from captum_focalogic.errors import EndpointError, InputError, MissingExtraError
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.integrations.answer_cache import Answer, AnswerCache
from captum_focalogic.integrations.answers import QUESTION, Outside, as_scores, ask, read_answer
from captum_focalogic.integrations.budget import Budget, Usage
from captum_focalogic.integrations.functions import ANY_SIZE, ArrayFormat
from captum_focalogic.integrations.mask_cache import default_folder
from captum_focalogic.integrations.retries import Retries, complaint, wait_before_retry

DEFAULT_URL = "https://api.openai.com/v1"

MAX_CALLS = 1_000
"""Most requests of a model by name."""


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
        if concurrency < 1:
            raise InputError(f"concurrency must be at least 1; got {concurrency}")
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
        self.outside = Outside()
        self._format = ArrayFormat()

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
        return as_scores(read, len(self.labels)).to(images.device)

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

    def _known(self, key: str) -> Answer | None:
        answer = None if self.cache is None else self.cache.get(key)
        self.usage.cached += answer is not None
        return answer

    async def _ask_all(self, requests: dict[str, dict[str, Any]]) -> dict[str, Answer]:
        openai = _openai()
        gate, stop = asyncio.Semaphore(self.concurrency), asyncio.Event()
        async with openai.AsyncOpenAI(
            api_key=self._key(), base_url=self.base_url, max_retries=0, timeout=self.timeout
        ) as client:

            async def one(key: str, request: dict[str, Any]) -> Answer | None:
                async with gate:
                    if stop.is_set():
                        return None
                    try:
                        answer = await self._ask(openai, client, request, stop)
                    except BaseException:
                        stop.set()
                        raise
                if answer is not None and self.cache is not None:
                    self.cache.put(key, answer)
                return answer

            # What is in flight when one fails was paid for: it is waited for and kept.
            done = await asyncio.gather(*(one(*item) for item in requests.items()), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
        return {key: answer for key, answer in zip(requests, done, strict=True) if isinstance(answer, Answer)}

    async def _ask(self, openai: Any, client: Any, request: dict[str, Any], stop: asyncio.Event) -> Answer | None:
        for attempt in range(self.retries.attempts):
            while self.budget.must_wait and not stop.is_set():
                await asyncio.sleep(0.005)
            if stop.is_set():
                return None
            self.budget.start()
            answer = None
            try:
                reply = await client.chat.completions.create(**request)
                answer = _read_reply(reply)
            except (openai.OpenAIError, ValueError) as error:
                pause = wait_before_retry(openai, error, self.retries, attempt)
                if pause is None:
                    raise self._failure(openai, error, attempt + 1) from None
            finally:
                self.budget.finish(None if answer is None else (answer.prompt_tokens, answer.completion_tokens))
            if answer is not None:
                return answer
            await asyncio.sleep(pause or 0.0)
        raise AssertionError("the last attempt returns or raises")

    def _failure(self, openai: Any, error: Exception, attempts: int) -> EndpointError:
        # The reason is the endpoint's text, which may quote the key.
        reason = complaint(openai, error, self.key_variable, structured=self.structured)
        said = reason.replace(self._key(), "…") if self._key() else reason
        return EndpointError(f"{self.model} at {self.base_url} did not answer ({attempts} attempt(s)): {said}")

    def _key(self) -> str:
        key = os.environ.get(self.key_variable, "")
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


def _label_schema(labels: list[str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": labels}},
        "required": ["label"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def _read_reply(reply: Any) -> Answer:
    choices = getattr(reply, "choices", None)
    if not choices:
        raise ValueError("the reply holds no choices")
    message, used = choices[0].message, getattr(reply, "usage", None)
    refusal = getattr(message, "refusal", None)
    if choices[0].finish_reason == "content_filter":
        refusal = refusal or "content filter"
    return Answer(
        text=None if refusal else message.content,
        refusal=refusal,
        prompt_tokens=getattr(used, "prompt_tokens", None),
        completion_tokens=getattr(used, "completion_tokens", None),
    )


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"base_url must be an http address such as http://localhost:8000/v1; got {url!r}")
    if parts.username or parts.password or parts.query:
        raise InputError("base_url must hold no name, password or query: keys are taken from the environment only")
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
