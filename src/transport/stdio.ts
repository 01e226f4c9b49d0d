import type { Acceptor, BytePipe } from "../io/mod.ts";
import type { Transport } from "./transport.ts";

/**
 * Standard input and output, for the program that ssh starts. It has no address: `--stdio` chooses it.
 * Its one connection ends the process that it belongs to, so none can follow it.
 */
export const stdio: Transport<"stdio"> = {
  encryption: "outside",
  authenticates: true,
  mayReconnect: false,
  format: () => "stdio",
  isLocal: () => true,
  prepareListen: () => Promise.resolve(() => Promise.resolve(stdioAcceptor())),
};

/** Hands out standard input and output as its only connection. */
function stdioAcceptor(): Acceptor {
  const closed = Promise.withResolvers<undefined>();
  const over = Promise.withResolvers<void>();
  const only = stdioPipe();
  let pipe: BytePipe | undefined = {
    ...only,
    close() {
      only.close();
      over.resolve();
    },
  };
  return {
    address: "stdio",
    over: over.promise,
    accept() {
      const taken = pipe;
      pipe = undefined;
      return taken ? Promise.resolve(taken) : closed.promise;
    },
    close: () => closed.resolve(undefined),
  };
}

/** This process's standard input and output as one pipe. */
function stdioPipe(): BytePipe {
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
    // It is closed already.
  }
}
