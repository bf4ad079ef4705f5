"""The live page's server: Starlette routes, and what keeps strangers out.

It listens on the loopback unless told otherwise; every address begins with a token; requests must name this server as
their host, and questions must come from its own pages. Uploads are bounded and decoded anew, settings are chosen from
what was offered, and nothing is written to disk.
"""

import asyncio
import json
import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from PIL import Image

from captum_focalogic.classifier import Classifier, as_classifier, find_device
from captum_focalogic.errors import FocaLogicError, InputError, MissingExtraError
from captum_focalogic.live import pages
from captum_focalogic.live.cases import Case, Choices, Desk, Picture, Reader, Settings, told
from captum_focalogic.provenance import Removal
from captum_focalogic.session import BASELINE, SEGMENTER, classifier_of

UPLOAD = 24 << 20
"""Bytes of an image that is sent."""

QUESTION = 1 << 20
"""Bytes of any other question."""

MOST_READERS = 32
"""People at once; who has been away longest is forgotten for a further one."""

HELD = 1 << 30
"""Bytes of images and answers of all readers; beyond them too, who has been away longest is forgotten."""

MOST_UPLOADS = 8
"""Images that are on their way at once."""

MOST_WATCHERS = 8
"""Streams of events of one search."""

MOST_CONNECTIONS = 512
"""Connections at once; further ones are told to come again."""

HEADERS = 10.0
"""Seconds in which a connection asks its next question."""

BODY = 120.0
"""Seconds in which what belongs to a question has arrived."""

_BEAT = 0.15
"""Seconds between two looks at a search."""

_QUIET = 15.0
"""Seconds after which a stream says that it is still there, before a proxy takes it for dead."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _starlette() -> Any:
    try:
        import starlette.applications
        import starlette.concurrency
        import starlette.requests
        import starlette.responses
        import starlette.routing
        import uvicorn
    except ImportError as error:
        raise MissingExtraError(error.name or "starlette", "serve") from error
    return starlette, uvicorn


@dataclass(frozen=True)
class Guard:
    """Who may ask.

    Attributes
    ----------
    token : str
        What every address begins with; empty for none.
    public : bool
        Whether requests may name any host: where the server is reached by a name that it does not know.
    port : int
        Where it listens.
    """

    token: str
    public: bool
    port: int

    def refusal(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused, if it is."""
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if not self.public and host not in {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}:
            return "this server answers to the loopback's names only"
        own = origin in {f"{scheme}://{host}" for scheme in (("http", "https") if self.public else ("http",))}
        if self.public and "sec-fetch-site" in headers:
            # What the browser says itself holds behind proxies too, whatever they name as host.
            own = headers["sec-fetch-site"] == "same-origin"
        if method == "POST" and not (own and host):
            return "questions come from this server's own pages only"
        return None


