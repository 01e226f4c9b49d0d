/**
 * `@std/encoding`'s base64, base64url and hex as published on npm, with their types.
 *
 * @module
 */
// @ts-types="./types/encoding.d.ts"
export { decodeBase64, encodeBase64 } from "npm:deno-std@1.4.0/encoding/base64.js";
// @ts-types="./types/encoding.d.ts"
export { decodeBase64Url, encodeBase64Url } from "npm:deno-std@1.4.0/encoding/base64url.js";
// @ts-types="./types/encoding.d.ts"
export { decodeHex, encodeHex } from "npm:deno-std@1.4.0/encoding/hex.js";
