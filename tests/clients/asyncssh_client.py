"""Logs in with asyncssh: password and code, then a command and an SFTP round trip.

usage: asyncssh_client.py PORT USER HOST_KEY PUT REMOTE GET
Prints the keyboard-interactive rounds as JSON, then what `id -un` says. Exit status 3: refused.
"""

import asyncio
import json
import os
import sys

import asyncssh

ANSWERS = {
    "Password: ": os.environ["E2E_PASSWORD"],
    "Verification code: ": os.environ["E2E_CODE"],
}
ROUNDS = []


class Client(asyncssh.SSHClient):
    def kbdint_auth_requested(self):
        # Once: asked again after a refusal, it would try for ever.
        return None if ROUNDS else ""

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        ROUNDS.append([text for text, _echo in prompts])
        return [ANSWERS[text] for text, _echo in prompts]


async def main() -> int:
    port, user, host_key, put, remote, get = sys.argv[1:]
    known_hosts = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
    try:
        connection = await asyncssh.connect(
            "127.0.0.1",
            int(port),
            username=user,
            known_hosts=known_hosts,
            client_factory=Client,
            client_keys=None,
            agent_path=None,
            config=None,
            preferred_auth="keyboard-interactive",
        )
    except asyncssh.PermissionDenied as refused:
        print(json.dumps(ROUNDS))
        print(repr(refused), file=sys.stderr)
        return 3
    print(json.dumps(ROUNDS))
    async with connection:
        result = await connection.run("id -un", check=True)
        print(result.stdout, end="")
        async with connection.start_sftp_client() as sftp:
            await sftp.put(put, remote)
            await sftp.get(remote, get)
    return 0


sys.exit(asyncio.run(main()))
