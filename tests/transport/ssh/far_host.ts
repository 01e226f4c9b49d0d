import { carry, type CarryOptions, type Origin } from "../../../src/transport/ssh/carry.ts";
import { START_COMMAND } from "../../../src/transport/ssh/start_script.ts";
import type { OwnProgram } from "../../../src/transport/mod.ts";

/** The processor of this machine, as `uname -m` names it. */
export const MACHINE = Deno.build.arch;

/** A program that answers `--version`, and otherwise prints its arguments and its standard input. */
export function fakeVmferry(version: string, comment = ""): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`#!/bin/sh
# ${comment}
[ "$1" = --version ] && { echo "vmferry ${version} (test)"; exit; }
for word; do printf "[%s]" "$word"; done
cat
`);
}

/** A program with this file. */
export function programOf(bytes: Uint8Array<ArrayBuffer>, version = "1.0.0"): OwnProgram {
  return {
    version,
    machines: [MACHINE],
    read: () => Promise.resolve({ bytes, roomBytes: bytes.length }),
  };
}

/** What a real vmferry begins with. */
export const PREFACE = { bytes: new TextEncoder().encode("\0preface\n"), maxBanner: 1024 };

/** What a run of the start script came to. */
export interface Carried {
  readonly origin: Origin;
  /** What the program printed that was started in the end. */
  readonly said: string;
}

/** Another host: a home directory, and the shells in it. */
export class FarHost {
  readonly home: string;
  /** The login shell. */
  shell = "/bin/sh";
  /** Set in its environment. */
  env: Record<string, string> = {};
  /** What a login prints before it runs its command. */
  motd = "";

  constructor(home: string) {
    this.home = home;
  }

  /** Makes `name` in its PATH this script. */
  async install(name: string, text: Uint8Array | string): Promise<void> {
    await Deno.mkdir(`${this.home}/bin`, { recursive: true });
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    await Deno.writeFile(`${this.home}/bin/${name}`, bytes, { mode: 0o755 });
  }

  /** Makes `sh` there another program. */
  async useSh(path: string, ...args: string[]): Promise<void> {
    await this.install("sh", `#!/bin/bash\nexec ${[path, ...args].join(" ")} "$@"\n`);
  }

  /** Starts what a login runs. */
  login(): Deno.ChildProcess {
    const shell = `printf %s "$MOTD"; exec "$LOGIN_SHELL" -c "$0"`;
    return new Deno.Command("/bin/sh", {
      args: ["-c", shell, START_COMMAND],
      clearEnv: true,
      env: {
        PATH: `${this.home}/bin:/usr/bin:/bin`,
        HOME: this.home,
        MOTD: this.motd,
        LOGIN_SHELL: this.shell,
        ...this.env,
      },
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
  }

  /** Has the start script bring about a vmferry, and gives it some input. */
  async carry(
    program: OwnProgram,
    args: readonly string[] = [],
    options: Partial<CarryOptions> = {},
  ): Promise<Carried> {
    const child = this.login();
    const writer = child.stdin.getWriter();
    writer.closed.catch(() => {});
    const reader = child.stdout.getReader();
    const errors = new Response(child.stderr).text();
    let rest: Uint8Array<ArrayBuffer> = new Uint8Array();
    const pipe = {
      async read(into: Uint8Array) {
        if (rest.length === 0) {
          const { done, value } = await reader.read();
          if (done) return null;
          rest = value;
        }
        const n = Math.min(into.length, rest.length);
        into.set(rest.subarray(0, n));
        rest = rest.slice(n);
        return n;
      },
      async write(from: Uint8Array) {
        await writer.write(from).catch(() => {});
        return from.length;
      },
    };
    try {
      const carried = await carry(pipe, {
        ...{ program, args, preface: PREFACE, onProgress: () => {}, ...options },
      });
      // The program may end without reading it.
      await writer.write(new TextEncoder().encode("input")).catch(() => {});
      await writer.close().catch(() => {});
      let said = new TextDecoder().decode(carried.rest);
      const into = new Uint8Array(4096);
      for (let n; (n = await pipe.read(into)) !== null;) {
        said += new TextDecoder().decode(into.subarray(0, n));
      }
      return { origin: carried.origin, said };
    } finally {
      await writer.close().catch(() => {});
      await reader.cancel().catch(() => {});
      await child.status;
      const text = await errors;
      if (text !== "") console.error(text);
    }
  }

  /** The directory of its copies. */
  get cache(): string {
    const base = `${this.home}/.cache/vmferry`;
    return `${base}/${[...Deno.readDirSync(base)].map((entry) => entry.name)[0]}`;
  }

  /** The files of its copies, without the names of their directories; sorted. */
  files(): string[] {
    const { cache } = this;
    return [...Deno.readDirSync(cache)]
      .flatMap(({ name }) => [...Deno.readDirSync(`${cache}/${name}`)])
      .map(({ name }) => name.replace(/\d+$/, "N")).sort();
  }
}
