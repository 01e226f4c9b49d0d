#!/usr/bin/python
# Copyright (c) 2026 the vmferry authors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""Moves one running QEMU guest to another host."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: vmferry_migrate
short_description: Move a running QEMU guest to another host
version_added: "1.0.0"
description:
  - Runs C(vmferry migrate) on the host that has the guest, and waits until the guest runs at the destination.
  - A guest that is at the destination already, and not at the source any more, is no change.
  - What an interrupted migration has left is put right first where that is safe, with C(vmferry recover). A guest
    of which nobody knows where it runs is never migrated; the module fails and returns the commands that settle it.
options:
  qmp:
    description: The QMP socket of the guest's QEMU on this host. vmferry must be its only client.
    type: path
    required: true
  destination:
    description:
      - The other host, as C(ssh://[USER@]HOST[:PORT]). The user who runs this module must be able to log in there
        by a key.
    type: str
    required: true
  name:
    description: The name of the guest (C(-name)). The module refuses another one behind the same socket.
    type: str
  launch:
    description:
      - Build the destination, that is its disk images and its QEMU (C(--launch)).
      - Without it a QEMU must wait there with its QMP socket at O(remote_qmp).
    type: bool
    default: true
  remote_qmp:
    description:
      - The QMP socket of the guest's QEMU at the destination. By default the same path as O(qmp).
      - With O(launch) give it where a C(--map) in O(arguments) moves the socket.
    type: path
  quit_source:
    description: End the source's QEMU once the guest runs at the destination.
    type: bool
    default: true
  arguments:
    description: More arguments for both C(vmferry check) and C(vmferry migrate), such as C(--map) and C(--reuse).
    type: list
    elements: str
    default: []
  migrate_arguments:
    description: More arguments for C(vmferry migrate) alone, such as C(--verify) or C(--grace).
    type: list
    elements: str
    default: []
  bandwidth:
    description: Bytes a second for this migration, as C(500M).
    type: str
  host_bandwidth:
    description: Bytes a second for all migrations of the source, as C(1G), in equal shares.
    type: str
  max_parallel:
    description: The migration waits until fewer than so many others run on the source.
    type: int
  timeout:
    description: Undo and fail if the migration takes longer, in seconds.
    type: int
  ssh_options:
    description: Options for C(ssh -o), for vmferry and for the look at the destination.
    type: list
    elements: str
    default: []
  executable:
    description: The program, where it is not in C(PATH).
    type: path
  stop_group:
    description:
      - A name for all migrations of one run. Once a migration of the group has failed on this host, the module starts
        no other one of it.
    type: str
author:
  - the vmferry authors (@vmferry)
notes:
  - In check mode the module runs C(vmferry check) and changes nothing.
"""

EXAMPLES = r"""
- name: Move the guest vm1 to host2
  vmferry.vmferry.vmferry_migrate:
    qmp: /run/vm1.qmp
    destination: ssh://root@host2

- name: The same with other places at the destination, two at a time, and 1 GiB/s together
  vmferry.vmferry.vmferry_migrate:
    qmp: /run/vm1.qmp
    destination: ssh://root@host2
    arguments: [--map, /vm=/srv/vm]
    max_parallel: 2
    host_bandwidth: 1G
"""

RETURN = r"""
outcome:
  description:
    - C(migrated), or C(arrived) for a guest that was there already.
    - C(refused), C(failed) and C(cancelled) leave the guest at the source.
    - C(unknown) and C(stuck) need a decision; C(lost) means that the guest runs nowhere.
    - C(stopped) where another migration of O(stop_group) had failed.
  returned: always
  type: str
  sample: migrated
where:
  description: C(source), C(destination), C(nowhere), or C(unknown).
  returned: always
  type: str
next:
  description: What to do now, a command or a sentence each.
  returned: always
  type: list
  elements: str
code:
  description: The error code of vmferry.
  returned: when vmferry has failed
  type: str
result:
  description: The last event of vmferry.
  returned: when vmferry has run
  type: dict
"""

import json
import os
import sys
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vmferry.vmferry.plugins.module_utils.places import (
    LOOK,
    SAFE_VERDICTS,
    decide,
    has_guest,
    ssh_parts,
)

# Exit codes of vmferry and what they mean for the guest.
OUTCOMES = {1: "failed", 2: "refused", 3: "refused", 4: "unknown", 5: "cancelled"}
REFUSED = 3
# When a migration that was refused is tried once more, s.
AGAIN_S = 3
# How long the other host may take to answer, s.
CONNECT_S = 15
# Marks of groups that are older than this are removed, s.
MARK_S = 86400


class Failure(Exception):
    """The module fails with these values."""

    def __init__(self, msg, **values):
        super(Failure, self).__init__(msg)
        self.values = dict(values, msg=msg)


class Migration(object):
    """One guest on its way."""

    def __init__(self, module):
        self.module = module
        self.params = module.params
        self.qmp = self.params["qmp"]
        self.remote_qmp = self.params["remote_qmp"] or self.qmp
        self.ssh = ssh_parts(self.params["destination"])
        if self.ssh is None:
            raise Failure(
                "destination: got \"%s\", expected ssh://[USER@]HOST[:PORT]" % self.params["destination"],
                outcome="refused", where="source", next=[])
        self.program = self.params["executable"] or module.get_bin_path("vmferry", required=True)

    def run(self):
        """Moves the guest; returns the module's values."""
        self.refuse_running()
        recovered = self.recover()
        here, there = self.look()
        action, why = decide(here, there, self.params["name"])
        if recovered == "leave" and has_guest(there):
            # The source's QEMU is paused: recover has found that the destination has the guest.
            action, why = "arrived", "The guest is at the destination already, %s" % there["state"]
        values = dict(changed=recovered is not None, msg=why, next=[])
        if action == "arrived":
            return dict(values, outcome="arrived", where="destination")
        if action == "lost":
            raise Failure(why, outcome="lost", where="nowhere", next=self.start_again(here, there))
        if action == "stuck":
            raise Failure(why, outcome="stuck", where="unknown", next=[
                "%s recover --qmp %s on both hosts" % (self.program, self.qmp)])
        if self.module.check_mode:
            return self.check(values)
        return self.migrate(values)

    def look(self):
        """Where the guest is, as both QEMUs say."""
        code, out, err = self.module.run_command([sys.executable, "-", self.qmp], data=LOOK)
        if code != 0:
            raise Failure("The source's QEMU cannot be asked: %s" % err, outcome="stuck", where="unknown", next=[])
        here = json.loads(out)
        options = ["BatchMode=yes", "ConnectTimeout=%d" % CONNECT_S] + self.params["ssh_options"]
        command = ["ssh"] + [word for option in options for word in ("-o", option)]
        # The words behind the host are for a shell there.
        command += self.ssh + ["python3 - '%s'" % self.remote_qmp.replace("'", "'\\''")]
        code, out, err = self.module.run_command(command, data=LOOK)
        if code != 0:
            return here, dict(state="unreachable", error="ssh: %s" % err.strip())
        return here, json.loads(out.strip().splitlines()[-1])

    def refuse_running(self):
        """Fails while another vmferry migrates this guest."""
        for event in self.events(["status", "--qmp", self.qmp])[1]:
            if event.get("event") == "status":
                raise Failure(
                    "A migration of this guest is running (process %s, phase %s)" % (event["pid"], event["phase"]),
                    outcome="stuck", where="unknown",
                    next=["wait for it, or: %s cancel --qmp %s" % (self.program, self.qmp)])

    def recover(self):
        """
        Puts right what an interrupted migration has left, where that is safe.

        Returns the verdict, or None where nothing was left.
        """
        code, events = self.events(["recover", "--qmp", self.qmp])
        found = [event for event in events if event.get("event") == "recover" and event["verdict"] != "nothing"]
        if not found:
            return None
        for event in found:
            open_record = event["verdict"] == "gone" and event["next"]
            if event["verdict"] in SAFE_VERDICTS and not open_record:
                continue
            if open_record and has_guest(self.look()[1]):
                return None
            raise Failure(
                "An earlier migration of this guest ended in state %s, and only its operator can settle it (%s)" % (
                    event["state"], event["verdict"]),
                outcome="unknown", where="unknown", next=event["next"], result=event)
        if not self.module.check_mode:
            code, events = self.events(["recover", "--yes", "--qmp", self.qmp])
            if code != 0:
                raise Failure(
                    "vmferry recover has not undone an earlier migration of this guest",
                    outcome="stuck", where="unknown", next=[step for event in events for step in event.get("next", [])])
        return found[-1]["verdict"]

    def start_again(self, here, there):
        """How the operator starts a guest that runs nowhere."""
        steps = []
        if there.get("start"):
            steps.append("at the destination %s starts the guest again, from its disks there" % there["start"])
        if here.get("start"):
            steps.append("at the source %s starts the guest again, from its disks there" % here["start"])
        return steps or ["find out which host had the guest last, and start it there only"]

    def check(self, values):
        """What vmferry check says."""
        command = ["check", "--qmp", self.qmp] + self.destination()
        code, events = self.events(command)
        found = last(events, "check") or {}
        problems = ["%s: %s" % (one["side"], one["message"]) for one in found.get("problems", [])]
        if code == 0:
            return dict(values, changed=True, outcome="migrated", where="destination", result=found)
        error = (last(events, "result") or {}).get("error") or {}
        raise Failure(
            "; ".join(problems) or error.get("message") or self.said, outcome="refused", where="source", next=[],
            result=found or error)

    def migrate(self, values):
        """Runs vmferry migrate."""
        params = self.params
        command = ["migrate", "--quiet", "--qmp", self.qmp]
        for flag in ("bandwidth", "host_bandwidth", "max_parallel", "timeout"):
            if params[flag] is not None:
                command += ["--" + flag.replace("_", "-"), str(params[flag])]
        if params["quit_source"]:
            command.append("--quit-source")
        words = command + params["migrate_arguments"] + self.destination()
        code, events = self.events(words)
        if code == REFUSED:
            # Nothing was touched. Another launch to the same host may just have removed what a killed one had left there.
            time.sleep(AGAIN_S)
            code, events = self.events(words)
        result = last(events, "result") or {}
        warnings = [event["message"] for event in events if event.get("event") == "warning"]
        for warning in warnings:
            self.module.warn(warning)
        if code == 0:
            return dict(
                values, changed=True, outcome="migrated", where="destination", msg="The guest has moved",
                next=result.get("next", []), result=result)
        error = result.get("error") or {}
        outcome = OUTCOMES.get(code, "unknown")
        raise Failure(
            error.get("message") or self.said, outcome=outcome, code=error.get("code", ""),
            where="unknown" if outcome == "unknown" else "source", next=result.get("next", []), result=result,
            rc=code, stops=True)

    def destination(self):
        """The arguments that name the other end."""
        params = self.params
        words = list(params["arguments"])
        words += ["--launch"] if params["launch"] else ["--remote-qmp", self.remote_qmp]
        words += [word for option in params["ssh_options"] for word in ("--ssh-option", option)]
        return words + [params["destination"]]

    def events(self, words):
        """Runs vmferry; returns its exit code and its events."""
        code, out, err = self.module.run_command([self.program] + words[:1] + ["--json"] + words[1:])
        self.said = err.strip() or "vmferry %s ended with %d" % (words[0], code)
        events = []
        for line in out.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
        return code, events


def last(events, name):
    """The last event of a kind."""
    found = [event for event in events if event.get("event") == name]
    return found[-1] if found else None


class StopGroup(object):
    """A mark on this host that a migration of a group has failed."""

    def __init__(self, name):
        self.directory = os.path.join(os.path.expanduser("~"), ".cache", "vmferry-ansible")
        safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in name)
        self.path = os.path.join(self.directory, "stopped-" + safe)

    def reason(self):
        """Why the group has stopped; None if it has not."""
        try:
            with open(self.path) as mark:
                return mark.read()
        except (IOError, OSError):
            return None

    def stop(self, why):
        """Lets no other migration of the group begin."""
        if not os.path.isdir(self.directory):
            os.makedirs(self.directory, 0o700)
        for name in os.listdir(self.directory):
            path = os.path.join(self.directory, name)
            if time.time() - os.path.getmtime(path) > MARK_S:
                os.remove(path)
        with open(self.path, "w") as mark:
            mark.write(why)


