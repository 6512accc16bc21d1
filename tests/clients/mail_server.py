"""A mail server on 127.0.0.1 that remembers what it takes.

mail_server.py plain|starttls|tls CERTIFICATE KEY FILE [USER PASSWORD]

Prints its port. Every mail becomes a line of JSON in FILE. A recipient that begins with `refused` is refused, in
words that repeat the recipient and whatever digits the mail holds. Ends with its standard input.
"""

import asyncio
import email
import email.policy
import json
import re
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, path):
        self.path = path

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_content()
        to = envelope.rcpt_tos[0]
        if to.startswith("refused"):
            digits = " ".join(re.findall(r"\d{6}", body))
            return f"550 5.7.1 <{to}> does not want {digits}"
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": mail["Subject"],
            "automatic": mail["Auto-Submitted"],
            "body": body,
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "login": (session.auth_data.login.decode() if session.auth_data else None),
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return "250 OK"


def authenticator(user, password):
    def judge(server, session, envelope, mechanism, data):
        right = (data.login.decode(), data.password.decode()) == (user, password)
        return AuthResult(success=right, handled=False, auth_data=data)

    return judge


async def serve(mode, certificate, key, path, login):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    settings = {"hostname": "mail.test"}
    if mode == "starttls":
        settings |= {"tls_context": context, "require_starttls": True}
    if login:
        settings |= {
            "authenticator": authenticator(*login),
            "auth_required": True,
            "auth_require_tls": mode == "starttls",
        }
    handler = Handler(path)
    loop = asyncio.get_running_loop()
    wrapped = context if mode == "tls" else None
    server = await loop.create_server(lambda: SMTP(handler, **settings), "127.0.0.1", 0, ssl=wrapped)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = loop.create_future()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set_result, None))).start()
    await ended


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:5], sys.argv[5:7]))
