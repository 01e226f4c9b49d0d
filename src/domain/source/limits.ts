import { type Logger, messageOf } from "../../io/mod.ts";
import { type Virsh, VirshError } from "../../libvirt/mod.ts";

/** How long libvirt may take to change a limit, ms. */
const CHANGE_MS = 20_000;
const MIB = 1024 * 1024;

/**
 * The limits of a migration as libvirt takes them: `Limits` applies QEMU's parameters to it. The tunnel
 * enforces the bandwidth; QEMU gets it to estimate the downtime.
 */
export class LibvirtLimits {
  readonly #virsh: Virsh;
  readonly #uuid: string;
  readonly #log: Logger;
  /** The domain's own limit of before, MiB/s as libvirt prints it; libvirt keeps it with the domain. */
  #speedBefore: string | undefined;
  #bandwidth: number | null = null;

  /** @param virsh the direct connection. */
  constructor(virsh: Virsh, uuid: string, log: Logger) {
    this.#virsh = virsh;
    this.#uuid = uuid;
    this.#log = log;
  }

  /**
   * Applies limits to a domain whose migration runs.
   *
   * @param limits bytes per second, `null`: no limit; ms.
   * @throws {VirshError} when libvirt does not accept them.
   */
  async apply(
    limits: { readonly bandwidth: number | null; readonly maxDowntimeMs: number },
  ): Promise<void> {
    const { bandwidth, maxDowntimeMs } = limits;
    if (bandwidth !== this.#bandwidth) {
      this.#speedBefore ??= (await this.#call(["migrate-getspeed"])).trim();
      const mib = bandwidth === null
        ? this.#speedBefore
        : `${Math.max(1, Math.round(bandwidth / MIB))}`;
      await this.#call(["migrate-setspeed", "--bandwidth", mib]);
      this.#bandwidth = bandwidth;
    }
    await this.#call(["migrate-setmaxdowntime", "--downtime", `${Math.max(1, maxDowntimeMs)}`]);
  }

  /** Gives the domain its own limit back. Never rejects. */
  async restore(): Promise<void> {
    if (this.#speedBefore === undefined || this.#bandwidth === null) return;
    await this.#call(["migrate-setspeed", "--bandwidth", this.#speedBefore])
      .catch((error) => this.#log.log("debug", `setspeed: ${messageOf(error)}`));
  }

  async #call([command, ...args]: readonly string[]): Promise<string> {
    return await this.#virsh.call([command!, "--domain", this.#uuid, ...args], {
      timeoutMs: CHANGE_MS,
    });
  }
}

/** What libvirt says in an error, for people. */
export function wordsOf(error: unknown): string {
  return error instanceof VirshError ? inOneLine(error.text) : messageOf(error);
}

/** Lines as one, for messages. */
export function inOneLine(text: string): string {
  return text.split("\n").join("; ");
}
