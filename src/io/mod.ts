/**
 * Small parts without a protocol, for every layer: pipes, time, deadlines, lines, log, states, tasks.
 *
 * @module
 */
export * from "./acceptor.ts";
export * from "./byte_pipe.ts";
export * from "./clock.ts";
export * from "./deadline.ts";
export * from "./exact_json.ts";
export { LineSplitter } from "./line_splitter.ts";
export * from "./lines.ts";
export * from "./log.ts";
export * from "./size_words.ts";
export * from "./states.ts";
export * from "./task_group.ts";
export * from "./text.ts";
export { isZero } from "./zeroes.ts";
