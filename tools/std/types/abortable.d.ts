/**
 * Waits for `p`, unless the signal is aborted first. The work behind the promise goes on; its owner
 * ends it.
 *
 * @throws the signal's reason.
 */
export function abortable<T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
