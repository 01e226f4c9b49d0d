/**
 * Changes in an image behind QEMU's back, and what `--verify` says of them.
 *
 * @module
 */
import type { ImageFormat } from "../guest/mod.ts";
import type { Vmferry } from "../support/vmferry.ts";

/** A disk in the result of `--verify`. */
export interface Verified {
  readonly disk: string;
  readonly blocks: number;
  readonly seconds: number;
  readonly rootHash: string | null;
  readonly unproved: number;
  readonly differed: number;
}

/** What a migration has proved; nothing where it has not said so. */
export function verifiedBy(migrate: Vmferry): Verified[] {
  const result = migrate.events.entries.find((e) => e.event === "result");
  return result?.verify as Verified[] | undefined ?? [];
}

/** Flips all bits of one byte of a file. */
export async function flipByte(path: string, at: number): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const byte = new Uint8Array(1);
  await file.seek(at, Deno.SeekMode.Start);
  await file.read(byte);
  byte[0]! ^= 0xff;
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(byte);
}

/**
 * Writes another byte than the one that is there, 5000 times a second until disposal, ahead of all other
 * processes: whatever QEMU writes there is wrong again before anybody reads it.
 */
export async function flipAgain(path: string, at: number): Promise<AsyncDisposable> {
  const byte = new Uint8Array(1);
  {
    using file = await Deno.open(path);
    await file.seek(at, Deno.SeekMode.Start);
    await file.read(byte);
  }
  const code = `$| = 1; open F, "+<", $ARGV[0] or die;
    for (my $i = 0;; $i++) {
      sysseek F, $ARGV[1], 0; syswrite F, chr $ARGV[2];
      print "ready\\n" if $i == 0;
      select undef, undef, undef, 0.0002;
    }`;
  const args = ["-f", "20", "perl", "-e", code, path, String(at), String(byte[0]! ^ 0xff)];
  const perl = new Deno.Command("chrt", { args, stdout: "piped" }).spawn();
  const reader = perl.stdout.getReader();
  await reader.read();
  return {
    async [Symbol.asyncDispose]() {
      perl.kill("SIGKILL");
      await reader.cancel();
      await perl.status;
    },
  };
}

/** The root hash of an image, as docs/reference/verify.md defines it. */
export async function imageRoot(path: string, format: ImageFormat): Promise<string> {
  const raw = `${path}.root`;
  const args = ["convert", "-U", "-f", format, "-O", "raw", path, raw];
  const { code, stderr } = await new Deno.Command("qemu-img", { args }).output();
  if (code !== 0) throw new Error(`qemu-img: ${new TextDecoder().decode(stderr)}`);
  const bytes = await Deno.readFile(raw);
  await Deno.remove(raw);
  const pages: Uint8Array[] = [];
  for (let page = 0; page < bytes.length; page += 1 << 24) {
    const blocks: Uint8Array[] = [];
    for (let at = page; at < Math.min(page + (1 << 24), bytes.length); at += 1 << 16) {
      const block = bytes.subarray(at, at + (1 << 16));
      blocks.push(block.every((byte) => byte === 0) ? new Uint8Array(32) : await sha256(block));
    }
    pages.push(await sha256(joined(blocks)));
  }
  return (await sha256(joined(pages))).toHex();
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
}

function joined(digests: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(digests.length * 32);
  digests.forEach((digest, i) => all.set(digest, i * 32));
  return all;
}
