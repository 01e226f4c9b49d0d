const HANG_UP = "SIGHUP";

/**
 * SIGINT, SIGTERM and SIGHUP, until disposed. Each arrival calls `onSignal` with the signal's name; of
 * SIGHUP only the first, since a terminal that closes may send several, and none where it was to be
 * ignored when the program was started (nohup).
 */
export function onSignals(onSignal: (name: Deno.Signal) => void): Disposable {
  const ignored = hangUpIgnored();
  // With the first listener Deno takes over SIGHUP too, and would end by it: one that is ignored needs
  // a listener for as long as the process runs.
  if (ignored) Deno.addSignalListener(HANG_UP, () => {});
  const names: readonly Deno.Signal[] = [
    "SIGINT",
    "SIGTERM",
    ...(ignored ? [] : [HANG_UP] as const),
  ];
  let hungUp = false;
  const handlers = names.map((name) => {
    const handler = () => {
      if (name === HANG_UP && hungUp) return;
      hungUp ||= name === HANG_UP;
      onSignal(name);
    };
    Deno.addSignalListener(name, handler);
    return [name, handler] as const;
  });
  return {
    [Symbol.dispose]() {
      for (const [name, handler] of handlers) Deno.removeSignalListener(name, handler);
    },
  };
}

/**
 * A child inherits what is ignored, and can be asked: Deno keeps a program with less than all
 * permissions from /proc/self/status, which would tell.
 */
function hangUpIgnored(): boolean {
  try {
    const none = { stdin: "null", stdout: "null", stderr: "null" } as const;
    return new Deno.Command("sh", { args: ["-c", "kill -HUP $$"], ...none }).outputSync().success;
  } catch {
    return false;
  }
}