def main():
    """Runs the module."""
    module = AnsibleModule(
        argument_spec=dict(
            qmp=dict(type="path", required=True),
            destination=dict(type="str", required=True),
            name=dict(type="str"),
            launch=dict(type="bool", default=True),
            remote_qmp=dict(type="path"),
            quit_source=dict(type="bool", default=True),
            arguments=dict(type="list", elements="str", default=[]),
            migrate_arguments=dict(type="list", elements="str", default=[]),
            bandwidth=dict(type="str"),
            host_bandwidth=dict(type="str"),
            max_parallel=dict(type="int"),
            timeout=dict(type="int"),
            ssh_options=dict(type="list", elements="str", default=[]),
            executable=dict(type="path"),
            stop_group=dict(type="str"),
        ),
        supports_check_mode=True,
    )
    group = StopGroup(module.params["stop_group"]) if module.params["stop_group"] else None
    stopped = group.reason() if group else None
    if stopped is not None:
        module.exit_json(
            skipped=True, changed=False, outcome="stopped", where="source", next=[],
            msg="Not begun, as another migration has failed: %s" % stopped)
    try:
        module.exit_json(**Migration(module).run())
    except Failure as failure:
        if failure.values.pop("stops", False) and group:
            group.stop(failure.values["msg"])
        module.fail_json(**failure.values)


if __name__ == "__main__":
    main()
