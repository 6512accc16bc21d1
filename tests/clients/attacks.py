"""Speaks SSH's authentication protocol by hand, as nobody should.

usage: attacks.py PORT USER HOST_KEY ATTACK [ARGUMENTS]
Each attack is a function below; what it returns is printed as JSON.
"""

import json
import os
import queue
import socket
import struct
import sys
import time
import traceback

import paramiko
from paramiko.common import (
    MSG_CHANNEL_OPEN,
    MSG_SERVICE_ACCEPT,
    MSG_SERVICE_REQUEST,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_INFO_REQUEST,
    MSG_USERAUTH_INFO_RESPONSE,
    MSG_USERAUTH_REQUEST,
    MSG_USERAUTH_SUCCESS,
    byte_chr,
)

PORT, USER = int(sys.argv[1]), sys.argv[2]
PASSWORD, CODE = os.environ["E2E_PASSWORD"], os.environ["E2E_CODE"]
ANSWERS = {"Password: ": PASSWORD, "Verification code: ": CODE}
# Longer than any answer of the server takes.
PATIENCE = 60
ENDED = "ended"
NO_QUESTION = {"name": "", "instruction": "", "prompts": []}


class Wire:
    """A connection after the key exchange: userauth messages go out and come in as they are."""

    def __init__(self):
        self.messages = queue.Queue()
        self.socket = socket.create_connection(("127.0.0.1", PORT))
        self.transport = paramiko.Transport(self.socket)
        self.transport.start_client()
        types = [
            MSG_SERVICE_ACCEPT,
            MSG_USERAUTH_FAILURE,
            MSG_USERAUTH_SUCCESS,
            MSG_USERAUTH_BANNER,
            MSG_USERAUTH_INFO_REQUEST,
        ]
        # What the transport calls for messages that concern authentication.
        self._handler_table = {kind: self.keep(kind) for kind in types}
        self.authenticated = False
        self.banner = None
        self.transport.auth_handler = self
        self.send(MSG_SERVICE_REQUEST, text("ssh-userauth"))
        assert self.receive() == "service accepted"

    def keep(self, kind):
        return lambda message: self.messages.put((kind, message))

    def abort(self):
        self.messages.put((None, None))

    def is_authenticated(self):
        return self.authenticated

    def get_username(self):
        return USER

    def send(self, kind, content=b""):
        message = paramiko.Message()
        message.add_bytes(byte_chr(kind) + content)
        try:
            self.transport._send_user_message(message)
        except (EOFError, OSError, paramiko.SSHException):
            pass

    def request(self, user, method, content=b"", service="ssh-connection"):
        self.send(MSG_USERAUTH_REQUEST, text(user) + text(service) + text(method) + content)

    def keyboard(self, user):
        self.request(user, "keyboard-interactive", text("") + text(""))

    def answer(self, *answers):
        self.send(MSG_USERAUTH_INFO_RESPONSE, number(len(answers)) + b"".join(map(text, answers)))

    def receive(self):
        """The next message: a list of prompts, a dictionary, a string; or that it is over."""
        kind, message = self.messages.get(timeout=PATIENCE)
        if kind is None:
            self.messages.put((None, None))
            return ENDED
        if kind == MSG_USERAUTH_BANNER:
            return self.receive()
        if kind == MSG_SERVICE_ACCEPT:
            return "service accepted"
        if kind == MSG_USERAUTH_SUCCESS:
            self.authenticated = True
            return "success"
        if kind == MSG_USERAUTH_FAILURE:
            methods = message.get_list()
            return {"methods": methods, "partial": message.get_boolean()}
        texts = [message.get_text() for _ in range(3)]
        prompts = [[message.get_text(), message.get_boolean()] for _ in range(message.get_int())]
        return {"name": texts[0], "instruction": texts[1], "prompts": prompts}

    def farewell(self):
        """The next message but the last word before a farewell, which needs no answer."""
        message = self.receive()
        return self.receive() if message == NO_QUESTION else message

    def dialogue(self, user, answers=None):
        """A whole keyboard-interactive dialogue: what the server said, to its end."""
        said = []
        self.keyboard(user)
        while True:
            message = self.receive()
            said.append(message)
            if "prompts" not in message:
                return said
            self.answer(*[(answers or ANSWERS)[prompt] for prompt, _ in message["prompts"]])

    def key(self, user, path):
        """What comes of a signature by this key."""
        key = paramiko.Ed25519Key.from_private_key_file(path)
        fields = byte_chr(1) + text(key.get_name()) + text(key.asbytes())
        request = text(user) + text("ssh-connection") + text("publickey") + fields
        signed = text(self.transport.session_id) + byte_chr(MSG_USERAUTH_REQUEST) + request
        signature = key.sign_ssh_data(signed, key.get_name())
        self.send(MSG_USERAUTH_REQUEST, request + text(signature.asbytes()))
        return self.receive()

    def reset(self):
        """Cuts the connection as a dying router would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.socket.detach())
        os._exit(0)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return number(len(value)) + value


def number(value):
    return struct.pack(">I", value)


def prompt(message):
    return message["prompts"][0][0]


def methods(key):
    """What each method says alone."""

    def alone(method, content=b""):
        wire = Wire()
        wire.request(USER, method, content)
        return wire.receive()

    return {
        "none": alone("none"),
        "password": alone("password", byte_chr(0) + text(PASSWORD)),
        "hostbased": alone("hostbased", text("ssh-ed25519") + text("") * 4),
        "gssapi-with-mic": alone("gssapi-with-mic", number(0)),
        "publickey": Wire().key(USER, key),
        "keyboard-interactive": Wire().dialogue(USER),
    }


def key_then_dialogue(key, other=None):
    """A key, then a dialogue of the same user or another one's."""
    wire = Wire()
    return [wire.key(USER, key), *wire.dialogue(other or USER)]


