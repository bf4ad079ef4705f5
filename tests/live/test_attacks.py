"""What somebody tries who means harm, or whose client is broken: nothing falls, nobody else waits, nothing is told."""

import http.client
import json
import socket
import struct
import threading
import time
import urllib.parse
import zlib
from io import BytesIO

import pytest
from PIL import Image
from visitors import Gate, Visitor, picture, png, quarters

from captum_focalogic.classifier import Classifier
from captum_focalogic.live import server
from captum_focalogic.live.cases import Choices, Desk, Picture

CORNERS = [True, False, False, True]


def raw(visitor: Visitor, request: bytes, seconds: float = 10) -> bytes:
    """What comes back to bytes that no client would send."""
    host, port = visitor.host.split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(request)
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except TimeoutError:
            pass
    return b"".join(parts)


def head(visitor: Visitor, line: str, *further: str) -> bytes:
    """A request without its body, from this server's own page."""
    own = (f"Host: {visitor.host}", f"Origin: http://{visitor.host}")
    return "\r\n".join([line, *own, *further, "", ""]).encode()


def path_of(visitor: Visitor) -> str:
    return visitor.here.split(visitor.host)[1]


def still_answers(visitor: Visitor) -> bool:
    return visitor.post("/ask", {"states": [CORNERS]})[0] == 200


# ---- questions


QUESTIONS = [
    {"states": None},
    {"states": {}},
    {"states": "0110"},
    {"states": []},
    {"states": [CORNERS[:3]]},
    {"states": [[*CORNERS, True]]},
    {"states": [[1, 0, 0, 1]]},
    {"states": [[1.0, 0.0, 0.0, 1.0]]},
    {"states": [[None] * 4]},
    {"states": [["true"] * 4]},
    {"states": [{"1": True, "4": True}]},
    {"states": [[CORNERS] * 4]},
    {"states": [[True] * 100_000]},
    {"states": [[True]] * 100_000},
    {"regions": [1, 4]},
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: json.dumps(question)[:40])
def test_region_sets_that_are_none(serve_models, question):
    visitor = serve_models(picture()).enter()
    status, said = visitor.post("/ask", question)
    assert status == 400
    assert "region sets" in said["error"] or "a list of 4 booleans" in said["error"]
    assert len(said["error"]) < 200
    assert still_answers(visitor)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"1e999",
        b'"states"',
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b'{"states": [[true,]]}',
        b'{"states": ' + b"9" * 5000 + b"}",
        b'{"criterion": "\\ud800"}',
        b"\0" * 1000,
    ],
    ids=lambda body: repr(body[:16]),
)
@pytest.mark.parametrize("where", ["/ask", "/again", "/beside"])
def test_what_is_no_question_is_told_in_a_sentence(serve_models, body, where):
    visitor = serve_models(picture(), quarters=quarters, other=quarters).enter()
    status, said = visitor.post(where, body)
    assert (status, list(said)) in ((400, ["error"]), (200, ["location"]))
    assert still_answers(visitor)


@pytest.mark.parametrize(
    "chosen",
    [
        {"model": ["quarters"]},
        {"model": {"quarters": 1}},
        {"model": None},
        {"model": 3},
        {"segmenter": ["grid:2x2"]},
        {"baseline": {}},
        {"reading": []},
        {"zoom": 1.0},
        {"zoom": float("nan")},
        {"zoom": -1},
        {"max_evaluations": "100"},
        {"max_evaluations": 10**400},
        {"criterion": "x" * 10_000},
        {"criterion": {"__class__": "os"}},
        {"target": "\udcff"},
        {"target": "\u202e\0\x1b[31m" + "💥" * 20},
        {"against": "<img src=x onerror=alert(1)>"},
        {"__init__": 1},
        {"model\0": "quarters"},
    ],
    ids=lambda chosen: ascii(chosen)[:40],
)
def test_settings_that_are_none(serve_models, chosen):
    visitor = serve_models(picture(), quarters=quarters).enter()
    for where in ("/again", f"{visitor.reader()}/open?" + urllib.parse.urlencode({"settings": json.dumps(chosen)})):
        status, said = visitor.post(where, json.dumps(chosen).encode() if where == "/again" else png(picture()))
        assert (status, list(said)) == (400, ["error"])
        assert len(said["error"]) < 400
    assert still_answers(visitor)


