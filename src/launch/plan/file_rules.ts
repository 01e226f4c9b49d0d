/**
 * Rules on the files that QEMU only reads, and on sockets and outputs. Pure.
 *
 * @module
 */
import { exactSize } from "../../io/mod.ts";
import type { Collected } from "../../migrate/mod.ts";
import { ELSEWHERE, type KnownFile, sameStorage } from "./image_rules.ts";

/** Longest path of a UNIX socket, bytes (sun_path without its end). */
const MAX_SOCKET_PATH = 107;

/**
 * Judges a file with content that both ends must have.
 *
 * @returns whether the source sends it.
 */
export function judgeContent({ file, here, there }: KnownFile, found: Collected): boolean {
  const { name, from, to } = file;
  const problem = (code: "image-missing" | "image-unfit", message: string) => {
    found.problem("destination", code, `${name}: ${message}`);
    return false;
  };
  if (there.problem !== null) return problem("image-unfit", `${to}: ${there.problem}`);
  if (here && sameStorage(here.storage, there)) return false;
  const image = file.use === "content" ? file.image : null;
  const { backing, dataFile } = image ?? {};
  if (backing || dataFile !== undefined) {
    const second = backing ? `the backing file ${backing.path}` : `its data in ${dataFile}`;
    return problem(
      "image-unfit",
      `${from} has ${second}, and vmferry copies an image that is only read alone. Make it ` +
        `one image (qemu-img convert), or add --shared ${name} if both hosts have both`,
    );
  }
  const copy = `Copy the source's ${from} to that path`;
  switch (there.state) {
    case "missing":
      if (here?.isFile !== true || here.sha256 === null) {
        return problem(
          "image-missing",
          `${to} is missing, and ${from} is no file that vmferry can read and send. Put it there, or ${ELSEWHERE}`,
        );
      }
      if (there.writable) return true;
      return problem("image-missing", `no file can be created at ${to}. ${copy}, or ${ELSEWHERE}`);
    case "file":
      if (here?.isFile !== true || here.sha256 === null || here.sha256 === there.sha256) {
        return false;
      }
      return problem(
        "image-unfit",
        there.fileBytes !== null && there.fileBytes !== here.sizeBytes
          ? `${to} has ${exactSize(there.fileBytes)}, the source's ${from} has ` +
            `${
              exactSize(here.sizeBytes ?? 0)
            }. Move it away, and vmferry copies it; or ${ELSEWHERE}`
          : `${to} has other content (SHA-256) than the source's ${from}. Move it away, and vmferry copies it; or ` +
            ELSEWHERE,
      );
    default:
      if (here?.isFile !== true) return false;
      return problem(
        "image-unfit",
        `${to} is no file, expected the source's ${from}. ${ELSEWHERE}`,
      );
  }
}

/** Judges the image below one that is copied alone: vmferry does not send it. */
export function judgeBase(known: KnownFile, found: Collected): void {
  const { name, from, to } = known.file;
  if (known.there.problem !== null || known.there.state !== "missing") {
    judgeContent(known, found);
    return;
  }
  found.problem(
    "destination",
    "image-missing",
    `${name}: ${to} is missing, expected the source's ${from}. Copy it there, or leave out --sync top`,
  );
}

/** Judges what the destination must have by itself. */
export function judgeNeeded({ file: { name, to }, there }: KnownFile, found: Collected): void {
  if (there.state === "missing") {
    found.problem(
      "destination",
      "image-missing",
      `${name}: ${to} is missing, expected it as at the source. Create it, or ${ELSEWHERE}`,
    );
  }
}

/** Judges a path at which QEMU listens, or that it writes. */
export function judgeMade({ file, there }: KnownFile, found: Collected): void {
  const { name, to, use } = file;
  const bytes = new TextEncoder().encode(to).length;
  if (use === "socket" && bytes > MAX_SOCKET_PATH) {
    found.problem(
      "destination",
      "image-unfit",
      `${name}: the path of a socket has at most ${MAX_SOCKET_PATH} bytes, ${to} has ${bytes}; ${ELSEWHERE}`,
    );
  }
  if (there.usedBy !== null) {
    found.problem(
      "destination",
      "image-in-use",
      `${name}: ${there.usedBy} uses ${to}, expected a free path. End it, or ${ELSEWHERE}`,
    );
  } else if (there.problem !== null) {
    found.problem("destination", "image-unfit", `${name}: ${to}: ${there.problem}`);
  }
}
