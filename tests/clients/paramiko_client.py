"""Logs in with paramiko: password and code, then a command and an SFTP round trip.

usage: paramiko_client.py PORT USER HOST_KEY PUT REMOTE GET
Prints the keyboard-interactive rounds as JSON, then what `id -un` says. Exit status 3: refused.
"""

import json
import os
import socket
import sys

import paramiko

ANSWERS = {
    "Password: ": os.environ["E2E_PASSWORD"],
    "Verification code: ": os.environ["E2E_CODE"],
}


def main() -> int:
    port, user, host_key, put, remote, get = sys.argv[1:]
    rounds = []

    def handler(_title, _instructions, prompts):
        rounds.append([text for text, _echo in prompts])
        return [ANSWERS[text] for text, _echo in prompts]

    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        transport = paramiko.Transport(connection)
        try:
            transport.start_client()
            key = transport.get_remote_server_key()
            assert f"{key.get_name()} {key.get_base64()}" == host_key, "foreign host key"
            try:
                transport.auth_interactive(user, handler)
            except paramiko.AuthenticationException as refused:
                print(json.dumps(rounds))
                print(repr(refused), file=sys.stderr)
                return 3
            print(json.dumps(rounds))
            work(transport, put, remote, get)
        finally:
            transport.close()
    return 0


def work(transport, put, remote, get):
    with transport.open_session() as channel:
        channel.exec_command("id -un")
        print(channel.makefile().read().decode(), end="")
    with paramiko.SFTPClient.from_transport(transport) as sftp:
        sftp.put(put, remote)
        sftp.get(remote, get)


sys.exit(main())
