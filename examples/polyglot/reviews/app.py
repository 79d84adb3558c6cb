"""Reviews keeps the stars that readers gave."""

import json
import os
import socketserver
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

STARS = {"moby-dick": [5, 4, 5], "emma": [4, 4], "odyssey": [5]}


def application(environ, start_response):
    """The WSGI application."""
    path = environ["PATH_INFO"]
    if path == "/stars":
        return answer(start_response, "200 OK", {book: round(sum(s) / len(s)) for book, s in STARS.items()})
    if path == "/healthz":
        return answer(start_response, "200 OK", {"ok": True})
    return answer(start_response, "404 Not Found", {"error": "not found"})


def answer(start_response, status, value):
    body = json.dumps(value).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8080"))
    print(f"reviews listens on :{port}", flush=True)
    make_server("", port, application, Server, Quiet).serve_forever()