def test_names_of_classes_and_files_in_any_script(serve_models):
    names = ("тёмный", "<b>光</b>", "\u202eboth\"'&")
    desk = Desk(Choices({"моя \u202eмодель": Classifier(quarters, labels=names)}, {"grid:2x2": "grid:2x2"}, ("black",)))
    page = server.open_page(desk, Picture.of(picture(), "фото<script>.png")).start()
    try:
        visitor = Visitor(page).enter()
        assert visitor.events()[-1]["state"] == "done"
        text = visitor.get()[1]
        assert "<b>光" not in text
        assert "<script>.png" not in text
        status, said = visitor.post("/again", {"against": "<b>光</b>"})
        assert status == 200, said
        for name in ("report.html", "focus.json", "headline.png", "formula.dot"):
            assert visitor.get(f"/save/{name}")[0] == 200
    finally:
        page.stop()


# ---- paths, methods and versions


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "....//....//etc/passwd",
        "..\\..\\windows\\win.ini",
        "/etc/passwd",
        "focus.json%00.png",
        "focus.json/..",
        "focus.json;x",
        "FOCUS.JSON",
        "",
    ],
)
def test_only_files_of_the_list_are_saved(serve_models, name):
    visitor = serve_models(picture()).enter()
    visitor.events()
    line = f"GET {path_of(visitor)}/save/{name} HTTP/1.1"
    answer = raw(visitor, head(visitor, line, "Connection: close"))
    assert answer.split(b" ", 2)[1] in (b"400", b"404", b"307")
    assert b"root:" not in answer


def test_other_methods_and_versions_change_nothing(serve_models):
    visitor = serve_models(picture()).enter()
    token = visitor.page.url.split(visitor.host)[1]
    last = f"Host: {visitor.host}\r\nConnection: close\r\n\r\n"
    for line, wanted in (
        (f"HEAD {path_of(visitor)} HTTP/1.1", b"200"),
        (f"OPTIONS {path_of(visitor)}/ask HTTP/1.1", b"405"),
        (f"GET {path_of(visitor)}/ask HTTP/1.1", b"405"),
        (f"PUT {path_of(visitor)}/ask HTTP/1.1", b"405"),
        (f"DELETE {path_of(visitor)} HTTP/1.1", b"405"),
        (f"TRACE {path_of(visitor)} HTTP/1.1", b"405"),
        (f"CONNECT {visitor.host} HTTP/1.1", b"404"),
        (f"GET {path_of(visitor)} HTTP/1.0", b"200"),
        ("BREW /coffee HTTP/1.1", b"404"),
    ):
        answer = raw(visitor, f"{line}\r\n{last}".encode())
        assert answer.split(b" ", 2)[1] == wanted, line
        assert b"access-control-allow" not in answer.lower()
    # Who only looks whether the page is there opens none.
    before = len(visitor.page.live.readers)
    assert raw(visitor, f"HEAD {token} HTTP/1.1\r\n{last}".encode()).split(b" ", 2)[1] == b"200"
    assert len(visitor.page.live.readers) == before
    # Without a host, with two, or with another in the first line.
    for request in (
        f"GET {path_of(visitor)} HTTP/1.0\r\n\r\n",
        f"GET {path_of(visitor)} HTTP/1.1\r\n\r\n",
        f"GET {path_of(visitor)} HTTP/1.1\r\nHost: evil.example\r\n{last}",
        f"GET {path_of(visitor)} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    ):
        assert raw(visitor, request.encode()).split(b" ", 2)[1] in (b"400", b"403"), request
    assert still_answers(visitor)


def test_no_socket_is_upgraded(serve_models):
    visitor = serve_models(picture()).enter()
    wish = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==",
    )
    for path in (path_of(visitor), f"{path_of(visitor)}/events", "/"):
        assert b" 101 " not in raw(visitor, head(visitor, f"GET {path} HTTP/1.1", *wish), 2)
    assert still_answers(visitor)


