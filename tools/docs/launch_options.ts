/**
 * Writes docs/reference/launch-options.md from the table of QEMU's options (`make docs`).
 *
 * @module
 */
import { type Effect, type OptionRule, OPTIONS } from "../../src/launch/command/option_table.ts";

/** Where the text goes. */
export const DOC = new URL("../../docs/reference/launch-options.md", import.meta.url);

const HEAD = `# QEMU's options at the destination

This page is generated (\`make docs\`) from src/launch/command/option_table.ts.

With \`--launch\`, vmferry starts the destination's QEMU with the source's command
line. This page says what happens to each option of QEMU 7.2 to 11.1. vmferry
refuses an option that is not here by its name: whether it takes a value cannot be
guessed. \`--dry-run\` prints the translated command line. \`--qemu-command FILE\`
gives vmferry another one to start from.

## Rules for every option

- **Paths** change as \`--map\` and \`--disk\` say. Names of images with a protocol,
  such as \`nbd:\`, \`https:\` or \`rbd:\`, stay.
- **Inherited file descriptors** are refused: \`fd=\`, \`fds=\`, \`vhostfd=\`, \`-add-fd\`,
  and paths in \`/dev/fdset/\`, \`/dev/fd/\` and \`/proc/self/fd/\`.
- **Terminals**: the destination's QEMU runs in the background. \`stdio\` becomes
  \`pty\`, so that the console stays usable: QEMU's log names the pseudo-terminal, and
  \`screen /dev/pts/N\` attaches to it. The guest's output is dropped while nobody is
  attached. \`-nographic\` stays, because firmware sees it.
- **Pipes** are refused: a process of the source host is behind them.
- **Servers** that wait for their first client (\`server=on\` without \`wait=off\`) do
  not wait at the destination, otherwise QEMU would not start.
- **Processes beside QEMU**, such as swtpm, virtiofsd or a vhost-user switch, are not
  started by vmferry. A warning names each socket at which one must listen.
- **Devices of the host** (\`vfio-pci\`, \`usb-host\`, \`scsi-generic\`, \`nvme:\`, vDPA, a
  TPM of the host) are refused. Remove such a device from the guest first.
- **Windows** become a VNC server on localhost, as QEMU itself does without a window
  system. \`-vnc\` and \`-spice\` stay. Sound of a user's session becomes \`none\`; the
  guest keeps its sound device.
- **\`-set\`** and **\`-readconfig\`** are resolved into the options that they change or add.
- **Relative paths** are refused together with \`-daemonize\`, which changes QEMU's
  working directory.
- **Guests of libvirt** are refused: \`vmferry domain\` moves them
  ([libvirt.md](../libvirt.md)).

## Options that run programs

A destination that does not trust the source's user refuses these, unless
\`--launch-any\` is given ([security.md](../security.md)):

- scripts and helpers of \`tap\` and \`bridge\`, the default \`/etc/qemu-ifup\` and
  \`/etc/qemu-ifdown\` included; \`smb=\` and \`guestfwd=\` to a command
  or a socket of \`user\`; \`passt\`;
- \`-plugin\`, \`-semihosting\`, \`-object authz-pam\`, \`-display spice-app\`, a JACK
  server, ALSA devices that are plugins, settings of Ceph;
- devices of the host (\`usb-host\`, vfio, NVMe, card readers, \`af-xdp\`);
- \`-set\`, and sockets of the host to which QEMU would connect;
- monitors that a network, a SPICE client or the guest's screen reaches, or a file with commands (\`-monitor\`,
  \`-qmp\`, \`-mon\`), and \`-gdb\`: a monitor can run programs by \`migrate exec:\`;
- network backends, keys of them, objects and displays that vmferry does not know,
  and paths in keys that it does not know.
`;

const SECTIONS: readonly [effect: Effect, title: string, text: string][] = [
  ["depends", "Depends on the value", "These stay with the exceptions that are named."],
  ["replace", "Replaced", ""],
  ["drop", "Left out", ""],
  ["refuse", "Refused", ""],
  ["keep", "Kept", ""],
];

/** The page, before the formatter wraps it. */
export function launchOptionsPage(): string {
  return [HEAD, ...SECTIONS.map((section) => sectionOf(...section))].join("\n");
}

function sectionOf(effect: Effect, title: string, text: string): string {
  const rows = Object.entries(OPTIONS).filter(([, rule]) => rule.effect === effect);
  const plain = rows.filter(([, { note }]) => note === undefined).map(named);
  return [
    `## ${title}\n`,
    ...(text === "" ? [] : [`${text}\n`]),
    ...Map.groupBy(rows, ([, { note }]) => note).entries()
      .filter(([note]) => note !== undefined)
      .map(([note, group]) => `- ${group.map(named).join(", ")}: ${note}.`),
    ...(plain.length === 0 ? [] : [`- Unchanged: ${plain.join(", ")}.`]),
    "",
  ].join("\n");
}

function named([name, rule]: readonly [string, OptionRule]): string {
  return `\`${name === "drive-file" ? "disk_image" : `-${name}`}\`${versions(rule)}`;
}

function versions({ majors, alias }: OptionRule): string {
  if (alias !== undefined) return ` (as \`-${alias}\`)`;
  if (majors === undefined || majors[1] < 0) return "";
  return majors[0] === 0 ? ` (up to QEMU ${majors[1]})` : ` (from QEMU ${majors[0]})`;
}

if (import.meta.main) await Deno.writeTextFile(DOC, launchOptionsPage());
