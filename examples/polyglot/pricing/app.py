"""Pricing says what a book costs today."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

VAT = float(os.environ.get("VAT", "0.07"))


def price(cents: int) -> dict:
    """Return the price with tax, in cents."""
    return {"cents": round(cents * (1 + VAT)), "vat": VAT}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlparse(self.path)
        if url.path == "/healthz":
            self.reply(200, {"ok": True})
            return
        try:
            if url.path != "/price":
                self.reply(404, {"error": "not found"})
                return
            self.reply(200, price(int(parse_qs(url.query)["cents"][0])))
        except (KeyError, ValueError):
            self.reply(400, {"error": "cents is a whole number"})

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def main():
    port = int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer(("", port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"pricing listens on :{port}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
