/** What of a certificate is looked at, as `node:tls` tells it. */
export interface PeerCertificate {
  readonly subject?: { readonly CN?: string | readonly string[] };
  /** As in `DNS:host1, IP Address:10.0.0.1`. */
  readonly subjectaltname?: string;
}

/** The names that a certificate is made out to: its common name and its DNS names. Pure. */
export function certificateNames({ subject, subjectaltname }: PeerCertificate): string[] {
  const common = subject?.CN === undefined ? [] : [subject.CN].flat();
  const dns = (subjectaltname ?? "").split(/,\s*/)
    .filter((name) => name.startsWith("DNS:"))
    .map((name) => name.slice("DNS:".length));
  return [...new Set([...common, ...dns])].filter((name) => name !== "");
}

/** Whether one of these names is among those that may come; without any, all may. Pure. */
export function mayCome(names: readonly string[], allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true;
  const known = new Set(allowed.map((name) => name.toLowerCase()));
  return names.some((name) => known.has(name.toLowerCase()));
}