def _punctual() -> type[Any]:
    """Uvicorn's protocol; a connection that is slow to ask is closed, and at the end those that would go on."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Punctual(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(HEADERS, self._look, self.cycle)

        def _look(self, before: Any) -> None:
            answered = self.cycle is None or self.cycle.response_complete
            if answered and self.cycle is before:
                self.transport.abort()
            elif not self.transport.is_closing():
                self.loop.call_later(HEADERS, self._look, self.cycle)

        def shutdown(self) -> None:
            super().shutdown()
            # Nobody waits for a stream that would go on, or for a question whose end does not come.
            if self.cycle is not None and (self.cycle.more_body or self.cycle.response_started):
                self.transport.abort()

    return Punctual


class _App:
    """The application, Starlette's with its routes.

    Parameters
    ----------
    desk : Desk
        Opens what readers ask for.
    guard : Guard
        Who may ask.
    settings : Settings
        What pages begin with.
    start : callable
        What a new reader is shown first; None for the page that asks for an image.
    """

    def __init__(self, desk: Desk, guard: Guard, settings: Settings, start: Callable[[Reader], Case | None]) -> None:
        self._starlette, _ = _starlette()
        self._desk, self._guard, self._settings, self._start = desk, guard, settings, start
        self.readers: OrderedDict[str, Reader] = OrderedDict()
        self._uploads = 0
        self._base = f"/{guard.token}" if guard.token else ""

    def application(self) -> Any:
        route = self._starlette.routing.Route
        case = self._base + "/r/{reader}/c/{case}"
        routes = [
            route(self._base + "/", self._guarded(self._enter)),
            route(self._base + "/r/{reader}/", self._guarded(self._begin)),
            route(self._base + "/r/{reader}/open", self._guarded(self._open), methods=["POST"]),
            route(case, self._guarded(self._page)),
            route(case + "/events", self._guarded(self._events)),
            route(case + "/ask", self._guarded(self._ask), methods=["POST"]),
            route(case + "/stop", self._guarded(self._stop), methods=["POST"]),
            route(case + "/again", self._guarded(self._again), methods=["POST"]),
            route(case + "/beside", self._guarded(self._beside), methods=["POST"]),
            route(case + "/save/{name}", self._guarded(self._save)),
        ]
        return self._starlette.applications.Starlette(routes=routes)

    def close(self) -> None:
        """End all searches."""
        for reader in list(self.readers.values()):
            reader.close()

    def _guarded(self, answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """An endpoint that refuses strangers, and whose errors are sentences."""

        async def endpoint(request: Any) -> Any:
            refusal = self._guard.refusal(request.method, request.headers)
            if refusal is not None:
                return self._json({"error": refusal}, 403)
            try:
                return await answer(request)
            except _Refused as error:
                return self._sorry(request, str(error), error.status)
            except Exception as error:
                # A model may raise anything; whoever asked it gets a sentence, and the server goes on.
                return self._sorry(request, told(error), 400 if isinstance(error, FocaLogicError) else 502)

        return endpoint

    # ---- pages

    async def _enter(self, request: Any) -> Any:
        if request.method == "HEAD":
            # Whoever only looks whether somebody is here opens nothing.
            return self._html("")
        reader = Reader()
        self.readers[reader.key] = reader
        await self._make_room()
        case = await self._in_thread(self._start, reader)
        where = f"{self._base}/r/{reader.key}/"
        return self._redirect(where if case is None else self._address(reader, case))

    async def _begin(self, request: Any) -> Any:
        reader = self._reader(request)
        return self._html(pages.start_page(f"{self._base}/r/{reader.key}", self._desk.choices, self._settings))

    async def _page(self, request: Any) -> Any:
        reader, case = self._case(request)
        addresses = {one.key: self._address(reader, one) for one in case.shown}
        return self._html(await self._in_thread(pages.case_page, addresses, self._desk.choices, case))

    async def _save(self, request: Any) -> Any:
        _, case = self._case(request)
        if request.path_params["name"] not in pages.SAVED:
            raise _gone()
        kind, make = pages.SAVED[request.path_params["name"]]
        content = await self._in_thread(make, case)
        headers = {**_HEADERS, "Content-Disposition": "attachment", "Content-Security-Policy": "sandbox"}
        return self._starlette.responses.Response(content, media_type=kind, headers=headers)

    # ---- questions

    async def _open(self, request: Any) -> Any:
        reader = self._reader(request)
        chosen = self._desk.choices.settings(_parsed(request.query_params.get("settings", "{}")))
        title = request.query_params.get("title", "image")[:200]
        if self._uploads >= MOST_UPLOADS:
            raise _Refused("too many images are on their way; try again in a moment", 503)
        self._uploads += 1
        try:
            content = await _body(request, UPLOAD)
        finally:
            self._uploads -= 1

        def opened() -> Case:
            return self._desk.open(Picture(content, title, title), chosen)

        return await self._added(reader, opened)

    async def _again(self, request: Any) -> Any:
        reader, case = self._case(request)
        settings = self._desk.choices.settings(_parsed(await _body(request, QUESTION)), case.settings)
        return await self._added(reader, lambda: self._desk.again(case, settings))

    async def _beside(self, request: Any) -> Any:
        reader, case = self._case(request)
        model = self._desk.choices.settings(_parsed(await _body(request, QUESTION)), case.settings).model
        return await self._added(reader, lambda: self._desk.set_beside(case, model))

    async def _ask(self, request: Any) -> Any:
        _, case = self._case(request)
        question = _parsed(await _body(request, QUESTION))
        return self._json({"answers": await self._in_thread(case.ask, question.get("states"))})

    async def _stop(self, request: Any) -> Any:
        _, case = self._case(request)
        for one in case.shown:
            one.stop()
        return self._json({})

    async def _events(self, request: Any) -> Any:
        _, case = self._case(request)
        if case.watchers >= MOST_WATCHERS:
            raise _Refused("this search is watched often enough", 429)
        # Proxies that collect what they pass on would hold events back.
        headers = {**_HEADERS, "X-Accel-Buffering": "no"}
        return self._starlette.responses.StreamingResponse(
            _watch(case, self._in_thread), media_type="text/event-stream", headers=headers
        )

    # ---- what they share

    async def _added(self, reader: Reader, opened: Callable[[], Case]) -> Any:
        case = await self._in_thread(opened)
        reader.add(case)
        await self._make_room()
        return self._json({"location": self._address(reader, case)})

    async def _make_room(self) -> None:
        """Forget who has been away longest, while there are too many or they hold too much."""
        while len(self.readers) > MOST_READERS or (
            len(self.readers) > 1 and sum(reader.held for reader in self.readers.values()) > HELD
        ):
            await self._in_thread(self.readers.popitem(last=False)[1].close)

    def _reader(self, request: Any) -> Reader:
        key = request.path_params["reader"]
        if key not in self.readers:
            raise _gone()
        self.readers.move_to_end(key)
        return self.readers[key]

    def _case(self, request: Any) -> tuple[Reader, Case]:
        reader = self._reader(request)
        case = reader.case(request.path_params["case"])
        if case is None:
            raise _gone()
        return reader, case

    def _address(self, reader: Reader, case: Case) -> str:
        return f"{self._base}/r/{reader.key}/c/{case.key}"

    async def _in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await self._starlette.concurrency.run_in_threadpool(work, *args)

    def _sorry(self, request: Any, said: str, status: int) -> Any:
        """A sentence: on a page where a person looked for one, else for the script."""
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return self._html(pages.sentence_page(said, f"{self._base}/"), status)
        return self._json({"error": said}, status)

    def _json(self, content: Any, status: int = 200) -> Any:
        return self._starlette.responses.JSONResponse(content, status, headers=_HEADERS)

    def _html(self, page: str, status: int = 200) -> Any:
        frames = {} if self._guard.public else {"X-Frame-Options": "DENY"}
        return self._starlette.responses.HTMLResponse(page, status, headers={**_HEADERS, **frames})

    def _redirect(self, where: str) -> Any:
        return self._starlette.responses.RedirectResponse(where, 303, headers=_HEADERS)


class _Refused(Exception):
    """Somebody asks for what is not there, or for more than there is room or time for."""

    def __init__(self, said: str, status: int) -> None:
        super().__init__(said)
        self.status = status


def _gone() -> _Refused:
    return _Refused("this is not open any more; begin at the first page", 404)


async def _body(request: Any, most: int) -> bytes:
    """What was sent, read no further than it may be long, and no longer than it may take."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _Refused(f"at most {most >> 20} MB can be sent", 413)
                parts.append(part)
    except TimeoutError:
        raise _Refused(f"what is sent has {BODY:.0f} seconds to arrive", 408) from None
    return b"".join(parts)


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("the question is no JSON") from error
    if not isinstance(found, dict):
        raise InputError("the question must be a JSON object")
    return found


