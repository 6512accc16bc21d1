"""Sessions as only a library can show them.

usage: sessions.py PORT USER HOST_KEY WHAT [ARGUMENTS]
Each of WHAT is a function below; what it returns is printed as JSON.
"""

import asyncio
import json
import os
import sys

import asyncssh

PORT, USER, HOST_KEY = sys.argv[1:4]
ANSWERS = {
    "Password: ": os.environ["E2E_PASSWORD"],
    "Verification code: ": os.environ["E2E_CODE"],
    "Current password: ": os.environ["E2E_PASSWORD"],
    "New password: ": "An Entirely-New one, 42",
    "Retype new password: ": "An Entirely-New one, 42",
}
ROUNDS = []


class Client(asyncssh.SSHClient):
    def kbdint_auth_requested(self):
        return None if ROUNDS else ""

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        ROUNDS.append([text for text, _echo in prompts])
        return [ANSWERS[text] for text, _echo in prompts]


def connect():
    return asyncssh.connect(
        "127.0.0.1",
        int(PORT),
        username=USER,
        known_hosts=asyncssh.import_known_hosts(f"[127.0.0.1]:{PORT} {HOST_KEY}\n"),
        client_factory=Client,
        client_keys=None,
        agent_path=None,
        config=None,
        preferred_auth="keyboard-interactive",
    )


async def exits(connection, *commands):
    """Exit status and signal of each command."""
    results = [await connection.run(command) for command in commands]
    return [[result.exit_status, result.exit_signal and result.exit_signal[0]] for result in results]


async def signal(connection, command, name):
    """How a command ends that is sent a signal once it has said something."""
    process = await connection.create_process(command)
    await process.stdout.readline()
    process.send_signal(name)
    result = await process.wait()
    return [result.exit_status, result.exit_signal and result.exit_signal[0], result.stdout]


async def rounds(connection):
    """The prompts of the login."""
    return ROUNDS


async def subsystem(connection, name):
    """Whether there is such a subsystem."""
    try:
        await connection.create_process(subsystem=name)
    except asyncssh.ChannelOpenError as refused:
        return refused.reason
    return "opened"


async def main():
    chosen = {task.__name__: task for task in [exits, signal, rounds, subsystem]}[sys.argv[4]]
    async with connect() as connection:
        print(json.dumps(await chosen(connection, *sys.argv[5:])))


asyncio.run(main())
