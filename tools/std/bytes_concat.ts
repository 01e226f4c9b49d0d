/**
 * `@std/bytes/concat` as published on npm, with its types.
 *
 * @module
 */
// @ts-types="./types/bytes_concat.d.ts"
export { concat } from "npm:deno-std@1.4.0/bytes/concat.js";
