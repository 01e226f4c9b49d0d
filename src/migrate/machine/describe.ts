import type { QmpClient } from "../../qmp/mod.ts";
import {
  type DeviceDescription,
  DEVICES_PER_PAGE,
  type Inventory,
  type Params,
  type Result,
  RpcError,
} from "../../rpc/mod.ts";
import { takeInventory } from "./inventory.ts";

/** Answers RPC `describe`: one inventory, in pages. */
export class MachineDescriber {
  readonly #qmp: QmpClient;
  #inventory: Inventory | undefined;

  constructor(qmp: QmpClient) {
    this.#qmp = qmp;
  }

  /**
   * A page of the inventory; page 0 takes a new one.
   *
   * @throws {RpcError} code `bad-params` for a page that does not exist.
   * @throws {QmpError} when QEMU does not answer.
   */
  async page({ page }: Params<"describe">): Promise<Result<"describe">> {
    if (page === 0 || !this.#inventory) this.#inventory = await takeInventory(this.#qmp);
    const { machine, devices } = this.#inventory;
    const pages = Math.max(1, Math.ceil(devices.length / DEVICES_PER_PAGE));
    if (page >= pages) {
      throw new RpcError("bad-params", `There is no page ${page} of devices, there are ${pages}`);
    }
    const from = page * DEVICES_PER_PAGE;
    return { machine, devices: devices.slice(from, from + DEVICES_PER_PAGE), pages };
  }
}

/**
 * Joins the pages of an inventory.
 *
 * @param ask requests a page; its error is passed on.
 * @throws {RpcError} code `bad-result`, when a device comes before its parent.
 */
export async function readInventory(
  ask: (page: number) => Promise<Result<"describe">>,
): Promise<Inventory> {
  const { machine, devices: first, pages } = await ask(0);
  const devices: DeviceDescription[] = [...first];
  for (let page = 1; page < pages; page++) devices.push(...(await ask(page)).devices);
  // A parent comes before its devices; any other list is no tree.
  const broken = devices.findIndex((device, i) => device.parent >= i);
  if (broken >= 0) throw new RpcError("bad-result", `Device ${broken} comes before its parent`);
  return { machine, devices };
}
