/**
 * `@std/cli/parse-args` as published on npm, with the part of its types that this project uses.
 *
 * @module
 */
// @ts-types="./types/parse_args.d.ts"
export { parseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";
