import { systemClock, withDeadline } from "../../../src/io/mod.ts";
import { endChild, Output } from "./output.ts";
import { EventRecord, PATIENCE_MS } from "./waiting.ts";

/** A line that `--json` prints: `event`, `time` and what belongs to that event. */
export type JsonEvent = { readonly event: string; readonly time: string } & {
  readonly [member: string]: unknown;
};

/** Of a `progress`: something of each disk has been copied. */
export function allMove(event: JsonEvent): boolean {
  return (event.disks as { transferred: number }[]).every((d) => d.transferred > 0);
}

/** In the environment of vmferry and of whatever it starts, so that what it leaves is found. */
export const MARK = "VMFERRY_SCENARIO";

/**
 * The program under test: `VMFERRY` from the environment, else what `make build` made. A `receive` may
 * be of another version: `VMFERRY_RECEIVE`.
 */
export function vmferryPath(command?: string): string {
  return (command === "receive" ? Deno.env.get("VMFERRY_RECEIVE") : undefined) ??
    Deno.env.get("VMFERRY") ??
    new URL("../../../dist/vmferry", import.meta.url).pathname;
}

/** What a run of vmferry is given beside its arguments. */
export interface VmferryOptions {
  /** Names its part of the logs: `migrate`, `receive`. */
  readonly name: string;
  readonly args: readonly string[];
  /** In front of the command, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Added to the environment. */
  readonly env?: { readonly [name: string]: string };
  /** Its connection may be slow on purpose. Default: where the arguments have `--bandwidth`. */
  readonly isHeldBack?: boolean;
}

/**
 * A slow connection holds a migration where a scenario wants it, but the test data shrinks: without compression,
 * unless the scenario asks for it. An older vmferry (`VMFERRY`) does not know the option.
 */
function argumentsOf({ args, isHeldBack }: VmferryOptions): readonly string[] {
  const [command = "", ...rest] = args;
  const isSource = command === "migrate" || command === "domain";
  if (!isSource || args.includes("--compress") || Deno.env.has("VMFERRY")) return args;
  if (!(isHeldBack ?? args.includes("--bandwidth"))) return args;
  return [command, "--compress", "off", ...rest];
}

/** What a command that ends by itself said. */
export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a vmferry command to its end: `status`, `set`, `cancel`. */
export async function runVmferry(args: readonly string[], timeoutMs = PATIENCE_MS): Promise<Said> {
  const child = new Deno.Command(vmferryPath(), {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  try {
    const what = `vmferry ${args.join(" ")} to end`;
    const output = await withDeadline(systemClock, timeoutMs, what, child.output());
    const [stdout, stderr] = [output.stdout, output.stderr].map((b) => new TextDecoder().decode(b));
    return { code: output.code, stdout: stdout!, stderr: stderr! };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** A vmferry process whose JSON events are recorded. Give it `--json`. */
export class Vmferry implements AsyncDisposable {
  readonly name: string;
  /** What it printed on stdout, parsed. */
  readonly events = new EventRecord<JsonEvent>();
  /** Lines on stdout that are no JSON events. There should be none. */
  readonly strayLines: string[] = [];
  /** What is in the environment of its children under {@link MARK}. */
  readonly mark = crypto.randomUUID();
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Output;
  readonly #stderr: Output;

  constructor(options: VmferryOptions) {
    this.name = options.name;
    const [program, ...args] = [
      ...options.prefix ?? [],
      vmferryPath(options.args[0]),
      ...argumentsOf(options),
    ];
    this.#child = new Deno.Command(program!, {
      args,
      env: { ...options.env, [MARK]: this.mark },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stderr = new Output(this.#child.stderr);
    this.#stdout = new Output(this.#child.stdout, (line) => this.#onLine(line));
    this.#stdout.ended.then(() => this.events.end(new Error(`${this.name}: vmferry ended`)));
  }

  get pid(): number {
    return this.#child.pid;
  }

  get stderr(): string {
    return this.#stderr.text;
  }

  /** For a failure's report. */
  get logs(): { title: string; text: string }[] {
    return [
      { title: `${this.name}: vmferry's stderr`, text: this.#stderr.text },
      { title: `${this.name}: vmferry's events`, text: lastLines(this.#stdout.text, 60) },
    ];
  }

  /** The first event of a kind, past or to come. */
  async waitEvent(
    event: string,
    matches: (event: JsonEvent) => boolean = () => true,
    timeoutMs = PATIENCE_MS,
  ): Promise<JsonEvent> {
    return await this.events.waitFor(
      `${this.name}: the event "${event}"`,
      (e) => e.event === event && matches(e),
      timeoutMs,
    );
  }

  /** Where a listening end can be reached, from its event `listening`. */
  async address(): Promise<string> {
    const { address } = await this.waitEvent("listening");
    if (typeof address !== "string") throw new Error(`Got ${address}, expected an address`);
    return address;
  }

  /** Its exit code, whenever it ends. */
  get ended(): Promise<number> {
    return this.#child.status.then(({ code }) => code);
  }

  /** Waits for the end; returns the exit code (128 + n after signal n). */
  async exit(timeoutMs = PATIENCE_MS): Promise<number> {
    const status = await withDeadline(
      systemClock,
      timeoutMs,
      `${this.name}: vmferry to end`,
      this.#child.status,
    );
    await Promise.all([this.#stdout.ended, this.#stderr.ended]);
    if (/this should not happen/.test(this.stderr)) {
      throw new Error(`${this.name} met an error that nobody has thought of: ${this.stderr}`);
    }
    return status.code;
  }

  signal(name: Deno.Signal): void {
    this.#child.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endChild(this.#child, 5000);
    await Promise.all([this.#stdout.ended, this.#stderr.ended]);
  }

  #onLine(line: string): void {
    let event: unknown;
    try {
      event = JSON.parse(line);
    } catch { /* told below */ }
    if (isEvent(event)) this.events.add(event);
    else this.strayLines.push(line);
  }
}

function isEvent(value: unknown): value is JsonEvent {
  return typeof value === "object" && value !== null && "event" in value && "time" in value &&
    typeof value.event === "string" && typeof value.time === "string";
}

function lastLines(text: string, lines: number): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
