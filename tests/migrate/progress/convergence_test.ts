import { assertEquals } from "@std/assert";
import { Convergence } from "../../../src/migrate/progress/convergence.ts";

const MiB = 1024 * 1024;

/** Samples twice a second; returns the findings with the second of each. */
function watch(
  seconds: number,
  at: (
    t: number,
  ) => { transferred?: number; total?: number; ready?: boolean },
): { found: [number, string][]; convergence: Convergence } {
  const convergence = new Convergence();
  const found: [number, string][] = [];
  for (let t = 0.5; t <= seconds; t += 0.5) {
    const { transferred = 100 * MiB, total = 100 * MiB, ready = false } = at(t);
    const findings = convergence.look({
      now: t * 1000,
      disks: [{ name: "vd0", transferred, total, ready }],
    });
    for (const f of findings) {
      const what = `disk ${f.written / MiB} ${f.copied / MiB} ${f.behind / MiB}${
        f.close ? " close" : ""
      }`;
      found.push([t, what]);
    }
  }
  return { found, convergence };
}

Deno.test("a disk that the guest writes faster than the mirror copies is found, with the rates", () => {
  // 100 MiB at 10 MiB/s, the guest changes 12 MiB/s.
  const { found } = watch(60, (t) => ({ transferred: 10 * MiB * t, total: (100 + 12 * t) * MiB }));
  // Copied once after 10.6 s (with the writes before the first sample), and 15 s more.
  assertEquals(found, [[26, `disk 12 10 ${100 + 2 * 26}`]]);
});

Deno.test("a disk that makes progress, however slow, is no finding", () => {
  const slow = watch(100, (t) => ({ transferred: 10 * MiB * t, total: (1000 + 9.9 * t) * MiB }));
  assertEquals(slow.found, []);
  assertEquals(slow.convergence.onceThrough, false);
  const done = watch(
    100,
    (t) => ({ transferred: (100 + t) * MiB, total: (100 + t) * MiB, ready: true }),
  );
  assertEquals(done.found, []);
  assertEquals(done.convergence.onceThrough, true);
});

Deno.test("a disk that stays almost ready while the guest writes is found within seconds", () => {
  const near = (ready: boolean, wrote = 1) =>
    watch(14, (t) => ({
      ...{ transferred: (100 + wrote * t - 0.25) * MiB, total: (100 + wrote * t) * MiB, ready },
    })).found;
  // Copied once by 1 s, and 3 s more.
  assertEquals(near(false), [[4, "disk 1 1 0.25 close"]]);
  assertEquals(near(true), [], "a ready mirror");
  assertEquals(near(false, 0), [], "nobody writes");
  const silent = watch(10, (t) => {
    const through = 100 + Math.min(t, 2);
    return { transferred: (through - 0.25) * MiB, total: (through + (t > 2 ? 0.01 * t : 0)) * MiB };
  });
  assertEquals(silent.found, [], "nothing gets through");
  const falling = watch(
    10,
    (t) => ({ transferred: (100 + t) * MiB, total: (100 + 1.1 * t) * MiB }),
  );
  assertEquals(falling.found, [], "it falls back, slowly");
});

Deno.test("a ready disk that stays a little behind is no finding", () => {
  const behind = (mib: number) =>
    watch(40, (t) => ({ transferred: 100 * MiB * t, total: (100 * t + mib) * MiB, ready: true }));
  assertEquals(behind(15).found, []);
  assertEquals(behind(17).found.length, 1);
});
