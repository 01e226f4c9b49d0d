# Copyright (c) 2026 the vmferry authors
# MIT License (see LICENSE or https://opensource.org/license/mit)
"""What follows from where a guest is."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import unittest

from ansible_collections.vmferry.vmferry.plugins.module_utils.places import decide, ssh_parts

U1 = "11111111-1111-1111-1111-111111111111"
U2 = "22222222-2222-2222-2222-222222222222"


def at(state, name="vm1", uuid=None):
    """A QEMU as LOOK describes it."""
    return dict(state=state, name=name, uuid=uuid)


class Decide(unittest.TestCase):
    """decide() never has a guest migrated that may run elsewhere."""

    def test_only_a_guest_that_is_here_and_nowhere_else_migrates(self):
        """The destination's QEMU is absent, waits, or is the one that the guest has left earlier."""
        states = ["running", "paused", "absent", "inmigrate", "postmigrate", "busy", "unknown", "unreachable"]
        found = [(here, there) for here in states for there in states
                 if decide(at(here), at(there))[0] == "migrate"]
        self.assertEqual(found, [
            ("running", "absent"), ("running", "inmigrate"), ("running", "postmigrate"),
            ("paused", "absent"), ("paused", "inmigrate"), ("paused", "postmigrate")])

    def test_a_guest_has_arrived_only_if_the_source_has_it_no_more(self):
        """Two that have it are never taken for one that has arrived."""
        states = ["running", "paused", "absent", "inmigrate", "postmigrate", "busy", "unknown"]
        found = [(here, there) for here in states for there in states
                 if decide(at(here), at(there))[0] == "arrived"]
        self.assertEqual(found, [
            ("absent", "running"), ("absent", "paused"), ("inmigrate", "running"), ("inmigrate", "paused"),
            ("postmigrate", "running"), ("postmigrate", "paused")])

    def test_a_guest_without_any_qemu_is_lost(self):
        """No QEMU has it."""
        self.assertEqual(decide(at("absent"), at("absent"))[0], "lost")
        self.assertEqual(decide(at("absent"), at("inmigrate"))[0], "lost")

    def test_another_guest_behind_the_same_socket_is_no_arrival(self):
        """By name, and by UUID where both have one."""
        self.assertEqual(decide(at("absent"), at("running", "vm2"), "vm1")[0], "stuck")
        self.assertEqual(decide(at("running", "vm2"), at("absent"), "vm1")[0], "stuck")
        self.assertEqual(decide(at("postmigrate", uuid=U1), at("running", uuid=U2))[0], "stuck")
        self.assertEqual(decide(at("postmigrate", "a", uuid=U1), at("running", "b", uuid=U1))[0], "arrived")


class Ssh(unittest.TestCase):
    """ssh_parts() reads the addresses that vmferry takes."""

    def test_user_host_and_port_are_read(self):
        """As vmferry reads them."""
        self.assertEqual(ssh_parts("ssh://host2"), ["--", "host2"])
        self.assertEqual(ssh_parts("ssh://root@host2:2222"), ["-p", "2222", "--", "root@host2"])
        self.assertEqual(ssh_parts("ssh://root@[::1]:22"), ["-p", "22", "--", "root@::1"])
        self.assertEqual(ssh_parts("ssh://[fe80::2]"), ["--", "fe80::2"])

    def test_other_addresses_are_none(self):
        """They need a ticket, which is single-use."""
        for address in ("host2", "tcp://host2:7450", "ssh://", "ssh://root@"):
            self.assertIsNone(ssh_parts(address))


if __name__ == "__main__":
    unittest.main()
