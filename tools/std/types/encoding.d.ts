export function encodeBase64(data: string | Uint8Array | ArrayBuffer): string;
export function decodeBase64(b64: string): Uint8Array<ArrayBuffer>;
export function encodeBase64Url(data: string | Uint8Array | ArrayBuffer): string;
export function decodeBase64Url(b64url: string): Uint8Array<ArrayBuffer>;
export function encodeHex(src: string | Uint8Array | ArrayBuffer): string;
export function decodeHex(src: string): Uint8Array<ArrayBuffer>;
