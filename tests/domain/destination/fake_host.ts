import type { DestinationHost } from "../../../src/domain/destination/host.ts";
import type { DomainJournal, DomainRecord } from "../../../src/domain/destination/record.ts";
import { silentLogger } from "../../../src/io/mod.ts";
import { type ProgramResult } from "../../../src/host/mod.ts";
import { Virsh } from "../../../src/libvirt/mod.ts";
import { unbatched } from "../../libvirt/unbatched.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** vmferry was killed: nothing more happens in that process. */
export class Killed extends Error {}

interface File {
  readonly inode: number;
  readonly bornAt: number;
  readonly format: string;
  readonly bytes: number;
  /** Seconds since 1970. */
  readonly changedAt: number;
}

/** A host with one pool over /pool, files, and domains; what happens on it outlives a killed process. */
export class FakeHost {
  readonly files = new Map<string, File>();
  readonly directories = new Set(["/pool", "/srv", "/run/libvirt/qemu"]);
  readonly pools = new Map([["images", "/pool"]]);
  /** UUID -> virsh's state and reason, and paths of its disks. */
  readonly domains = new Map<string, { state: string; disks: string[]; format?: string }>();
  /** Users that own volumes from their creation on. */
  readonly owners = new Map<string, string | undefined>();
  /** Backing files of images. */
  readonly backing = new Map<string, string>();
  /** The last record of the journal. */
  record: DomainRecord | undefined;
  /** Every effect, in order. */
  readonly effects: string[] = [];
  /** libvirt refuses these commands with these words. */
  readonly refusals = new Map<string, string>();
  /** Called before libvirt creates a volume; throws what libvirt refuses it with. */
  onCreate: (path: string) => void = () => {};
  #inode = 100;

  /** What a failed migration must leave as it was. */
  get state(): string {
    return JSON.stringify([[...this.files.keys()].sort(), [...this.directories].sort(), [
      ...this.pools.keys(),
    ]]);
  }

  /**
   * A process on this host.
   *
   * @param killAt it is killed at this effect, counted from 0; `half` says whether the effect still happens.
   */
  process(killAt = Infinity, half: "before" | "after" = "before") {
    let count = 0;
    let isDead = false;
    const effect = (what: string, act: () => void) => {
      if (isDead) throw new Killed();
      const isLast = count++ === killAt;
      if (isLast) isDead = true;
      if (isLast && half === "before") throw new Killed();
      this.effects.push(what);
      act();
      if (isLast) throw new Killed();
    };
    const journal: DomainJournal = {
      write: (record) =>
        Promise.resolve().then(() => {
          effect(`journal ${record.state}`, () => this.record = record);
        }),
    };
    const run = unbatched((argv, { input }) =>
      Promise.resolve().then(() => {
        if (isDead) throw new Killed();
        return this.#run(argv, input ?? "", effect);
      })
    );
    const host: DestinationHost = {
      run,
      virsh: new Virsh({ run, uri: "qemu:///system" }),
      describeHost: (paths) =>
        Promise.resolve({
          ...{ bootId: "boot", network: "", addresses: [] },
          files: paths.map((path) => {
            const file = this.files.get(path);
            return file &&
              { device: "1:1", inode: `${file.inode}`, mount: undefined, block: undefined };
          }),
        }),
      connectUnix: () => Promise.reject(new Error("no sockets")),
      interfaces: () => [],
      user: { uid: 0, name: "root" },
      runtimeDir: undefined,
      wallMs: () => 1_000_000,
      clock: new ManualClock(),
      log: silentLogger,
    };
    return { host, journal, effects: () => count };
  }

