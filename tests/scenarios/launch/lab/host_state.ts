import { assertUnchanged, type HostState } from "../../support/host.ts";
import type { LabHost } from "../../support/lab_host.ts";
import { SystemdHost } from "./systemd_host.ts";

/** Directories that are a host's own, see `HOST_INIT`. */
const DIRECTORIES = ["/run", "/var", "/root", "/tmp", "/usr/local"];

/**
 * Arguments: files whose content changes meanwhile, then `--`, then directories. Prints a line for each
 * file: type, mode, owner, path and, of a regular file, size, time of its last change, and SHA-256.
 * Copies of vmferry itself are left out: they are kept for the next run. So is a file that is removed
 * while it is listed, such as a PID file of a process that is ending.
 */
const LIST = `
set -eu
busy=
while [ "$1" != -- ]; do busy="$busy
$1"; shift; done
shift
describe() {
  kind=$(stat -c '%F, mode %a, %u:%g' -- "$path") && printf %s "$kind" &&
    case $kind in "regular "*) content ;; esac
}
content() {
  case "$busy
" in
    *"
$path
"*) ;;
    *) stat -c ', %s bytes, %y, ' -- "$path" && sha256sum <"$path" ;;
  esac
}
find "$@" -ignore_readdir_race -xdev -path '*/.cache' -prune -o -print0 | while IFS= read -r -d '' path; do
  tries=10
  until line=$(describe); do
    [ -e "$path" ] || [ -L "$path" ] || continue 2
    [ $((tries -= 1)) -gt 0 ] # it was replaced while it was described, or cannot be read
  done
  printf 'file %s: %s\\n' "$path" "\${line//$'\\n'/}"
done
`;

/** What systemd keeps of its units and logs in /run, and what changes while nobody does anything. */
const VOLATILE = /^file \/run\/(log\/journal|systemd\/(units|journal|transient))\b/;

/** Prints the files of more directories, a line each, and the units of systemd. */
const SYSTEMD = `
set -eu
find /etc /home -ignore_readdir_race -xdev -printf 'file %p: %y, mode %m, %U:%G, %s bytes, %T+ %l\\n'
systemctl list-units --all --plain --no-legend --no-pager | sed 's/^/unit /'
systemctl list-unit-files --no-legend --no-pager | sed 's/^/unit file /'
`;

/**
 * Takes the state of a host, to compare it later.
 *
 * @param busy files that a running guest writes: their content is left out.
 */
export async function hostState(host: LabHost, busy: readonly string[] = []): Promise<HostState> {
  const files = await host.must("bash", "-c", LIST, "list", ...busy, "--", ...DIRECTORIES);
  const lines = [...files.split("\n"), ...await processes(host)];
  if (!(host instanceof SystemdHost)) return lines.sort();
  const systemd = await host.must("bash", "-c", SYSTEMD);
  return [...lines, ...systemd.split("\n")].filter((line) => !VOLATILE.test(line)).sort();
}

/**
 * Throws unless a host is as it was, see {@link assertUnchanged}.
 *
 * @param busy as for {@link hostState}.
 * @param but lines that match are not compared.
 */
export async function assertAsBefore(
  host: LabHost,
  before: HostState,
  busy: readonly string[] = [],
  but?: RegExp,
): Promise<void> {
  await assertUnchanged(host.name, before, () => hostState(host, busy), but);
}

/** Commands of the lab itself, by their first word. */
const OWN = /^(timeout|ps|cat|bash|nsenter|\[)\b/;

async function processes(host: LabHost): Promise<string[]> {
  const text = await host.must("ps", "-e", "-o", "user=,args=");
  return text.split("\n").map((line) => line.trim().replace(/\s+/, " ")).filter((line) =>
    !OWN.test(line.slice(line.indexOf(" ") + 1))
  ).map((line) => `process of ${line}`);
}
