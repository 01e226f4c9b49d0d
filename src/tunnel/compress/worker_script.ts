/**
 * The program of the worker that compresses. It answers each message `{raw, room}` with
 * `{bytes, tookMs}`; `bytes` is null when the piece shrinks too little or zstd fails.
 *
 * A text, because the built program is one file without other modules to load, and a data: URL,
 * because a program of `deno compile` does not load a worker from a blob: URL.
 */
const SCRIPT = (level: number, windowLog: number, worthIt: number): string => `
import * as zlib from "node:zlib";
const { ZSTD_c_compressionLevel, ZSTD_c_windowLog } = zlib.constants;
const params = { [ZSTD_c_compressionLevel]: ${level}, [ZSTD_c_windowLog]: ${windowLog} };
self.onmessage = ({ data: { raw, room } }) => {
  const start = performance.now();
  let bytes = null;
  try {
    const piece = new Uint8Array(raw);
    const chunkSize = piece.length + 1024;
    const packed = zlib.zstdCompressSync(piece, { chunkSize, pledgedSrcSize: piece.length, params });
    if (packed.length <= piece.length * ${worthIt}) {
      bytes = new Uint8Array(room + packed.length);
      bytes.set(packed, room);
    }
  } catch {
    // The piece is sent as it is.
  }
  const answer = { bytes: bytes && bytes.buffer, tookMs: performance.now() - start };
  self.postMessage(answer, bytes ? [bytes.buffer] : []);
};
`;

/** The address of that program. */
export function workerAddress(level: number, windowLog: number, worthIt: number): string {
  return `data:text/javascript,${encodeURIComponent(SCRIPT(level, windowLog, worthIt))}`;
}
