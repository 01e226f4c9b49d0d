/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  let at = 0;
  // Bytes up to a word: most blocks with data end here.
  while (at < bytes.length && (bytes.byteOffset + at) % 4 !== 0) {
    if (bytes[at++] !== 0) return false;
  }
  const words = Math.floor((bytes.length - at) / 4);
  const view = new Uint32Array(bytes.buffer, bytes.byteOffset + at, words);
  for (let i = 0; i < words; i++) if (view[i] !== 0) return false;
  for (at += words * 4; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}
