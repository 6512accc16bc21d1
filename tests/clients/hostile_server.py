"""An SSH server that asks what it likes, and keeps the answers.

usage: hostile_server.py HOST_KEY_FILE QUESTIONS
QUESTIONS is a JSON list; one question is asked after the other. The first line printed is the port, the
second, when the client is gone, a JSON list of the answers.
"""

import asyncio
import json
import sys

import asyncssh

QUESTIONS = json.loads(sys.argv[2])
ANSWERS = []


class Server(asyncssh.SSHServer):
    def connection_made(self, connection):
        self.gone = GONE

    def connection_lost(self, error):
        self.gone.set()

    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return False

    def public_key_auth_supported(self):
        return False

    def kbdint_auth_supported(self):
        return True

    def challenge(self):
        return "", "", "", [(QUESTIONS[len(ANSWERS)], False)]

    def get_kbdint_challenge(self, username, lang, submethods):
        return self.challenge()

    def validate_kbdint_response(self, username, responses):
        ANSWERS.extend(responses)
        return self.challenge() if len(ANSWERS) < len(QUESTIONS) else False


async def main():
    global GONE
    GONE = asyncio.Event()
    server = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[sys.argv[1]]
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await GONE.wait()
    print(json.dumps(ANSWERS), flush=True)


asyncio.run(main())
