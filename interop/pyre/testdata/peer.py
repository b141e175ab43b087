"""A Pyre node that a test drives.

Commands come in on stdin, replies and events go out on stdout, a JSON object
a line; frames are base64. The fields are those of the types command and line
in the Go package internal/lab.
"""
import base64
import json
import os
import sys
import time
import uuid

import zmq
from pyre import Pyre, PyreEvent

STALL = 20  # seconds without an acknowledgement before a flood is given up
REPORT = 1000  # numbered messages between two lines about them


def say(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class Tally:
    """Counts the numbered messages of one peer."""

    def __init__(self):
        self.count = 0
        self.fault = ""

    def next(self, number):
        if number != self.count and not self.fault:
            self.fault = "number %d instead of %d" % (number, self.count)
        self.count += 1


class Peer:
    def __init__(self):
        self.node = None
        self.tallies = {}
        self.acknowledged = 0
        self.pending = b""
        self.poller = zmq.Poller()
        self.poller.register(sys.stdin.fileno(), zmq.POLLIN)

    def run(self):
        while True:
            ready = dict(self.poller.poll())
            if self.node and self.node.socket() in ready:
                self.receive()
            if sys.stdin.fileno() in ready and not self.obey():
                return

    def obey(self):
        """Carries out the commands that have come in; False at their end."""
        data = os.read(sys.stdin.fileno(), 1 << 20)
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            try:
                extra = getattr(self, command["do"])(command) or {}
            except Exception as error:
                extra = {"error": repr(error)}
            say(reply=command["do"], **extra)
        return bool(data)

    # The commands.

    def start(self, command):
        self.node = Pyre(command["name"])
        for name, value in command.get("headers", {}).items():
            self.node.set_header(name, value)
        for group in command.get("groups", []):
            self.node.join(group)
        self.node.start()
        self.poller.register(self.node.socket(), zmq.POLLIN)
        return {"uuid": self.node.uuid().hex, "endpoint": self.node.endpoint()}

    def join(self, command):
        self.node.join(command["group"])

    def leave(self, command):
        self.node.leave(command["group"])

    def whisper(self, command):
        self.node.whisper(uuid.UUID(command["peer"]), frames(command))

    def shout(self, command):
        self.node.shout(command["group"], frames(command))

    def flood(self, command):
        peer, group = uuid.UUID(command["peer"]), command.get("group")
        for number in range(command["count"]):
            while number - self.acknowledged >= command["window"]:
                self.await_acknowledgement()
            message = b"#%d" % number
            if group:
                self.node.shout(group, message)
            else:
                self.node.whisper(peer, message)
        while self.acknowledged < command["count"]:
            self.await_acknowledgement()

    def peers(self, command):
        return {"peers": [peer.hex for peer in self.node.peers()]}

    def stop(self, command):
        self.node.stop()

    # What happens.

    def await_acknowledgement(self):
        before = self.acknowledged
        deadline = time.monotonic() + STALL
        while self.acknowledged == before:
            if time.monotonic() > deadline:
                raise TimeoutError("acknowledged: %d" % before)
            if self.node.socket().poll(1000):
                self.receive()

    def receive(self):
        event = PyreEvent(self.node)
        if event.msg and event.msg[0][:1] == b"#":
            self.count(event.peer_uuid_bytes, int(event.msg[0][1:]))
        elif event.msg and event.msg[0][:1] == b"+":
            self.acknowledged = int(event.msg[0][1:])
        else:
            say(
                event=event.type,
                peer=event.peer_uuid_bytes.hex(),
                name=event.peer_name,
                addr=event.peer_addr or "",
                group=event.group or "",
                headers=event.headers or {},
                msg=[base64.b64encode(frame).decode() for frame in event.msg or []],
            )

    def count(self, peer, number):
        tally = self.tallies.setdefault(peer, Tally())
        tally.next(number)
        if tally.fault or tally.count % REPORT == 0:
            say(event="BULK", peer=peer.hex(), count=tally.count, fault=tally.fault)


def frames(command):
    return [base64.b64decode(frame) for frame in command["frames"]]


Peer().run()
os._exit(0)  # Pyre's threads and sockets may still wait for each other
