# Copyright (c) 2026 the vmferry authors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Where a guest is, as both QEMUs say, and what follows from it. Pure, but for the script LOOK."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

# Prints one line of JSON about the QEMU behind the QMP socket of its argument. It runs on both hosts.
LOOK = r'''
import glob, json, socket, sys

def ask(stream, command):
    stream.write(json.dumps({"execute": command}) + "\n")
    stream.flush()
    while True:
        line = stream.readline()
        if not line:
            raise ConnectionResetError("QEMU has closed the connection")
        answer = json.loads(line)
        if "return" in answer:
            return answer["return"]
        if "error" in answer:
            raise ValueError(answer["error"].get("desc", "an error of QMP"))

def look(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    try:
        client.connect(path)
        stream = client.makefile("rw")
        if not stream.readline():
            return {"state": "absent"}
        ask(stream, "qmp_capabilities")
        state = ask(stream, "query-status")["status"]
        name = ask(stream, "query-name").get("name")
        uuid = ask(stream, "query-uuid").get("UUID")
        return {"state": state, "name": name, "uuid": uuid}
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
        return {"state": "absent"}
    except socket.timeout:
        return {"state": "busy"}
    except (OSError, ValueError) as error:
        return {"state": "unknown", "error": str(error)}

def starts(path):
    for script in glob.glob("/var/lib/vmferry/*/start.sh"):
        with open(script) as file:
            if path in file.read():
                return script
    return None

found = look(sys.argv[1])
found["start"] = starts(sys.argv[1])
print(json.dumps(found))
'''

# Run states of a QEMU that does not have the guest, or does not have it any more.
WITHOUT_GUEST = ("absent", "inmigrate", "postmigrate")
# Nothing is known of the QEMU.
UNCLEAR = ("busy", "unknown", "unreachable")
NO_UUID = "00000000-0000-0000-0000-000000000000"

# What recover may do without anybody's decision: none of it starts a guest that may run elsewhere.
SAFE_VERDICTS = ("run-here", "keep", "leave", "gone")


def has_guest(place):
    """Whether this QEMU has the guest, running or not."""
    return place["state"] not in WITHOUT_GUEST + UNCLEAR


def same_guest(one, other):
    """Whether both may be the same guest: by UUID where both have one, else by name."""
    uuids = [place.get("uuid") for place in (one, other)]
    if all(uuid and uuid != NO_UUID for uuid in uuids):
        return uuids[0] == uuids[1]
    names = [place.get("name") for place in (one, other)]
    return not all(names) or names[0] == names[1]


def decide(here, there, wanted=None):
    """
    What is to be done with a guest.

    here, there: what LOOK says of the source and of the destination.
    wanted: the guest's name, where the user has given it.
    Returns a pair: migrate, arrived, lost or stuck; and why, a sentence.
    """
    if here["state"] in UNCLEAR:
        return "stuck", "The source's QEMU cannot be asked (%s)" % reason(here)
    if there["state"] in UNCLEAR:
        return "stuck", "The destination's QEMU cannot be asked (%s)" % reason(there)
    if has_guest(here) and wanted and here.get("name") and here["name"] != wanted:
        return "stuck", "The source's QEMU has the guest %s, expected %s" % (here["name"], wanted)
    if has_guest(there):
        if wanted and there.get("name") and there["name"] != wanted:
            return "stuck", "The destination's QEMU has the guest %s, expected %s" % (there["name"], wanted)
        if here["state"] != "absent" and not same_guest(here, there):
            return "stuck", "The destination's QEMU has another guest, %s" % there.get("name")
        if has_guest(here):
            return "stuck", "Both hosts have the guest: it is %s at the source and %s at the destination" % (
                here["state"], there["state"])
        return "arrived", "The guest is at the destination already, %s" % there["state"]
    if has_guest(here):
        return "migrate", "The guest is at the source, %s" % here["state"]
    if here["state"] == "absent":
        if there["state"] == "inmigrate":
            return "lost", "The source's QEMU has ended, and the destination's still waits for the guest"
        return "lost", "The guest runs nowhere: its QEMU has ended on both hosts"
    if here["state"] == "inmigrate":
        return "stuck", "The source's QEMU waits for a guest itself"
    return "stuck", "The guest has left the source's QEMU, and the destination's has ended"


def reason(place):
    """Why nothing is known of a QEMU."""
    if place["state"] == "busy":
        return "another client uses its QMP socket"
    return place.get("error") or place["state"]


def ssh_parts(address):
    """The words for ssh of ssh://[USER@]HOST[:PORT]; None where it is none."""
    if not address.startswith("ssh://"):
        return None
    host = address[len("ssh://"):]
    port = None
    head, colon, tail = host.rpartition(":")
    if colon and tail.isdigit() and not tail == host:
        host, port = head, tail
    user, at, name = host.rpartition("@")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if not name:
        return None
    return (["-p", port] if port else []) + ["--", user + at + name]
