/**
 * `@std/encoding/base64` as published on npm, with its types.
 *
 * @module
 */
// @ts-types="./base64.d.ts"
export { decodeBase64, encodeBase64 } from "npm:deno-std@1.4.0/encoding/base64.js";
