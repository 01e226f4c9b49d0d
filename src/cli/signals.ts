/** SIGINT and SIGTERM, until disposed. Each arrival calls `onSignal` with the signal's name. */
export function onSignals(onSignal: (name: Deno.Signal) => void): Disposable {
  const names: readonly Deno.Signal[] = ["SIGINT", "SIGTERM"];
  const handlers = names.map((name) => {
    const handler = () => onSignal(name);
    Deno.addSignalListener(name, handler);
    return [name, handler] as const;
  });
  return {
    [Symbol.dispose]() {
      for (const [name, handler] of handlers) Deno.removeSignalListener(name, handler);
    },
  };
}
