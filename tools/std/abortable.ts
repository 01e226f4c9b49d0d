/**
 * `@std/async/abortable` as published on npm, with the part of its types that this project uses.
 *
 * @module
 */
// @ts-types="./types/abortable.d.ts"
export { abortable } from "npm:deno-std@1.4.0/async/abortable.js";
