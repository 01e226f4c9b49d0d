import { createSocket } from "node:dgram";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { poll } from "../support/waiting.ts";

const MAC = "52:54:00:12:34:56";
/** Where a frame has its EtherType, and that of RARP. */
const TYPE_AT = 12;
const RARP = 0x8035;

/** An end of a cable whose other end is a NIC: QEMU sends it each frame as a datagram. */
class Cable implements Disposable {
  readonly #socket = createSocket("udp4");
  readonly #rarpsMs: number[] = [];
  port = 0;

  static async open(): Promise<Cable> {
    const cable = new Cable();
    const bound = Promise.withResolvers<void>();
    cable.#socket.bind(0, "127.0.0.1", () => bound.resolve());
    await bound.promise;
    cable.port = cable.#socket.address().port;
    return cable;
  }

  private constructor() {
    this.#socket.on("message", (frame) => {
      const type = frame.length > TYPE_AT + 1 ? frame.readUInt16BE(TYPE_AT) : 0;
      if (type === RARP) this.#rarpsMs.push(Date.now());
    });
  }

  /** When each announcement of the NIC came, ms since 1970. */
  get rarpsMs(): readonly number[] {
    return this.#rarpsMs;
  }

  /** Arguments for a QEMU whose NIC it is. */
  get arguments(): string[] {
    const netdev = `socket,id=net0,udp=127.0.0.1:${this.port},localaddr=127.0.0.1:0`;
    return ["-netdev", netdev, "-device", `virtio-net-pci,id=nic0,netdev=net0,mac=${MAC},romfile=`];
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** To the network, the guest moves when switches see its MAC address elsewhere. */
export const scenario: Scenario = {
  name: "announce",
  about: "a guest's NICs are announced to the network once the guest runs at the destination",
  timeoutMs: 120_000,
  async run(context) {
    const here = context.use(await Cable.open());
    const there = context.use(await Cable.open());
    const pair = await Pair.start(context, {
      sourceExtra: here.arguments,
      destinationExtra: there.arguments,
    });
    const receive = pair.receive();
    const migrate = pair.migrate(await receive.address());
    await assertExit(migrate, 0);
    await assertExit(receive, 0);
    const { timestampMs: startedMs } = await pair.destination.events
      .waitFor("RESUME at the destination", (e) => e.event === "RESUME");
    // QEMU sends five when it has loaded the guest; the first of them wait until the guest runs.
    const enough = () => there.rarpsMs.length >= 10 || undefined;
    await poll("the NIC to be announced by QEMU and by vmferry", enough, 20_000);
    const afterMs = there.rarpsMs.map((ms) => Math.round(ms - startedMs));
    if (here.rarpsMs.length > 0) throw new Error("The NIC was announced at the source");
    await pair.assertArrived();
    return `announced ${afterMs.join(", ")} ms after the guest's start`;
  },
};
