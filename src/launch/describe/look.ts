import { command, type RunProgram } from "../../host/mod.ts";
import type { GuestImage, QemuProcess } from "../description.ts";

/**
 * First the number of QEMU's descriptors of /dev/vhost-net, or `-` where that is not known. Then a line a path: its mode, or `-` where it is missing; and whether QEMU has this very file open: 1, 0, or
 * `-` where that is not known.
 */
const LOOK = `
pid=$1
shift
nets=-
if [ -n "$pid" ] && [ -r "/proc/$pid/fd" ]; then
  nets=$(find "/proc/$pid/fd" -lname /dev/vhost-net 2>/dev/null | wc -l)
fi
echo $nets
for path do
  mode=$(stat -L -c %a -- "$path" 2>/dev/null) || mode=-
  open=-
  if [ -n "$pid" ] && [ -r "/proc/$pid/fd" ]; then
    open=0
    for fd in "/proc/$pid/fd"/*; do
      if [ "$path" -ef "$fd" ]; then open=1; break; fi
    done
  fi
  printf '%s %s\\n' "$mode" "$open"
done
`;

/** What a look at files has found. */
export interface FileLook {
  /** With their modes. */
  readonly images: readonly GuestImage[];
  readonly warnings: readonly string[];
  /** Queues of NICs that vhost-net serves; `null` where that is not known. */
  readonly vhostNets: number | null;
}

/** Looks at the files of images, and at the descriptors of QEMU. */
export async function lookAtFiles(
  run: RunProgram,
  process: Pick<QemuProcess, "pid"> | null,
  images: readonly GuestImage[],
): Promise<FileLook> {
  const local = images.filter((image) => image.local);
  const paths = local.map((image) => image.active ?? image.path);
  const argv = ["sh", "-c", LOOK, "sh", process ? String(process.pid) : "", ...paths];
  const [nets = "-", ...lines] = (await command(run, argv)).split("\n");
  const warnings: string[] = [];
  const looked = new Map(local.map((image, i) => {
    const [mode = "-", open = "-"] = (lines[i] ?? "").split(" ");
    if (open === "0") {
      warnings.push(
        `disk ${image.name}: ${paths[i]} is not the file that QEMU has open. It was removed or ` +
          "replaced, or QEMU has other mounts than this vmferry",
      );
    }
    const bits = mode === "-" ? image.mode : parseInt(mode, 8) & 0o777;
    return [image, { ...image, mode: bits }];
  }));
  return {
    images: images.map((image) => looked.get(image) ?? image),
    warnings,
    vhostNets: nets === "-" ? null : Number(nets),
  };
}
