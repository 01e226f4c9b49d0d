import type { BytePipe } from "../../io/mod.ts";

/**
 * A pipe that connects when its first bytes are written. QEMU 11.1 reads the first bytes of an incoming
 * migration in its main loop: between the connection and its first byte it answers neither QMP nor NBD.
 *
 * @param connect called once at most; its error rejects the reads and writes.
 * @param atOnce connects without waiting for bytes. Default: false.
 */
export function lazyPipe(
  connect: () => Promise<BytePipe>,
  { atOnce = false }: { readonly atOnce?: boolean } = {},
): BytePipe {
  const made = Promise.withResolvers<BytePipe>();
  made.promise.catch(() => {});
  let connecting: Promise<BytePipe> | undefined;
  let isClosed = false;
  const begin = (): void => {
    if (isClosed || connecting) return;
    connecting = connect().then((pipe) => {
      if (isClosed) pipe.close();
      made.resolve(pipe);
      return pipe;
    });
    connecting.catch(made.reject);
  };
  if (atOnce) begin();
  return {
    read: async (into) => await (await made.promise).read(into),
    async write(from) {
      begin();
      // A pipe that is closed meanwhile ends the wait, however long `connect` takes.
      return await (await made.promise).write(from);
    },
    closeWrite: async () => await (await connecting)?.closeWrite(),
    close() {
      isClosed = true;
      made.reject(new Error("The pipe is closed"));
      connecting?.then((pipe) => pipe.close(), () => {});
    },
  };
}
