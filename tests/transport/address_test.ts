import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  formatAddress,
  InputError,
  parseAddress,
  splitAddress,
  transportOf,
  TRANSPORTS,
  withoutSecret,
} from "../../src/transport/mod.ts";

const TICKET = "A".repeat(64);

/** Addresses to connect to, by their transport, and each as text without its secret. */
const ADDRESSES: Readonly<Record<string, readonly (readonly [string, string?])[]>> = {
  tcp: [["tcp://host:1"], ["tcp://[::1]:65535"], ["tcp://[fe80::1%25eth0]:7450"]],
  tls: [["tls://host.example:7450"], ["tls://[::1]:7450"]],
  ticket: [
    ["vmferry://host:7450"],
    [`vmferry://host:7450/${TICKET}`, "vmferry://host:7450"],
    [`vmferry://[::1]:7450/${TICKET}`, "vmferry://[::1]:7450"],
  ],
  ssh: [["ssh://host"], ["ssh://root@host:22"], ["ssh://root@[fe80::1]:22"], [
    "ssh://host/",
    "ssh://host",
  ]],
  unix: [["unix:///run/x.sock"], [`unix:///${"x".repeat(106)}`]],
};

for (const { name } of TRANSPORTS) {
  Deno.test(`${name}: an address that is read and written again is the same`, () => {
    for (const [text, shown = text] of ADDRESSES[name]!) {
      const address = parseAddress(text, "connecting");
      assertEquals(address.transport, name);
      assertEquals(formatAddress(address), shown);
      assertEquals(withoutSecret(text).replace(/\/$/, ""), shown);
      assertEquals(parseAddress(shown, "connecting").transport, name);
    }
  });
}

Deno.test("port 0 is an address to listen on and none to connect to", () => {
  for (const scheme of ["tcp", "tls", "vmferry"]) {
    assertEquals(formatAddress(parseAddress(`${scheme}://h:0`, "listening")), `${scheme}://h:0`);
    const error = refused(`${scheme}://h:0`);
    assertEquals(error, 'got port "0", expected 1 to 65535');
  }
});

/** What is said of an address that is wrong. */
function refused(text: string, end: "connecting" | "listening" = "connecting"): string {
  return assertThrows(() => parseAddress(text, end), InputError).message;
}

const PORT = "65535";
const WRONG: readonly [text: string, given: string, expected: string][] = [
  ["host:1", '"host:1"', "vmferry://, ssh://, tls://, tcp:// or unix://"],
  ["http://h:1", '"http://"', "vmferry://, ssh://, tls://, tcp:// or unix://"],
  ["tcp://h", '"tcp://h"', "tcp://h:7450"],
  ["tcp://h:", '"tcp://h:"', "tcp://h:7450"],
  ["tcp://[::1]", '"tcp://[::1]"', "tcp://[::1]:7450"],
  ["tcp://:1", '"tcp://:1"', "tcp://HOST:PORT"],
  ["tcp://::1:5", '"tcp://::1:5"', "tcp://[::1]:7450"],
  ["tls://h:65536", '"65536"', PORT],
  ["tls://h:1e3", '"1e3"', PORT],
  ["tls://h:-1", '"-1"', PORT],
  ["vmferry://h/x", '"vmferry://h"', "vmferry://h:7450"],
  [`vmferry://h:1/${TICKET}A`, "65 characters", "64 letters"],
  ["unix://relative", '"relative"', "an absolute one"],
  ["unix:///", '"/"', "an absolute one"],
  [`unix:///${"é".repeat(54)}`, "109 bytes", "107 at most"],
  ["ssh://-oProxyCommand=x", '"ssh://-oProxyCommand=x"', "ssh://[USER@]HOST[:PORT]"],
  ["ssh://-u@h", '"ssh://-u@h"', "ssh://[USER@]HOST[:PORT]"],
  ["ssh://h:0", '"ssh://h:0"', "ssh://[USER@]HOST[:PORT]"],
  ["ssh://h/x", '"ssh://h/x"', "ssh://[USER@]HOST[:PORT]"],
];

Deno.test("a wrong address is refused with what was given and what was expected", () => {
  for (const [text, given, expected] of WRONG) {
    const message = refused(text);
    assert(message.includes(given) && message.includes(expected), `${text}: ${message}`);
  }
});

Deno.test("a wrong address is refused without its ticket", () => {
  for (const text of [`vmferry://h:0/${TICKET}`, `vmferry://h:1/${TICKET}A`]) {
    assert(!refused(text).includes("AAAA"), refused(text));
  }
  const message = refused(`vmferry://h:1/${TICKET}`, "listening");
  assert(!message.includes("AAAA") && message.includes("expected vmferry://HOST:PORT"), message);
});

Deno.test("an address on which nothing can listen is refused with one on which something can", () => {
  const message = refused("ssh://host", "listening");
  assert(message.includes("expected an address to listen on, such as vmferry://"), message);
});

Deno.test("each scheme and each name stands for one transport", () => {
  for (const transport of TRANSPORTS) {
    const [[text] = [""]] = ADDRESSES[transport.name]!;
    assertEquals(splitAddress(text)!.transport.name, transport.name);
    assertEquals(transportOf(parseAddress(text, "connecting")).name, transport.name);
    assert(transport.form.startsWith(`${transport.scheme}://`), transport.form);
  }
  for (const member of ["name", "scheme"] as const) {
    assertEquals(new Set(TRANSPORTS.map((t) => t[member])).size, TRANSPORTS.length);
  }
  const flags = TRANSPORTS.flatMap((t) => t.flags.map(({ name }) => name));
  assertEquals(new Set(flags).size, flags.length);
});

Deno.test("loopback and UNIX sockets stay on this host, other addresses leave it", () => {
  const isLocal = (text: string) => {
    const address = parseAddress(text, "connecting");
    return transportOf(address).isLocal(address);
  };
  for (
    const text of ["tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://LocalHost:1", "unix:///s"].concat(
      "tcp://[::ffff:127.0.0.1]:1",
    )
  ) assert(isLocal(text), text);
  for (
    const text of ["tcp://10.0.0.1:1", "tcp://127.example:1", "tcp://[::]:1", "ssh://localhost"]
  ) {
    assert(!isLocal(text), text);
  }
});
