"""An HTTPS server on 127.0.0.1 that answers as Pushover's message API documents it, and a few other things.

push_server.py CERTIFICATE KEY FILE

Prints its port. Every request becomes a line of JSON in FILE. Ends with its standard input.

  POST /1/messages.json   Pushover: token, user and message are required, ttl is a positive number of seconds;
                          200 {"status":1,...}, or 400 {"status":0,"errors":[...],...}
  POST /hook              a chat webhook: any JSON, 200 "ok"
  PUT  /topic             ntfy: any text, 200
  any  /redirect          302 to /elsewhere
  any  /slow              no answer
  any  /echo              500, with the request in the answer
"""

import http.server
import json
import ssl
import sys
import threading
import time
import urllib.parse

TOKEN = "azGDORePK8gMaC0QOYAMyEEuzJnyUi"
USER = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"


def pushover(form):
    errors = []
    if form.get("token") != TOKEN:
        errors.append("application token is invalid")
    if form.get("user") != USER:
        errors.append("user identifier is not a valid user, group, or subscribed user key")
    if not form.get("message"):
        errors.append("message cannot be blank")
    if "ttl" in form and not (form["ttl"].isdigit() and int(form["ttl"]) > 0):
        errors.append("ttl must be a positive number")
    request = "647d2300-702c-4b38-8b2f-d56326ae460b"
    if errors:
        return 400, json.dumps({"status": 0, "errors": errors, "request": request})
    return 200, json.dumps({"status": 1, "request": request})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        kind = self.headers.get("Content-Type", "")
        form = dict(urllib.parse.parse_qsl(body)) if kind.endswith("urlencoded") else None
        line = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body,
            "form": form,
            "json": json.loads(body) if kind == "application/json" else None,
        }
        with self.server.lock, open(self.server.file, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        status, text = 200, "ok"
        if self.path == "/1/messages.json":
            status, text = pushover(form or {})
        elif self.path == "/redirect":
            status, text = 302, ""
        elif self.path == "/slow":
            time.sleep(600)
        elif self.path == "/echo":
            status, text = 500, json.dumps(line)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


def main(certificate, key, file):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.file, server.lock = file, threading.Lock()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    # The handshake in the connection's own thread: one client that does not speak TLS stops nobody.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