async def _watch(case: Case, in_thread: Callable[..., Any]) -> AsyncIterator[str]:
    """Server-sent events: how far the search is, whenever that changes, and its end."""
    before, quiet = "", 0.0
    case.watchers += 1
    try:
        while True:
            progress = await in_thread(case.progress)
            states = {one.state for one in case.shown}
            state = "searching" if "searching" in states else progress.state
            told_now = json.dumps({**asdict(progress), "state": state, "said": pages.progress_text(progress)})
            if told_now != before:
                yield f"data: {told_now}\n\n"
                before, quiet = told_now, 0.0
            elif quiet >= _QUIET:
                yield ":\n\n"
                quiet = 0.0
            if state != "searching":
                return
            await asyncio.sleep(_BEAT)
            quiet += _BEAT
    finally:
        case.watchers -= 1


class LivePage:
    """A live page that is being served, until :meth:`stop` or the end of the process.

    Attributes
    ----------
    url : str
        Where to look at it; only who has this address gets in.
    """

    def __init__(self, live: "_App", sock: socket.socket, url: str) -> None:
        _, uvicorn = _starlette()
        settings = uvicorn.Config(
            live.application(),
            http=_punctual(),
            ws="none",
            # The address holds the token.
            access_log=False,
            log_config=None,
            log_level="error",
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        self.url = url
        self.live, self._socket = live, sock
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._run, name="live page", daemon=True)

    def start(self) -> "LivePage":
        """Serve in a thread of its own."""
        self._thread.start()
        return self

    def run(self) -> None:
        """Serve until interrupted."""
        self._run()

    def stop(self) -> None:
        """End it, and all searches."""
        self._server.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.live.close()

    def __repr__(self) -> str:
        return f"LivePage({self.url})"

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank" rel="noopener">Ask the model: {self.url}</a>'


