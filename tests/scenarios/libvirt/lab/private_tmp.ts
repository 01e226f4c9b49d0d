import { PROJECT } from "./host_files.ts";
import type { LibvirtHost } from "./host.ts";

/**
 * Gives a host a /tmp of its own, as separate machines have it. A project that lies in /tmp stays there.
 *
 * @returns the directory of /tmp that is still the machine's, or `undefined`.
 */
export async function privateTmp(host: LibvirtHost): Promise<string | undefined> {
  const kept = /^\/tmp\/[^/]+/.exec(PROJECT)?.[0];
  const script = `set -e
    if [ -z "$1" ]; then exec mount -t tmpfs -o mode=1777 none /tmp; fi
    mkdir /run/kept
    mount --rbind "$1" /run/kept
    mount -t tmpfs -o mode=1777 none /tmp
    mkdir "$1"
    mount --rbind /run/kept "$1"
    umount -l /run/kept
    rmdir /run/kept`;
  const { code, stderr } = await host.run(["sh", "-c", script, "sh", kept ?? ""]);
  if (code !== 0) throw new Error(`${host.name}: a private /tmp: ${stderr}`);
  return kept;
}
