/**
 * The manual pages, one a command and one over all of them, from the tables of commands and flags. Pure.
 *
 * @module
 */
import { ABOUT, EXIT_CODES, SUMMARY } from "../../src/cli/help/about.ts";
import { type CommandName, COMMANDS } from "../../src/cli/help/flag.ts";
import { flagsOf } from "../../src/cli/help/flags.ts";
import { VERSION } from "../../src/cli/version.ts";
import { TRANSPORTS } from "../../src/transport/mod.ts";
import { FILES, TEXTS } from "./man_texts.ts";
import { argument, display, literal, prose } from "./mdoc.ts";

/** A page and the name of its file. */
export interface ManPage {
  readonly file: string;
  readonly text: string;
}

/**
 * Every page.
 *
 * @param date of this version, as `2026-11-28`.
 */
export function manPages(date: string): ManPage[] {
  return [
    { file: "vmferry.1", text: overview(date) },
    ...COMMANDS.map((command) => ({
      file: `vmferry-${command}.1`,
      text: pageOf(command, date),
    })),
  ];
}

function pageOf(command: CommandName, date: string): string {
  const { usage, text, examples } = ABOUT[command];
  const { details, examples: captions, files, also } = TEXTS[command];
  const summary = SUMMARY.find(([name]) => name === command)![1];
  const tunnel = flagsOf(command).some(({ name }) =>
    name === "connect-timeout" || name === "listen"
  );
  return lines([
    ...head(`vmferry-${command}`, date),
    ...[".Sh NAME", `.Nm vmferry-${command}`, `.Nd ${literal(summary)}`],
    ...[".Sh SYNOPSIS", ...synopsis(usage)],
    ...[".Sh DESCRIPTION", ...paragraphs([text, ...details])],
    ...(tunnel ? addresses() : []),
    ...[".Sh OPTIONS", ...options(command)],
    ...(tunnel ? environment() : []),
    ...[".Sh FILES", ".Bl -tag -width Ds"],
    ...files.flatMap((name) => [`.It Pa ${argument(FILES[name][0])}`, ...prose(FILES[name][1])]),
    ".El",
    ...exitStatus(command),
    ...[".Sh EXAMPLES", ...examples.flatMap((line, i) => shown(captions[i]!, line, i > 0))],
    ...seeAlso(also),
  ]);
}

function overview(date: string): string {
  return lines([
    ...head("vmferry", date),
    ...[".Sh NAME", ".Nm vmferry"],
    ".Nd move a running QEMU virtual machine, RAM and local disks, to another host",
    ...[".Sh SYNOPSIS", ...synopsis(["vmferry COMMAND [options]", "vmferry --version | --help"])],
    ...[".Sh DESCRIPTION", ...paragraphs(OVERVIEW)],
    ...[".Ss Commands", "Each has a page of its own and", ".Fl -help .", ".Bl -tag -width Ds"],
    ...SUMMARY.flatMap(([command, what]) => [`.It Xr vmferry-${command} 1`, ...prose(what)]),
    ".El",
    ...addresses(),
    ...environment(),
    ...[".Sh FILES", ".Bl -tag -width Ds"],
    ...[FILES.run, FILES.cache, FILES.state].flatMap(([path, what]) => [
      `.It Pa ${argument(path)}`,
      ...prose(what),
    ]),
    ".El",
    ...exitStatus(undefined),
    ".Sh EXAMPLES",
    ...shown(
      "Build the destination on host2 by ssh, and move the guest there:",
      "vmferry migrate --qmp /run/vm1.qmp --launch ssh://root@host2",
    ),
    ...shown("Move a running domain of libvirt:", "vmferry domain vm1 ssh://root@host2", true),
    ...shown(
      "Without ssh, where QEMU waits at the destination. There:",
      "vmferry receive --qmp /run/vm1.qmp --listen tcp://0.0.0.0:7450",
      true,
    ),
    ...shown(
      "At the source, which reads the printed ticket:",
      "vmferry migrate --qmp /run/vm1.qmp -",
      true,
    ),
    ...seeAlso(COMMANDS, []),
  ]);
}

