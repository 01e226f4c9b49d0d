import { multifdBytes, settingsBefore } from "../pair/multifd.ts";
import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";

/** Number of channels and compression of each crossing. */
const WAYS = [["2"], ["4", "zstd"], ["16", "zlib"]] as const;

/** RAM in several streams. */
export const scenario: Scenario = {
  name: "multifd",
  about: "no write is lost when RAM crosses in 3, 5 or 17 streams; settings are as before",
  timeoutMs: 400_000,
  async run(context) {
    const lines: string[] = [];
    for (const [channels, compression] of WAYS) {
      context.note(`${channels} channels, compression ${compression ?? "none"}`);
      const dir = `${context.dir}/${channels}`;
      await Deno.mkdir(dir);
      const pair = await Pair.start(context, { dir, bytes: 16 << 20 });
      const asBefore = await settingsBefore(pair);
      const receive = pair.receive();
      const how = compression ? ["--multifd-compression", compression] : [];
      const migrate = pair.migrate(await receive.address(), ["--multifd", channels, ...how]);
      await assertExit(migrate, 0);
      await assertExit(receive, 0);
      const bytes = await multifdBytes(pair.source);
      await asBefore();
      const pause = await pair.pauseMs();
      await pair.assertArrived();
      lines.push(
        `${channels} ${compression ?? "none"}: ${bytes >> 10} KiB, pause ${pause.toFixed(0)} ms`,
      );
    }
    return lines.join("; ");
  },
};
