export { aboutSize as about, exactSize as bytes } from "../../io/mod.ts";

/** libvirt's own text in a message: whole, on one line, without a full stop at the end. */
export function quoted(text: string): string {
  return `"${text.trim().replaceAll("\n", ": ").replace(/\.$/, "")}"`;
}
