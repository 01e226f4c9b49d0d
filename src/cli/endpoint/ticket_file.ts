/**
 * Tickets that are handed over in a file or on standard input, where no list of processes shows
 * them.
 *
 * @module
 */
import { type Address, formatAddress, parseDestination } from "./address.ts";
import { readPrivate, readUpTo } from "./private_file.ts";
import { UsageError } from "../args/usage_error.ts";

/** Where a source's destination is to be read from. */
export interface TicketSource {
  readonly transport: "ticket-file";
  /** `-` for standard input. */
  readonly file: string;
  /** Where the receive is, when it is not where the ticket says. */
  readonly at: { readonly host: string; readonly port: number } | undefined;
}

/** A destination as text, without any ticket. */
export function formatDestination(destination: Address | TicketSource): string {
  if (destination.transport !== "ticket-file") return formatAddress(destination);
  const { at, file } = destination;
  if (at) return formatAddress({ ...at, transport: "ticket", ticket: undefined });
  return file === "-" ? "the ticket on standard input" : `the ticket in ${file}`;
}

/** Longest line with a ticket, bytes. */
const LONGEST = 512;

/** Pasted with the command that it came in, the ticket is its last word. */
function lastWord(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trim().split(/\s+/).at(-1) ?? "";
}

/** Reads to the end of the line that ends with a ticket: who pastes it types nothing behind it. */
async function readPasted(): Promise<Uint8Array> {
  if (Deno.stdin.isTerminal()) {
    await Deno.stderr.write(new TextEncoder().encode("vmferry: paste the line with the ticket: "));
  }
  const isWhole = (bytes: Uint8Array) =>
    bytes.at(-1) === 0x0a && lastWord(bytes).startsWith("vmferry://");
  return await readUpTo(Deno.stdin, LONGEST, isWhole);
}

/**
 * Reads the line that `receive` wrote or printed: `vmferry://HOST:PORT/TICKET`.
 *
 * @throws {UsageError} when there is none; nothing of what was read is repeated.
 */
export async function readTicket({ file, at }: TicketSource): Promise<Address> {
  const what = file === "-" ? "standard input" : `--ticket-file: ${file}`;
  const bytes = file === "-"
    ? await readPasted()
    : await readPrivate(file, "--ticket-file", LONGEST);
  const line = lastWord(bytes);
  if (!line.startsWith("vmferry://")) {
    throw new UsageError(`${what} holds no vmferry://HOST:PORT/TICKET`);
  }
  const address = parseDestination(line, what);
  if (address.transport !== "ticket" || !address.ticket) {
    throw new UsageError(`${what} holds an address without a ticket`);
  }
  return { ...address, ...at };
}
