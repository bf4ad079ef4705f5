"""A server on this machine that speaks the chat completions protocol, and fails as it is told to."""

import base64
import io
import json
import threading
import time
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

LABELS = ["red", "green", "blue"]


def decide(pixels, labels=LABELS):
    """The label of the brightest channel: what the model behind the server sees."""
    return labels[int(np.argmax(pixels.reshape(-1, 3).mean(axis=0)))]


class Endpoint:
    """What the server does, and what it saw.

    ``faults`` are taken from the left, one a request; each is a function of the handler that replies, or None.
    """

    def __init__(self):
        self.labels = LABELS
        self.faults = deque()
        self.requests = []
        self.keys = []
        self.most_at_once = 0
        self.delay = 0.0
        self.usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
        self._now = 0
        self._lock = threading.Lock()

    def handle(self, handler):
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
            self.requests.append(body)
            self.keys.append(handler.headers["authorization"])
            fault = self.faults.popleft() if self.faults else None
        try:
            time.sleep(self.delay)
            (fault or self.answer)(handler, body)
        finally:
            with self._lock:
                self._now -= 1

    def answer(self, handler, body):
        url = body["messages"][0]["content"][1]["image_url"]["url"]
        picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        label = decide(np.asarray(picture), self.labels)
        self.say(json.dumps({"label": label}) if "response_format" in body else label)(handler, body)

    def say(self, text, refusal=None, finish="stop"):
        message = {"role": "assistant", "content": text, "refusal": refusal}
        reply = {
            "id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": self.usage,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        }  # fmt: skip
        return lambda handler, body: send(handler, 200, json.dumps(reply).encode())


def status(code, message="injected", headers=(), kind=None):
    error = {"error": {"message": message, "type": "t", "param": None, "code": kind}}
    return lambda handler, body: send(handler, code, json.dumps(error).encode(), headers)


def broken(handler, body):
    send(handler, 200, b'{"choices": [{"mess')


def slow(seconds):
    def fault(handler, body):
        time.sleep(seconds)
        handler.close_connection = True

    return fault


def send(handler, code, body, headers=()):
    handler.send_response(code)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(body)))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serve():
    """An endpoint and its address."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            try:
                endpoint.handle(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *args):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield endpoint, f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
