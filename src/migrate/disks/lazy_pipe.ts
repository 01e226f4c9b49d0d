import type { BytePipe } from "../../io/mod.ts";

/**
 * A pipe that connects when its first bytes are written. QEMU 11.1 reads the first bytes of an incoming
 * migration in its main loop: between the connection and its first byte it answers neither QMP nor NBD.
 *
 * @param connect called once at most; its error rejects the reads and writes.
 */
export function lazyPipe(connect: () => Promise<BytePipe>): BytePipe {
  const made = Promise.withResolvers<BytePipe>();
  made.promise.catch(() => {});
  let connecting: Promise<BytePipe> | undefined;
  let isClosed = false;
  const connected = (): Promise<BytePipe> => {
    if (isClosed) return Promise.reject(new Error("The pipe is closed"));
    connecting ??= connect().then((pipe) => {
      if (isClosed) pipe.close();
      made.resolve(pipe);
      return pipe;
    });
    connecting.catch(made.reject);
    return connecting;
  };
  return {
    read: async (into) => await (await made.promise).read(into),
    write: async (from) => await (await connected()).write(from),
    closeWrite: async () => await (await connecting)?.closeWrite(),
    close() {
      isClosed = true;
      made.reject(new Error("The pipe is closed"));
      connecting?.then((pipe) => pipe.close(), () => {});
    },
  };
}
