import { type Logger, messageOf } from "../io/mod.ts";
import type { SourceRecord } from "../migrate/mod.ts";
import { refuseRequests } from "../nbd/mod.ts";
import { listenUnix } from "../tunnel/mod.ts";
import { findJournals } from "./journal_file.ts";
import { runBase } from "./run_dir.ts";

/** True of a migration that can't be taken up again, so that its mirrors are of no use any more. */
export function isPastMirrors({ state }: SourceRecord): boolean {
  return state !== "prepare" && state !== "mirror";
}

/**
 * Answers the mirrors of a source whose tool was killed with errors, until it is disposed. A QEMU
 * that drains all it has, as it does when its migration has failed, answers nobody before it has
 * heard from them. To be called before QEMU is spoken to.
 *
 * @param which whose mirrors are not to go on.
 */
export async function refuseMirrors(
  base: string | undefined,
  qmpPath: string,
  which: (record: SourceRecord) => boolean,
  log: Logger,
): Promise<AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  for (const { dir, record } of await findJournals(runBase(base))) {
    if (record.side !== "source" || record.qmp !== qmpPath || !which(record)) continue;
    try {
      stack.use(await serve(`${dir}/nbd.sock`, record, log));
    } catch (error) {
      // Somebody serves it: the tool has not been killed.
      log.log("debug", messageOf(error));
    }
  }
  return stack;
}

async function serve(path: string, record: SourceRecord, log: Logger): Promise<AsyncDisposable> {
  const acceptor = await listenUnix(path);
  const sizeOf = (name: string) => record.mirrors.find((m) => m.exportName === name)?.sizeBytes;
  const clients = new Set<Promise<void>>();
  const accepting = (async () => {
    for (let pipe; (pipe = await acceptor.accept());) {
      const client = refuseRequests(pipe, sizeOf)
        .catch((error) => log.log("debug", `a mirror that is refused: ${messageOf(error)}`))
        .finally(() => clients.delete(client));
      clients.add(client);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      acceptor.close();
      await accepting;
    },
  };
}
