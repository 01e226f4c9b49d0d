import type { Scenario } from "../support/scenario.ts";
import { killAtEnd } from "./kills_end.ts";
import { assertKilled, LibvirtLab } from "../libvirt/lab/mod.ts";

/** Nothing of vmferry is left on either host when libvirt is asked to start the guest. */
export const scenario: Scenario = {
  name: "kills_all",
  about: "a guest runs on one host when every vmferry of both hosts is killed at the very end",
  timeoutMs: 120_000,
  slow: true,
  async run(context) {
    const lab = await LibvirtLab.start(context);
    return await killAtEnd(context, lab, "vm1", async ({ domain, receive }) => {
      for (const ferry of [domain, receive]) ferry.signal("SIGKILL");
      await assertKilled(domain);
      await assertKilled(receive);
    });
  },
};
