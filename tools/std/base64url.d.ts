export function encodeBase64Url(data: string | Uint8Array | ArrayBuffer): string;
export function decodeBase64Url(b64url: string): Uint8Array<ArrayBuffer>;