const OVERVIEW = [
  "vmferry moves a running virtual machine of QEMU from one host to another through one connection. It " +
  "needs no shared storage, no range of open ports, and by ssh nothing on the other host. It works with " +
  "QEMU alone, and with running domains of libvirt.",
  "Until the guest runs at the destination it keeps running at the source. If the connection is lost, " +
  "vmferry reconnects and continues. If the migration fails, vmferry undoes its changes on both hosts, " +
  "names the reason, and says what to do next.",
];

function head(name: string, date: string): string[] {
  const [year, month, day] = date.split("-").map(Number);
  const months = [
    ...["January", "February", "March", "April", "May", "June", "July", "August", "September"],
    ...["October", "November", "December"],
  ];
  return [
    `.Dd ${months[month! - 1]} ${day}, ${year}`,
    `.Dt ${name.toUpperCase()} 1`,
    `.Os vmferry ${VERSION}`,
  ];
}

/** A line that begins with spaces continues the one before it. */
function synopsis(usage: readonly string[]): string[] {
  const whole = usage.join("\n").replace(/\n\s+/g, " ").split("\n");
  return whole.flatMap((line) => [
    ".Nm vmferry",
    line.replace(/^vmferry /, "").replace(/[^\s[\]()|]+/g, styled),
  ]);
}

/** A word of a synopsis: what is typed as it is in bold, what stands for something else in italics. */
function styled(word: string): string {
  const [, name, value] = /^([a-z-]+)=(.+)$/.exec(word) ?? [];
  if (name && value) return `\\fB${literal(name)}\\fR=${styled(value)}`;
  if (word === "options") return `\\fI${word}\\fR`;
  if (/^(?:--?)?[a-z][\w-]*$/.test(word) || word === "--") return `\\fB${literal(word)}\\fR`;
  return literal(word).replace(/[A-Z]{2,}/g, (stands) => `\\fI${stands}\\fR`);
}

function options(command: CommandName): string[] {
  return [
    ".Bl -tag -width Ds",
    ...flagsOf(command).flatMap(({ name, value, values, help }) => [
      `.It Fl -${literal(name)}${value ? ` Ar ${argument(value)}` : ""}`,
      ...prose(help),
      ...(values && !value?.includes("|") && !values.every((v) => help.includes(v))
        ? prose(`One of ${values.join(", ")}.`)
        : []),
    ]),
    ".It Fl -help",
    "Print a text like this page.",
    ".El",
  ];
}

function addresses(): string[] {
  return [
    ".Ss Addresses",
    "An ADDRESS to listen on, or a DESTINATION to connect to, is one of these.",
    "An IPv6 address stands in brackets.",
    ".Bl -tag -width Ds",
    ...TRANSPORTS.flatMap(({ form, about }) => [`.It ${argument(form)}`, ...prose(about)]),
    ".El",
  ];
}

function environment(): string[] {
  return [
    ...[".Sh ENVIRONMENT", ".Bl -tag -width Ds"],
    ".It Ev XDG_RUNTIME_DIR",
    "Where the runs of users other than root have their directories.",
    ".It Ev XDG_CACHE_HOME",
    ...prose("Where the program unpacks itself, in place of ~/.cache."),
    ".El",
  ];
}

function exitStatus(command: CommandName | undefined): string[] {
  const { exits = {}, never = [] } = command ? TEXTS[command] : {};
  return [
    ...[".Sh EXIT STATUS", ".Bl -tag -width Ds"],
    ...EXIT_CODES.filter(([code]) => !never.includes(code)).flatMap(([code, meaning]) => [
      `.It ${code}`,
      ...prose(exits[code] ?? meaning),
    ]),
    ".El",
  ];
}

function shown(caption: string, command: string, follows = false): string[] {
  return [...(follows ? [".Pp"] : []), ...prose(caption), ...display([command])];
}

function seeAlso(commands: readonly CommandName[], others = ["vmferry"]): string[] {
  const pages = [...others, ...commands.map((name) => `vmferry-${name}`)].toSorted();
  return [
    ".Sh SEE ALSO",
    ...pages.map((page, i) => `.Xr ${page} 1${i + 1 < pages.length ? " ," : ""}`),
    ".Pp",
    "The pages that a text names as docs/NAME.md are installed in",
    ".Pa share/doc/vmferry .",
  ];
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((text, i) => [...(i > 0 ? [".Pp"] : []), ...prose(text)]);
}

function lines(all: readonly string[]): string {
  return all.join("\n") + "\n";
}