def test_no_header_can_be_written_through_the_address(serve_models):
    visitor = serve_models(picture()).enter()
    line = f"GET {path_of(visitor)}?x=%0d%0aSet-Cookie:%20a=b HTTP/1.1"
    assert b"set-cookie" not in raw(visitor, head(visitor, line, "Connection: close")).lower()
    assert still_answers(visitor)


# ---- whose question it is


def test_a_stranger_s_page_can_neither_ask_nor_read(serve_models):
    """DNS that turns to the loopback, a form on another page, an image, a frame, a script, another port."""
    visitor = serve_models(picture()).enter()
    port = visitor.host.split(":")[1]
    for name in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.2",
        "0.0.0.0",
        "[::]",
        "",
    ):
        assert visitor.get(Host=f"{name}:{port}")[0] in (400, 403)
    assert visitor.get(Host="127.0.0.1")[0] == 403
    question = {"states": [CORNERS]}
    for origin in (
        "null",
        f"https://{visitor.host}",
        f"http://{visitor.host}@evil.example",
        f"http://evil.example#{visitor.host}",
        f"http://evil.example/?{visitor.host}",
        "http://127.0.0.1",
        f"http://127.0.0.1:{int(port) % 65535 + 1}",
        f"http://localhost:{port}",
        f"{visitor.host}",
        f"//{visitor.host}",
        f"http://{visitor.host} http://evil.example",
    ):
        assert visitor.post("/ask", question, Origin=origin)[0] == 403, origin
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        request = {"Content-Type": kind, "Origin": "http://evil.example"}
        assert visitor.post("/ask", question, **request)[0] == 403
    headers = visitor.get()[2]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers


@pytest.mark.parametrize("public", [False, True])
def test_questions_need_an_origin_or_a_browser_s_word(serve_models, public):
    visitor = serve_models(picture(), public=public).enter()
    path = f"{path_of(visitor)}/ask"
    body = json.dumps({"states": [CORNERS]}).encode()
    for version, lines in (("1.0", ""), ("1.1", f"Host: {visitor.host}\r\n"), ("1.0", f"Host: {visitor.host}\r\n")):
        request = f"POST {path} HTTP/{version}\r\n{lines}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        assert b" 403 " in raw(visitor, request.encode() + body).splitlines()[0]