def answers_for_another(other):
    """A dialogue of the other user is begun while one of ours waits, and gets our answers."""
    wire = Wire()
    wire.keyboard(USER)
    said = [wire.receive()]
    wire.answer(PASSWORD)
    said.append(wire.receive())
    # The code is asked for: it is held back until another user is named.
    wire.keyboard(other)
    said.append(wire.receive())
    wire.answer(CODE)
    said.append(wire.receive())
    return said


def back_to_the_first(other):
    """Half a dialogue of ours, one of another user, and the second half of ours."""
    wire = Wire()
    wire.keyboard(USER)
    said = [wire.receive()]
    wire.answer(PASSWORD)
    said.append(wire.receive())
    wire.keyboard(other)
    said.append(wire.receive())
    wire.keyboard(USER)
    said.append(wire.receive())
    wire.answer(CODE)
    said.append(wire.receive())
    return said


def malformed():
    """What comes of each malformed answer to a first question."""
    right, wrong = text(PASSWORD), text("a guess")
    cases = {
        "no answer": number(0),
        "two answers": number(2) + right + right,
        # One that is there is taken, so it had better not be right.
        "fewer than it says": number(2) + wrong,
        "more than memory": number(0xFFFFFFFF) + wrong,
        "longer than the packet": number(1) + number(0xFFFFFF00) + b"x",
        "longer than PAM takes": number(1) + text("x" * 513),
        "as long as the packet may be": number(1) + text("x" * 30000),
        "a NUL in the password": number(1) + text(PASSWORD + "\0"),
        "not UTF-8": number(1) + text(b"\xff\xfe\xfd"),
        "nothing at all": b"",
        "half a number": b"\0\0",
    }
    said = {}
    for name, content in cases.items():
        wire = Wire()
        wire.keyboard(USER)
        assert prompt(wire.receive()) == "Password: "
        wire.send(MSG_USERAUTH_INFO_RESPONSE, content)
        said[name] = wire.farewell()
    return said


def interrupted(other):
    """An answer after another request, of the same user or another one, has come in between."""
    said = []
    for user in (USER, other):
        wire = Wire()
        wire.keyboard(USER)
        assert prompt(wire.receive()) == "Password: "
        wire.request(user, "none")
        said.append(wire.receive())
        wire.answer(PASSWORD)
        said.append(wire.farewell())
    return said


