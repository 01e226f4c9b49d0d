import type { SourceRecord } from "../../migrate/mod.ts";

/**
 * How the user finds out where the guest is, and what follows, a sentence each. Pure.
 *
 * @param here the command that recovers this migration at the source.
 * @param isSsh `recover` does not ask the destination over ssh.
 */
export function whereIsIt(
  here: string,
  { destination, recoverThere }: Pick<SourceRecord, "destination" | "recoverThere">,
  isSsh: boolean,
): string[] {
  const there = recoverThere || "vmferry recover --qmp PATH";
  return [
    `at the destination, see whether the guest runs there: ${there}`,
    ...(isSsh ? [] : [
      `if it can be reached again, ask it from here: ${here} --yes ${destination} (with the options of this run)`,
    ]),
    `only if the guest does not run there and the QEMU there has been ended: ${here} --force-run-here`,
  ];
}
