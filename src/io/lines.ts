import { TextLineStream } from "@std/streams/text-line-stream";
import type { BytePipe } from "./byte_pipe.ts";

/** Longest line that is accepted, bytes: QMP's `query-qmp-schema` has megabytes. */
export const MAX_LINE: number = 64 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Reads lines of UTF-8 text, each as soon as it is complete, without its LF or CRLF. Text behind the
 * last line end is dropped: its writer has died in the middle of a line.
 *
 * @param maxLine longest line, bytes.
 * @throws {RangeError} when a line is longer than `maxLine`; at most one read more is buffered.
 * @throws {Error} when a read fails.
 */
export async function* readLines(
  pipe: Pick<BytePipe, "read">,
  maxLine: number = MAX_LINE,
): AsyncGenerator<string, void> {
  const buffer = new Uint8Array(65536);
  let complete = 0;
  let unfinished = 0;
  const limited = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const n = await pipe.read(buffer);
      if (n === null) return controller.close();
      const bytes = buffer.slice(0, n);
      for (let start = 0; start < n;) {
        const at = bytes.indexOf(NEWLINE, start);
        const end = at < 0 ? n : at;
        unfinished += end - start;
        if (unfinished > maxLine) throw new RangeError(`Got a line of more than ${maxLine} bytes`);
        if (end < n) {
          complete++;
          unfinished = 0;
        }
        start = end + 1;
      }
      controller.enqueue(bytes);
    },
  }, { highWaterMark: 0 });
  let lines = 0;
  const text = limited.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  // TextLineStream returns the unfinished rest, too.
  for await (const line of text) if (lines++ < complete) yield line;
}
