/**
 * Whether the tests run in an air-gapped kit (`tools/package/kit.sh`). A test that downloads a program of
 * Debian's is ignored there, and counted as ignored.
 */
export const IN_KIT = await Deno.stat(new URL("../../.tools/kit", import.meta.url))
  .then(() => true, () => false);
