import { Pair } from "../pair/pair.ts";
import { assertExit, type Scenario } from "../support/scenario.ts";
import { secretsSeen } from "../support/secrets.ts";
import type { JsonEvent } from "../support/vmferry.ts";

/** A used ticket is single-use, but its own source may resume with it. */
export const scenario: Scenario = {
  name: "ticket_resume",
  about: "after kill -9 of either vmferry the same two sides resume with their ticket",
  timeoutMs: 240_000,
  long: true,
  async run(context) {
    for (const killed of ["source", "destination"] as const) {
      context.note(`killed: ${killed}`);
      const dir = `${context.dir}/${killed}`;
      await Deno.mkdir(dir);
      const pair = await Pair.start(context, { dir });
      const file = `${dir}/ticket`;
      const listen = ["--listen", "tcp://127.0.0.1:0", "--ticket-file", file];
      let receive = pair.receiveWith(listen);
      await receive.address();
      const ticket = (await Deno.readTextFile(file)).trim().split("/").at(-1)!;
      let migrate = pair.migrateWith(["--bandwidth", "30M", "--ticket-file", file]);
      await migrate.waitEvent("progress", (e) => moved(e) > 24 << 20);
      const ferry = killed === "source" ? migrate : receive;
      ferry.signal("SIGKILL");
      await ferry.exit();
      if (killed === "source") {
        migrate = pair.migrateWith(["--resume", "--ticket-file", file]);
        const first = moved(await migrate.waitEvent("progress"));
        if (first < 24 << 20) throw new Error(`It went on from ${first}`);
      } else {
        receive = pair.receiveWith(["--resume", ...listen]);
      }
      await assertExit(migrate, 0);
      await assertExit(receive, 0);
      const seen = await secretsSeen([ticket], [migrate, receive]);
      if (seen.length > 0) throw new Error(`The ticket was seen: ${seen.join("; ")}`);
      await pair.assertArrived();
    }
  },
};

function moved(event: JsonEvent): number {
  return (event.disks as { transferred: number }[]).reduce((sum, d) => sum + d.transferred, 0);
}
