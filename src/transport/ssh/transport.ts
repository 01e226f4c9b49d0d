import { InputError } from "../errors.ts";
import { bracketed } from "../host.ts";
import type { AddressedTransport } from "../transport.ts";
import { carrySsh, connectSsh } from "./ssh.ts";

/** `ssh://[USER@]HOST[:PORT]`. */
export interface SshAddress {
  readonly transport: "ssh";
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
}

/** A vmferry on another host, which ssh starts. */
export const ssh: AddressedTransport<SshAddress> = {
  name: "ssh",
  scheme: "ssh",
  form: "ssh://[USER@]HOST[:PORT]",
  about: "ssh starts the destination's vmferry; as DESTINATION only",
  encryption: "outside",
  authenticates: true,
  hasSecret: false,
  mayReconnect: false,
  startsPeer: true,
  leastConnectMs: 60_000,
  flags: [
    {
      name: "remote-command",
      value: "COMMAND",
      end: "connecting",
      help: "With ssh://: vmferry on the other host, as its shell takes it: a path, " +
        "'sudo vmferry'. Default: vmferry of the same version, which is copied there if need be. " +
        "The arguments behind -- are given to it.",
    },
    {
      name: "ssh-option",
      value: "OPTION",
      many: true,
      end: "connecting",
      help: "With ssh://: as ssh's -o, such as IdentityFile=/root/key. Repeatable.",
    },
  ],
  parse(rest, end) {
    if (end === "listening") {
      throw new InputError(
        "ssh:// is for the source, which starts the other end by itself; " +
          "expected an address to listen on, such as vmferry://HOST:PORT",
      );
    }
    // A name that begins with a dash would be an option to ssh.
    const match =
      /^(?:([^@\s-][^@\s]*)@)?(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9_][A-Za-z0-9._-]*))(?::(\d+))?\/?$/
        .exec(rest);
    const port = match?.[4] === undefined ? undefined : Number(match[4]);
    if (!match || (port !== undefined && (port < 1 || port > 65535))) {
      throw new InputError(`got "ssh://${rest}", expected ssh://[USER@]HOST[:PORT]`);
    }
    return { transport: "ssh", user: match[1], host: match[2] ?? match[3]!, port };
  },
  format({ user, host, port }) {
    const who = user === undefined ? "" : `${user}@`;
    return `ssh://${who}${bracketed(host)}${port === undefined ? "" : `:${port}`}`;
  },
  isLocal: () => false,
  prepareDial({ host, user, port }, { flags, preface, peerArgs, onLine, program, onCarry }) {
    const command = flags["remote-command"]?.[0];
    const options = {
      ...{ host, user, port, preface, args: peerArgs },
      options: flags["ssh-option"] ?? [],
      command: command ?? "vmferry",
      onLine: (line: string) => onLine(`${host}: ${line.replace(/^vmferry: /, "")}`),
    };
    if (command !== undefined) return Promise.resolve(() => Promise.resolve(connectSsh(options)));
    return Promise.resolve((signal, onProgress) => {
      const carrying = {
        program,
        onProgress(sent: number, total: number) {
          onProgress?.();
          onCarry({ host, sent, total });
        },
      };
      return carrySsh(options, carrying, signal);
    });
  },
};
