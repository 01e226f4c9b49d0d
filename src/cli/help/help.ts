/**
 * The help texts, made from the table of flags.
 *
 * @module
 */
import { TRANSPORTS } from "../../transport/mod.ts";
import { ABOUT, EXIT_CODES, SUMMARY } from "./about.ts";
import type { CommandName } from "./flag.ts";
import { flagsOf } from "./flags.ts";
import { VERSION } from "../version.ts";

const WIDTH = 80;
const COLUMN = 28;

/** The help on one command, or on all of them. */
export function helpText(topic: CommandName | undefined): string {
  return topic === undefined ? overview() : helpOn(topic);
}

function overview(): string {
  return [
    `vmferry ${VERSION}: moves a running QEMU virtual machine, memory and local disks, to another`,
    "host through one connection.",
    "",
    "Usage:",
    ...SUMMARY.flatMap(([command]) => ABOUT[command].usage.map((u) => `  ${u}`)),
    "  vmferry --version | --help",
    "",
    "Commands:",
    ...SUMMARY.map(([command, what]) => entry(`  ${command}`, what)),
    "",
    "Addresses, as ADDRESS or DESTINATION; an IPv6 address stands in brackets:",
    ...TRANSPORTS.map(({ form, about }) => entry(`  ${form}`, about)),
    "",
    "Each command has its own --help.",
    "",
    ...exitCodes(),
  ].join("\n");
}

function helpOn(command: CommandName): string {
  const { usage, text, examples } = ABOUT[command];
  const flags = flagsOf(command).map(({ name, value, help }) =>
    entry(`  --${name}${value ? ` ${value}` : ""}`, help)
  );
  return [
    "Usage:",
    ...usage.map((line) => `  ${line}`),
    "",
    wrap(text, WIDTH).join("\n"),
    "",
    "Options:",
    ...flags,
    entry("  --help", "This text."),
    "",
    examples.length > 1 ? "Examples:" : "Example:",
    ...examples.map((line) => `  ${line}`),
    "",
    ...exitCodes(),
  ].join("\n");
}

function exitCodes(): string[] {
  return ["Exit codes:", ...EXIT_CODES.map(([code, meaning]) => `  ${code}  ${meaning}`)];
}

function entry(left: string, right: string): string {
  const [first = "", ...rest] = wrap(right, WIDTH - COLUMN);
  const lines = rest.map((line) => " ".repeat(COLUMN) + line);
  if (left.length < COLUMN) return [left.padEnd(COLUMN) + first, ...lines].join("\n");
  return [left, " ".repeat(COLUMN) + first, ...lines].join("\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
