import type { LabHost } from "../../support/lab_host.ts";
import { assertNone } from "../../support/scenario.ts";
import { poll } from "../../support/waiting.ts";

/** Directories that are a host's own, see `HOST_INIT`. */
const DIRECTORIES = ["/run", "/var", "/root", "/tmp", "/usr/local"];

/**
 * Arguments: files whose content changes meanwhile, then `--`, then directories. Prints a line for each
 * file: type, mode, owner, path and, of a regular file, size, time of its last change, and SHA-256.
 * Copies of vmferry itself are left out: they are kept for the next run.
 */
const LIST = `
set -eu
busy=
while [ "$1" != -- ]; do busy="$busy
$1"; shift; done
shift
find "$@" -xdev -path /root/.cache -prune -o -print0 | while IFS= read -r -d '' path; do
  line=$(stat -c '%F, mode %a, %u:%g' -- "$path") || continue
  if [ -f "$path" ] && [ ! -L "$path" ]; then
    case "$busy
" in
      *"
$path
"*) ;;
      *) line="$line, $(stat -c '%s bytes, %y' -- "$path"), $(sha256sum <"$path")" ;;
    esac
  fi
  printf 'file %s: %s\\n' "$path" "$line"
done
`;

/** What a launch could leave on a host, a line each: files with their content, and processes. */
export type HostState = readonly string[];

/**
 * Takes the state of a host, to compare it later.
 *
 * @param busy files that a running guest writes: their content is left out.
 */
export async function hostState(host: LabHost, busy: readonly string[] = []): Promise<HostState> {
  const files = await host.must("bash", "-c", LIST, "list", ...busy, "--", ...DIRECTORIES);
  return [...files.split("\n"), ...await processes(host)].sort();
}

/** The difference of two states, a sentence each. */
export function stateDifference(
  host: LabHost,
  before: HostState,
  after: HostState,
  but?: RegExp,
): string[] {
  const missing = (from: HostState, among: HostState) =>
    from.filter((line) => !among.includes(line) && !but?.test(line));
  return [
    ...missing(after, before).map((line) => `${host.name}: left: ${line}`),
    ...missing(before, after).map((line) => `${host.name}: gone: ${line}`),
  ];
}

/**
 * Throws unless a host is as it was. Waits up to 10 s for processes that are ending.
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
  let faults: string[] = [];
  const same = async () => {
    faults = stateDifference(host, before, await hostState(host, busy), but);
    return faults.length === 0 || undefined;
  };
  await poll(`${host.name} to be as before`, same, 10_000, 500).catch((error) => {
    assertNone(faults);
    throw error;
  });
}

/** Commands of the lab itself, by their first word. */
const OWN = /^(timeout|ps|cat|bash|nsenter|\[)\b/;

async function processes(host: LabHost): Promise<string[]> {
  const text = await host.must("ps", "-e", "-o", "user=,args=");
  return text.split("\n").map((line) => line.trim().replace(/\s+/, " ")).filter((line) =>
    !OWN.test(line.slice(line.indexOf(" ") + 1))
  ).map((line) => `process of ${line}`);
}
