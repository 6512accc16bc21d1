"""Runs a command over SSH with password and code, by asyncssh. The host has to be in ~/.ssh/known_hosts.

usage: log_in_with_asyncssh.py USER@HOST[:PORT] COMMAND     (and see login.py)
"""

import asyncio
import sys

import asyncssh

from login import Login, arguments


class Client(asyncssh.SSHClient):
    def __init__(self):
        self.login = None

    def kbdint_auth_requested(self):
        # Asked once more after a refusal: None ends it, instead of trying for ever.
        if self.login is not None:
            return None
        self.login = Login()
        return ""

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        return self.login.answer([text for text, _echo in prompts])


async def main() -> int:
    user, host, port, command = arguments()
    async with asyncssh.connect(
        host, port, username=user, client_factory=Client, preferred_auth="keyboard-interactive"
    ) as connection:
        result = await connection.run(command, stderr=asyncssh.STDOUT)
        print(result.stdout, end="")
        return result.exit_status or 0


sys.exit(asyncio.run(main()))