def serve(
    model: Any,
    image: Any = None,
    *,
    preprocess: Callable[[Image.Image], Any] | None = None,
    labels: Sequence[str] | Mapping[Any, str] | None = None,
    segmenter: str | Sequence[str] | Mapping[str, Any] = SEGMENTER,
    baseline: str | Sequence[str] = BASELINE,
    removal: Removal | Sequence[Removal] = "fill",
    device: str | torch.device = "auto",
    port: int = 0,
    **settings: Any,
) -> LivePage:
    """Serve the live page from a notebook or a script, on this machine alone.

    Parameters
    ----------
    model : nn.Module, callable, Classifier or str, or a mapping of these by name
        As for :func:`~captum_focalogic.answer.explain_image`; several to be held side by side.
    image : path, Pillow image, array or Tensor, optional
        What is shown first; without one the page asks for it.
    preprocess, labels
        As for :func:`~captum_focalogic.answer.explain_image`, for all models given.
    segmenter, baseline, removal : str or sequence of str
        By name; several to choose among. Segmenters of your own, and label maps, as a mapping by what they are called.
    device : str or torch.device
        Where models run that are given by name.
    port : int
        Where to listen; 0 finds a free one.
    **settings
        What the page begins with: ``reading``, ``criterion``, ``target``, ``against``, ``zoom``, ``max_evaluations``,
        as for :func:`~captum_focalogic.answer.explain_image`, the criterion and classes in words.

    Returns
    -------
    LivePage
        Its ``url`` opens the page; ``stop()`` ends it.

    Raises
    ------
    InputError
        If something does not fit.
    MissingExtraError
        If the extra "serve" is not installed.
    """
    given = model if isinstance(model, Mapping) else {_name_of(model): model}
    plain = preprocess is None and labels is None
    models: dict[str, Classifier | None] = {
        # What its name alone finds is found by it, so that the page can say how.
        str(name): None if plain and one == name else classifier_of(one, preprocess, None, labels, device)[0]
        for name, one in given.items()
    }
    cuts = segmenter if isinstance(segmenter, Mapping) else {name: name for name in _listed(segmenter)}
    choices = Choices(models, cuts, _listed(baseline), _listed(removal), find_device(str(device)))
    begin = choices.settings(settings)
    desk = Desk(choices)
    desk.check()
    return open_page(desk, None if image is None else Picture.of(image), begin, port=port).start()


def open_page(
    desk: Desk,
    picture: Picture | None,
    settings: Settings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    public: bool = False,
) -> LivePage:
    """A page that is ready to be served, with an image or without.

    Raises
    ------
    InputError
        If nobody can listen there.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"nobody can listen on {host}, port {port}: {error.strerror or error}") from error
    bound = int(sock.getsockname()[1])
    key = secrets.token_urlsafe(16) if token is None else token
    guard = Guard(key, public, bound)
    begin = settings or desk.choices.settings({})

    def first(reader: Reader) -> Case | None:
        if picture is None:
            return None
        case = desk.open(picture, begin)
        reader.add(case)
        return case

    name = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    url = f"http://{name}:{bound}/{key + '/' if key else ''}"
    return LivePage(_App(desk, guard, begin, first), sock, url)


def _listed(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _name_of(model: Any) -> str:
    return model if isinstance(model, str) else as_classifier(model).name
