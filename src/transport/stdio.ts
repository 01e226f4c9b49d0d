import type { BytePipe } from "../io/mod.ts";

/** This process's standard input and output as one pipe, for a tunnel over ssh. */
export function stdioPipe(): BytePipe {
  return {
    read: (into) => Deno.stdin.read(into),
    write: (from) => Deno.stdout.write(from),
    closeWrite: () => Promise.resolve(closeQuietly(Deno.stdout)),
    close() {
      closeQuietly(Deno.stdout);
      closeQuietly(Deno.stdin);
    },
  };
}

function closeQuietly(stream: { close(): void }): void {
  try {
    stream.close();
  } catch {
    // Closed already.
  }
}
