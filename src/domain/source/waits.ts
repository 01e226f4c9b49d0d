/**
 * Waits that several steps of the source share.
 *
 * @module
 */

/** How long one query of libvirt, or of the destination for its libvirt, may take, ms. */
export const QUERY_MS = 15_000;
/** Pause between two looks at a domain that is about to change its state, ms. */
export const AGAIN_MS = 500;
