/**
 * What a tunnel, a QMP connection or a mirror can run over.
 *
 * @module
 */
export { stdioPipe } from "./stdio.ts";
export { connectTcp, listenTcp } from "./tcp.ts";
export { connectUnix, listenUnix } from "./unix.ts";
