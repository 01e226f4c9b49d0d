import { TextLineStream } from "@std/streams/text-line-stream";

/** Bytes of a line that are kept; a line without an end takes no more. */
const MAX_LINE = 4096;
const LF = 0x0a;

/** The lines of a byte stream, without their ends. The part of a line past 4096 bytes is dropped. */
export function linesOf(stream: ReadableStream<Uint8Array>): ReadableStream<string> {
  return stream
    .pipeThrough(cutLines(MAX_LINE))
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .pipeThrough(new TextLineStream());
}

/** Drops the bytes of each line past `limit`; line ends stay. */
function cutLines(limit: number): TransformStream<Uint8Array, Uint8Array> {
  let length = 0;
  return new TransformStream({
    transform(bytes, controller) {
      for (let start = 0; start < bytes.length;) {
        const end = bytes.indexOf(LF, start);
        const line = bytes.subarray(start, end < 0 ? bytes.length : end);
        const kept = line.subarray(0, Math.max(0, limit - length));
        if (kept.length > 0) controller.enqueue(kept);
        length += kept.length;
        if (end < 0) return;
        controller.enqueue(Uint8Array.of(LF));
        length = 0;
        start = end + 1;
      }
    },
  });
}
