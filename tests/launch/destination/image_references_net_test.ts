import { assertEquals } from "@std/assert";
import { runProgram } from "../../../src/cli/host/run_program.ts";
import { RpcError } from "../../../src/rpc/mod.ts";
import { copyOf, LaunchLab } from "./launch_lab.ts";

const FAST = { timeoutMs: 20_000 };

/** The code with which a network's guest is refused whose CD is this image, and what is left. */
async function refusalOf(...create: string[]): Promise<string> {
  await using lab = await LaunchLab.make("network");
  const before = await lab.files();
  const made = `${lab.dir}.image`;
  const { code, stderr } = await runProgram(
    ["qemu-img", "create", "-q", ...create, made, "1M"],
    FAST,
  );
  if (code !== 0) throw new Error(stderr);
  const cd = `${lab.dir}/images/cd.img`;
  const bytes = await Deno.readFile(made);
  await Deno.remove(made);
  const start = lab.start(["-drive", `file=${cd},readonly=on,if=none,format=${create[1]}`]);
  await lab.prepare(lab.params({ copies: [await copyOf(cd, bytes)], start }));
  await lab.send("file-0", bytes);
  try {
    await lab.launch();
    return "";
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    assertEquals(await lab.files(), before);
    return error.code;
  }
}

Deno.test("an image of the network's that leads to a file of the host is not opened", async () => {
  const refused = "launch-not-allowed";
  assertEquals(await refusalOf("-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw"), refused);
  assertEquals(
    await refusalOf("-f", "qcow2", "-u", "-b", "../../etc/shadow", "-F", "raw"),
    refused,
  );
  assertEquals(
    await refusalOf("-f", "qcow2", "-u", "-b", "nbd://127.0.0.1:1/", "-F", "raw"),
    refused,
  );
  assertEquals(await refusalOf("-f", "qcow2"), "");
});

Deno.test("an image whose data is in a file of the host is not opened", async () => {
  const data = await Deno.makeTempFile({ dir: "/etc", prefix: "vmferry-test-" });
  try {
    assertEquals(await refusalOf("-f", "qcow2", "-o", `data_file=${data}`), "launch-not-allowed");
  } finally {
    await Deno.remove(data);
  }
});