def test_a_proxy_that_names_this_machine_as_host(serve_models):
    """What browsers say of where a question comes from holds, in public, whatever a proxy makes of the host."""
    question = {"states": [CORNERS]}
    named = {"Host": "127.0.0.1:7860", "Origin": "https://space.example"}
    open_to_all = serve_models(picture(), public=True).enter()
    assert open_to_all.post("/ask", question, **named, **{"Sec-Fetch-Site": "same-origin"})[0] == 200
    for site in ("cross-site", "same-site", "none", ""):
        assert open_to_all.post("/ask", question, **named, **{"Sec-Fetch-Site": site})[0] == 403
    named["Host"] = "space.example"
    assert open_to_all.post("/ask", question, **named, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    closed = serve_models(picture()).enter()
    assert closed.post("/ask", question, **named, **{"Sec-Fetch-Site": "same-origin"})[0] == 403


def test_the_token_is_told_to_nobody(serve_models, caplog, capfd):
    visitor = serve_models(picture()).enter()
    visitor.events()
    token = visitor.page.url.rstrip("/").rsplit("/", 1)[1]
    for name in server.pages.SAVED:
        status, text, headers = visitor.get(f"/save/{name}")
        assert status == 200
        assert token not in text
        assert token not in str(headers)
    visitor.get("/nothing")
    visitor.post("/ask", b"{")
    written = "".join(capfd.readouterr()) + caplog.text
    assert token not in written


# ---- too much


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is very large."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * min((3 * width + 1) * height, 1 << 24))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A PNG whose comment unpacks to very much."""
    content = b"Comment\0\0" + zlib.compress(b"a" * (1 << 28))
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    plain = png(picture())
    return plain[:33] + chunk + plain[33:]


def frames(count: int) -> bytes:
    """An animation of very many frames of one pixel."""
    head = b"GIF89a\x08\0\x08\0\x80\0\0" + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\4\0\n\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    return head + frame * count + b";"


def pages(count: int) -> bytes:
    """A TIFF of a few pixels with very many pages."""
    stream = BytesIO()
    Image.new("L", (8, 8)).save(stream, "TIFF")
    content = stream.getvalue()
    start = struct.unpack_from("<I", content, 4)[0]
    directory = content[start : start + 2 + 12 * struct.unpack_from("<H", content, start)[0]]
    first, step = len(content), len(directory) + 4
    chain = [directory + struct.pack("<I", first + step * (page + 1)) for page in range(count - 1)]
    end = start + len(directory)
    content = content[:end] + struct.pack("<I", first) + content[end + 4 :]
    return content + b"".join(chain) + directory + b"\0" * 4


@pytest.mark.parametrize(
    "content",
    [bomb(65_535, 65_535), bomb(2**31 - 1, 1), bomb(20_000, 20_000), text_bomb(), b"P6 99999 99999 255\n" + b"0" * 99],
    ids=["bomb", "line", "large", "text", "ppm"],
)
def test_images_that_unpack_to_too_much_are_refused(serve_models, content):
    visitor = serve_models().enter()
    before = time.process_time()
    status, said = visitor.opened(content)
    assert status == 400
    assert "image" in said["error"]
    assert time.process_time() - before < 5


@pytest.mark.parametrize("content", [frames(400_000), pages(40_000)], ids=["frames", "pages"])
def test_an_image_with_frames_without_end_is_an_image(serve_models, content):
    visitor = serve_models().enter()
    assert 1 << 22 < len(content) < server.UPLOAD
    before = time.process_time()
    assert visitor.opened(content)[0] == 200
    assert time.process_time() - before < 4
    visitor.events()
    assert "frames; the first is used" in visitor.get()[1]


def test_who_watches_in_hundreds_keeps_nobody_waiting(serve_models):
    """Two hundred event streams of one search; clicks are answered, and the streams beyond a few are refused."""
    gate = Gate()
    visitor = serve_models(gate=gate).enter()
    visitor.opened(png(picture()), {"segmenter": "grid:4x4", "reading": "irreducible", "max_evaluations": 50_000})
    gate.open.clear()
    host, port = visitor.host.split(":")
    streams, statuses = [], []
    try:
        for _ in range(200):
            connection = http.client.HTTPConnection(host, int(port), timeout=20)
            connection.request("GET", f"{path_of(visitor)}/events")
            streams.append(connection)
            statuses.append(connection.getresponse().status)
        assert statuses.count(200) == server.MOST_WATCHERS
        assert set(statuses) == {200, 429}
        gate.open.set()
        assert visitor.post("/ask", {"states": [[True] * 5 + [False] * 11]})[0] == 200
    finally:
        gate.open.set()
        for connection in streams:
            connection.close()
    visitor.post("/stop", {})
    # Those who have gone make room.
    until = time.monotonic() + 20
    while visitor.get("/events")[0] != 200 and time.monotonic() < until:
        time.sleep(0.1)
    assert visitor.events()[-1]["state"] == "stopped"


def test_who_dawdles_is_shown_out(serve_models, monkeypatch):
    """Headers that never end, and a body that never ends."""
    monkeypatch.setattr(server, "HEADERS", 0.5)
    monkeypatch.setattr(server, "BODY", 0.5)
    visitor = serve_models(picture()).enter()
    host, port = visitor.host.split(":")
    post = head(visitor, f"POST {path_of(visitor)}/ask HTTP/1.1", "Content-Length: 99").decode()
    whole = head(visitor, f"GET {path_of(visitor)} HTTP/1.1").decode()
    for start in ("", "GET / HT", f"GET {path_of(visitor)} HTTP/1.1\r\nX: ", post, whole + "GET / "):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(start.encode())
            given, begun = b"", time.monotonic()
            # A byte now and then keeps nothing open.
            while time.monotonic() - begun < 8:
                try:
                    connection.sendall(b"a")
                    connection.settimeout(0.2)
                    part = connection.recv(1 << 20)
                    if not part:
                        break
                    given += part
                except TimeoutError:
                    continue
                except OSError:
                    break
            assert time.monotonic() - begun < 7, start
            assert (b" 408 " in given) == (start == post)
    assert still_answers(visitor)


def test_uploads_at_once_are_bounded(serve_models):
    visitor = serve_models(picture()).enter()
    host, port = visitor.host.split(":")
    reader = path_of(visitor).split("/c/")[0]
    upload = head(visitor, f"POST {reader}/open HTTP/1.1", "Content-Length: 1000000")
    held = []
    try:
        for _ in range(server.MOST_UPLOADS):
            held.append(socket.create_connection((host, int(port)), timeout=10))
            held[-1].sendall(upload + b"a" * 1000)
        time.sleep(1)
        status, said = visitor.opened(png(picture()))
        assert (status, said["error"]) == (503, "too many images are on their way; try again in a moment")
        assert still_answers(visitor)
    finally:
        for connection in held:
            connection.close()
    until = time.monotonic() + 20
    while visitor.opened(png(picture()))[0] != 200 and time.monotonic() < until:
        time.sleep(0.1)
    assert visitor.events()[-1]["state"] == "done"


def test_readers_who_send_much_are_forgotten_before_memory_is_full(serve_models, monkeypatch):
    monkeypatch.setattr(server, "HELD", 500_000)
    visitor = serve_models(picture())
    stream = BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(stream, "PNG")
    first, second = (Visitor(visitor.page).enter() for _ in range(2))
    content = stream.getvalue()
    assert 100_000 > len(content) > 30_000
    for _ in range(4):
        assert first.opened(content)[0] == 200
    assert second.get()[0] == 200
    for _ in range(8):
        assert second.opened(content)[0] == 200
    # Who was away longest is gone; who sent last is there.
    assert first.get()[0] == 404
    assert second.get()[0] == 200
    assert second.events()[-1]["state"] == "done"


# ---- coming and going


def test_stopping_twice_and_at_the_end(serve_models):
    gate = Gate()
    visitor = serve_models(gate=gate).enter()
    visitor.opened(png(picture()), {"segmenter": "grid:4x4", "reading": "irreducible", "max_evaluations": 50_000})
    stops = [threading.Thread(target=visitor.post, args=("/stop", {})) for _ in range(8)]
    for stop in stops:
        stop.start()
    for stop in stops:
        stop.join(20)
    assert visitor.events()[-1]["state"] == "stopped"
    assert visitor.post("/stop", {})[0] == 200
    assert visitor.get()[0] == 200
    assert visitor.post("/ask", {"states": [[True] * 16]})[0] == 200


def test_a_tab_that_is_closed_in_the_midst_of_a_search(serve_models):
    visitor = serve_models(gate=Gate()).enter()
    visitor.opened(png(picture()), {"segmenter": "grid:4x4", "reading": "irreducible", "max_evaluations": 3000})
    host, port = visitor.host.split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(f"GET {path_of(visitor)}/events HTTP/1.1\r\nHost: {visitor.host}\r\n\r\n".encode())
            connection.recv(100)
            # A reset, not a farewell.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The search went on; who comes back finds what it found.
    assert visitor.events()[-1]["state"] == "done"
    assert visitor.get("/save/focus.json")[0] == 200
