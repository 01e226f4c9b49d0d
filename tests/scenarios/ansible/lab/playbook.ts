import { assertNone, type ScenarioContext } from "../../support/scenario.ts";
import { endChild, Output } from "../../support/output.ts";
import { vmferryPath } from "../../support/vmferry.ts";
import type { Fleet } from "./fleet.ts";

const PROJECT = new URL("../../../../", import.meta.url).pathname.replace(/\/$/, "");

/** A guest as the inventory has it. */
export interface InventoryGuest {
  readonly name: string;
  readonly qmp: string;
  /** Name of its destination. */
  readonly to: string;
  readonly migrate_arguments?: readonly string[];
}

/** What the playbook says of a guest in the end. */
export interface ReportedGuest {
  readonly guest: string;
  readonly outcome: string;
  readonly where: string;
  readonly message: string;
  readonly next: readonly string[];
}

/** Runs playbooks where the operator is, with the collection of this project. */
export class Operator {
  readonly #context: ScenarioContext;
  readonly #fleet: Fleet;
  readonly #dir: string;

  /** Makes a directory with the collection and the inventory of three hosts. */
  static async begin(context: ScenarioContext, fleet: Fleet): Promise<Operator> {
    const dir = `${context.dir}/operator`;
    await Deno.mkdir(`${dir}/ansible_collections/vmferry`, { recursive: true });
    const collection = `${dir}/ansible_collections/vmferry/vmferry`;
    const { success } = await new Deno.Command("cp", {
      args: ["-r", `${PROJECT}/packaging/ansible`, collection],
    }).output();
    if (!success) throw new Error(`The collection could not be copied to ${collection}`);
    return new Operator(context, fleet, dir);
  }

  private constructor(context: ScenarioContext, fleet: Fleet, dir: string) {
    [this.#context, this.#fleet, this.#dir] = [context, fleet, dir];
  }

  /** Says which guests the first host has. */
  async writeInventory(guests: readonly InventoryGuest[]): Promise<void> {
    const names = this.#fleet.hosts.map(({ name }) => name);
    const hosts = Object.fromEntries(names.map((name) => [name, {}]));
    const inventory = { all: { hosts: { ...hosts, host1: { vmferry_guests: guests } } } };
    // YAML has JSON in it.
    await Deno.writeTextFile(`${this.#dir}/inventory.yml`, JSON.stringify(inventory));
  }

  /** Installs the program on every host; returns how many hosts that has changed. */
  async install(): Promise<number> {
    const play = [{
      ...{ hosts: "all", gather_facts: false },
      roles: [{
        role: "vmferry.vmferry.install",
        vars: { install_file: await Deno.realPath(vmferryPath()) },
      }],
    }];
    await Deno.writeTextFile(`${this.#dir}/install.yml`, JSON.stringify(play));
    const run = this.start("install", `${this.#dir}/install.yml`);
    const text = await run.mustSucceed();
    return [...text.matchAll(/changed=([1-9])/g)].length;
  }

  /** Starts the evacuation of the first host. */
  evacuate(name: string, ...args: readonly string[]): PlaybookRun {
    return this.start(name, "vmferry.vmferry.evacuate", [
      ...["-e", "evacuate_host=host1", "-e", `evacuate_report_file=${this.#report(name)}`],
      ...args,
    ]);
  }

  /** What the run of that name has reported. */
  async report(name: string): Promise<ReportedGuest[]> {
    return JSON.parse(await Deno.readTextFile(this.#report(name)));
  }

  /** Starts a playbook. */
  start(name: string, playbook: string, args: readonly string[] = []): PlaybookRun {
    const { operator, shared } = this.#fleet;
    const command = [
      ...["ansible-playbook", "-i", `${this.#dir}/inventory.yml`, "--forks", "8", playbook],
    ];
    return this.#context.use(
      new PlaybookRun(name, [...operator, ...command, ...args], {
        ANSIBLE_COLLECTIONS_PATH: this.#dir,
        ANSIBLE_LOCAL_TEMP: `${this.#dir}/tmp`,
        ANSIBLE_HOME: `${this.#dir}/home`,
        ANSIBLE_SSH_ARGS: `-F ${shared}/ssh_config -o ControlMaster=no`,
        ANSIBLE_REMOTE_USER: "root",
        ANSIBLE_TIMEOUT: "60",
        ANSIBLE_PYTHON_INTERPRETER: "/usr/bin/python3",
        ANSIBLE_NOCOLOR: "1",
        ANSIBLE_LOCALHOST_WARNING: "0",
        LC_ALL: "C.UTF-8",
      }),
    );
  }

  #report(name: string): string {
    return `${this.#dir}/${name}.json`;
  }
}

/** A playbook that runs. */
export class PlaybookRun implements AsyncDisposable {
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Output;
  readonly #stderr: Output;

  constructor(name: string, [program, ...args]: readonly string[], env: Record<string, string>) {
    this.#name = name;
    this.#child = new Deno.Command(program!, {
      ...{ args, env, stdin: "null", stdout: "piped", stderr: "piped" },
    }).spawn();
    [this.#stdout, this.#stderr] = [new Output(this.#child.stdout), new Output(this.#child.stderr)];
  }

  get logs(): { title: string; text: string }[] {
    return [
      { title: `${this.#name}: ansible-playbook`, text: this.#stdout.text.slice(-12_000) },
      { title: `${this.#name}: ansible-playbook's stderr`, text: this.#stderr.text.slice(-4_000) },
    ];
  }

  /** Waits for the end; returns the exit code and what was printed. */
  async end(): Promise<{ code: number; text: string }> {
    const { code } = await this.#child.status;
    await Promise.all([this.#stdout.ended, this.#stderr.ended]);
    return { code, text: this.#stdout.text };
  }

  /** Waits for the end; throws unless it succeeds. Returns what was printed. */
  async mustSucceed(): Promise<string> {
    const { code, text } = await this.end();
    assertNone(code === 0 ? [] : [`${this.#name}: the playbook ended with ${code}`]);
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endChild(this.#child, 5000);
    await Promise.all([this.#stdout.ended, this.#stderr.ended]);
  }
}