def unasked():
    """Answers and messages that nobody asked for, and a login after them on the same connection."""
    before = Wire()
    before.answer(PASSWORD)
    said = {"answer before a question": before.receive()}
    service = Wire()
    service.request(USER, "keyboard-interactive", text("") * 2, service="ssh-nothing")
    said["another service"] = service.receive()
    after = Wire()
    after.keyboard(USER)
    after.receive()
    after.answer(PASSWORD)
    after.receive()
    after.answer(CODE)
    after.answer(CODE)
    said["an answer too many"] = [after.receive(), after.receive()]
    return said


def early_channel(command):
    """A command before the login."""
    wire = Wire()
    wire.send(MSG_CHANNEL_OPEN, text("session") + number(0) + number(1 << 20) + number(1 << 15))
    wire.send(98, number(0) + text("exec") + byte_chr(1) + text(command))
    time.sleep(1)
    return wire.transport.is_active()


def restarts(most):
    """How many dialogues are begun, none answered, before the server has enough."""
    wire = Wire()
    for begun in range(int(most)):
        wire.keyboard(USER)
        if "prompts" not in wire.receive():
            return begun
    return int(most)


def guesses(most):
    """How many wrong answers are taken on one connection."""
    wire = Wire()
    for guessed in range(int(most)):
        said = wire.dialogue(USER, {"Password: ": "a guess", "Verification code: ": "000000"})
        if said[-1] == ENDED:
            return guessed
    return int(most)


def users(*names):
    """How many users may be tried on one connection, by a request each that is answered wrongly."""
    wire = Wire()
    wrong = {"Password: ": "a guess", "Verification code: ": "000000"}
    return {name: wire.dialogue(name, wrong) for name in names}


def dialogue():
    """What is said in a dialogue, and how long the connection lives with it."""
    return Wire().dialogue(USER)


def slow():
    """Seconds until a connection ends that gives no answer."""
    start = time.monotonic()
    wire = Wire()
    wire.keyboard(USER)
    assert "prompts" in wire.receive()
    assert wire.receive() == ENDED
    return time.monotonic() - start


AT_PROMPT = {"password": "Password: ", "code": "Verification code: "}


def cut(stage):
    """Cuts the connection there; never returns."""
    if stage in ("connected", "identification", "key exchange"):
        raw_cut(stage)
    wire = Wire()
    if stage == "service":
        wire.reset()
    wire.keyboard(USER)
    while (message := wire.receive()) != "success":
        asked = [text for text, _ in message["prompts"]]
        if asked == [AT_PROMPT.get(stage)]:
            wire.reset()
        wire.answer(*map(ANSWERS.get, asked))
    channel = wire.transport.open_session()
    if stage == "channel":
        wire.reset()
    if stage == "shell":
        channel.get_pty()
        channel.invoke_shell()
        channel.sendall("sleep 1000\n")
        seen = b""
        while b"sleep 1000" not in seen:
            more = channel.recv(1000)
            assert more, f"no shell: {seen}"
            seen += more
    elif stage == "command":
        channel.exec_command("echo up; cat")
        assert channel.recv(10), "no command"
    elif stage == "sftp":
        channel.invoke_subsystem("sftp")
        sftp = paramiko.SFTPClient(channel)
        file = sftp.open("cut", "w")
        file.set_pipelined(True)
        for _ in range(100):
            file.write(b"x" * 32768)
    else:
        raise ValueError(stage)
    wire.reset()


def raw_cut(stage):
    connection = socket.create_connection(("127.0.0.1", PORT))
    if stage != "connected":
        connection.recv(100)
        connection.sendall(b"SSH-2.0-test\r\n")
    if stage == "key exchange":
        # The first half of a KEXINIT.
        connection.sendall(number(500) + b"\x04\x14" + bytes(100))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    os._exit(0)


ATTACKS = [
    methods,
    key_then_dialogue,
    answers_for_another,
    back_to_the_first,
    malformed,
    interrupted,
    unasked,
    early_channel,
    restarts,
    guesses,
    users,
    dialogue,
    slow,
    cut,
]

paramiko.util.logging.getLogger("paramiko").setLevel("CRITICAL")
chosen = {attack.__name__: attack for attack in ATTACKS}[sys.argv[4]]
try:
    print(json.dumps(chosen(*sys.argv[5:])), flush=True)
    status = 0
except BaseException:
    traceback.print_exc()
    status = 1
# The transports' threads need not be awaited.
os._exit(status)