  /** Another program makes a file. */
  make(path: string, format = "raw", bytes = 1 << 20): void {
    const times = { bornAt: 1000, changedAt: 1000 };
    this.files.set(path, { inode: this.#inode++, ...times, format, bytes });
  }

  /** A guest writes to a file. */
  change(path: string, changedAt: number): void {
    this.files.set(path, { ...this.files.get(path)!, changedAt });
  }

  #run(argv: readonly string[], input: string, effect: Effect): ProgramResult {
    const [program, ...args] = argv;
    const last = args.at(-1)!;
    switch (program) {
      case "virsh":
        return this.#virsh(args.slice(3), input, effect);
      case "mkdir":
        if (args[0] !== "-p") effect(`mkdir ${last}`, () => this.directories.add(last));
        return said("");
      case "chown":
        effect(`chown ${args[1]} ${last}`, () => {});
        return said("");
      case "rm":
        effect(`rm ${last}`, () => {
          this.files.delete(last);
          this.directories.delete(last);
        });
        return said("");
      case "qemu-img": {
        if (args.includes("--backing-chain")) {
          const chain = [last, ...this.backing.has(last) ? [this.backing.get(last)] : []];
          return said(JSON.stringify(chain.map((filename) => ({ filename }))));
        }
        const { format, bytes } = this.files.get(last)!;
        return said(JSON.stringify({ format, "virtual-size": bytes }));
      }
      case "sh":
        if (args[1]!.includes("rmdir")) {
          effect(`rmdir ${last}`, () => this.directories.delete(last));
          return said("");
        }
        if (args[1]!.includes("state=missing")) return said(this.#look(args.slice(3)));
    }
    throw new Error(`The fake host has no ${argv.join(" ")}`);
  }

  #look(paths: readonly string[]): string {
    return paths.map((path) => {
      const file = this.files.get(path);
      const parent = path.slice(0, path.lastIndexOf("/"));
      const isThere = this.directories.has(path);
      const id = file
        ? `1 ${file.inode} ${file.bornAt} ${file.changedAt}`
        : isThere
        ? "1 1 0"
        : "- - 0";
      const kind = file ? "file" : isThere ? "other" : "missing";
      const directory = this.directories.has(parent) ? 1 : 0;
      return `${kind}\t0\t${file?.bytes ?? ""}\t${id}\t${directory}\t1000000 4096\n`;
    }).join("");
  }

  #virsh(args: readonly string[], input: string, effect: Effect): ProgramResult {
    const [command = ""] = args;
    const option = (name: string) => args[args.indexOf(`--${name}`) + 1]!;
    const refusal = this.refusals.get(command);
    if (refusal !== undefined) return { code: 1, stdout: "", stderr: `error: ${refusal}` };
    const path = (name: string) => `${this.pools.get(option("pool"))}/${name}`;
    switch (command) {
      case "capabilities":
        return said(CAPABILITIES);
      case "list":
        return said([...this.domains.keys()].join("\n"));
      case "domstats": {
        const domain = this.domains.get(option("domain"));
        if (!domain) return { code: 1, stdout: "", stderr: "error: Domain not found\n" };
        const [state, reason] = domain.state.split(" ");
        return said(`state.state=${state}\nstate.reason=${reason}\n`);
      }
      case "dumpxml":
        return said(domainXml(option("domain"), this.domains.get(option("domain"))!));
      case "pool-list":
        return said([...this.pools.keys()].join("\n"));
      case "pool-dumpxml": {
        const name = option("pool");
        const target = this.pools.get(name)!;
        return said(
          `<pool type='dir'><name>${name}</name><target><path>${target}</path></target></pool>`,
        );
      }
      case "pool-refresh":
        return said("");
      case "pool-create-as":
        effect(`pool ${option("target")}`, () => this.pools.set(option("name"), option("target")));
        return said("");
      case "pool-destroy":
        effect("pool-destroy", () => this.pools.delete(option("pool")));
        return said("");
      case "vol-create": {
        const name = /<name>([^<]*)</.exec(input)![1]!;
        const format = /<format type="([^"]*)"/.exec(input)![1]!;
        const bytes = Number(/<capacity[^>]*>(\d+)</.exec(input)![1]);
        const created = path(name);
        this.owners.set(created, /<owner>(\d+)</.exec(input)?.[1]);
        try {
          this.onCreate(created);
        } catch (error) {
          return { code: 1, stdout: "", stderr: `error: ${(error as Error).message}` };
        }
        effect(`create ${created}`, () => this.make(created, format, bytes));
        return said("");
      }
      case "vol-path":
        return said(`${path(option("vol"))}\n`);
      case "vol-delete": {
        const deleted = path(option("vol"));
        effect(`delete ${deleted}`, () => this.files.delete(deleted));
        return said("");
      }
    }
    throw new Error(`The fake host has no virsh ${args.join(" ")}`);
  }
}

const CAPABILITIES = `<capabilities><host><secmodel><model>dac</model><doi>0</doi>
<baselabel type='kvm'>+64055:+107</baselabel></secmodel></host></capabilities>`;

type Effect = (what: string, act: () => void) => void;

function said(stdout: string): ProgramResult {
  return { code: 0, stdout, stderr: "" };
}

function domainXml(
  uuid: string,
  { disks, format = "raw" }: { readonly disks: readonly string[]; readonly format?: string },
): string {
  const all = disks.map((path, i) =>
    `<disk type='file' device='disk'><driver name='qemu' type='${format}'/><source file='${path}'/>` +
    `<target dev='vd${i}' bus='virtio'/></disk>`
  );
  return `<domain type='kvm'><name>other</name><uuid>${uuid}</uuid>` +
    `<memory unit='KiB'>1024</memory><vcpu>1</vcpu>` +
    `<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>${
      all.join("")
    }</devices></domain>`;
}
