import { quoted } from "./quote.ts";

/** What the start script needs to know. */
export interface StartOptions {
  /** Version of this program; the peer's must be the same. */
  readonly version: string;
  /** The names that `uname -m` has for the processor that `file` is for. */
  readonly machines: readonly string[];
  /** The program's own file; absent where it has none to send. */
  readonly file:
    | { readonly size: number; readonly sha256: string; readonly room: number }
    | undefined;
  /** The arguments of the peer's vmferry. */
  readonly args: readonly string[];
}

/**
 * The remote command. It answers `ready`, reads the length of the start script, the script, and runs it.
 *
 * The user's login shell runs this text: sh, csh, fish and their relatives read it alike, because it has
 * no newline, no backslash and no exclamation mark. It takes the script from standard input, so that no
 * argument passes through that shell. A shell that only repeats this text does not say `ready`.
 */
export const START_COMMAND =
  `exec sh -c 'echo vmferry-""start: ready; read -r n && eval "$(head -c "$n")"'`;

/** What each line of the start script's answers begins with; a banner may come before it. */
export const ANSWER = "vmferry-start: ";

/** The bytes to write to {@link START_COMMAND} once it is ready, and no more before its next answer. */
export function startScript({ version, machines, file, args }: StartOptions): Uint8Array {
  const text = [
    `set -- ${args.map(quoted).join(" ")}`,
    `version=${quoted(version)} machines=${quoted(machines.join(" "))}`,
    `size=${file?.size ?? 0} room=${file?.room ?? 0} sha=${file?.sha256 ?? ""}`,
    SCRIPT,
  ].join("\n");
  const script = new TextEncoder().encode(text);
  const length = new TextEncoder().encode(`${script.length}\n`);
  const bytes = new Uint8Array(length.length + script.length);
  bytes.set(length);
  bytes.set(script, length.length);
  return bytes;
}

/**
 * POSIX sh, for dash, bash and busybox. It answers one line:
 *
 * - `installed`: a vmferry of this version is in PATH and takes over standard input and output,
 * - `cached`: the same for a copy from an earlier run, whose SHA-256 is right,
 * - `need`: it expects `size` bytes; then it answers `carried` or `cannot`,
 * - `cannot WHY DETAIL`: nothing of it stays.
 *
 * Each version has a directory that is named after its SHA-256. Its `run.PID` are the processes that were
 * started from there, `new.PID` is a copy that is not complete. `exec` keeps the process id.
 */
const SCRIPT = String.raw`mask=$(umask)
umask 077
say() { echo "vmferry-""start: $*"; }
cannot() {
  say cannot "$@"
  exit 3
}
found=$(command -v vmferry) && case $("$found" --version </dev/null 2>/dev/null) in
"vmferry $version "*)
  say installed
  umask "$mask"
  exec "$found" "$@"
  ;;
esac
[ -n "$sha" ] || cannot absent "$found"
[ "$(uname -s)" = Linux ] || cannot system "$(uname -s)"
case " $machines " in
*" $(uname -m) "*) ;;
*) cannot machine "$(uname -m)" ;;
esac
command -v sha256sum >/dev/null || cannot tool sha256sum

# Prints the mode and the owner of a directory, if it is one and no link to one.
facts() {
  [ -d "$1" ] && [ ! -L "$1" ] && ls -ldn "$1" | { read -r mode links owner rest; echo "$mode $owner"; }
}
me=$(id -u)
# Succeeds if nobody but this user and root can replace what is in the directory.
safe() {
  case $(facts "$1") in
  d????-??-*" $me" | d????-??-*" 0" | d????????[tT]*" $me" | d????????[tT]*" 0") return 0 ;;
  esac
  return 1
}
# Succeeds if the directory is this user's alone; creates it if need be.
private() {
  mkdir "$1" 2>/dev/null
  case $(facts "$1") in
  drwx------*" $me") return 0 ;;
  esac
  return 1
}
# A parent that others may read will do, but not one that others can write to.
parent() {
  mkdir "$1" 2>/dev/null
  case $(facts "$1") in
  drwx?-??-*" $me") return 0 ;;
  esac
  return 1
}
# Hosts may share a home directory; a process id means something on one of them only.
host=$(uname -n)
host=carried-$(echo "$host" | tr -c "A-Za-z0-9._\n-" _)
# Paths without links, as /proc has them.
home=
[ -n "$HOME" ] && home=$(cd -P "$HOME" 2>/dev/null && pwd -P)
cache=$XDG_CACHE_HOME
if [ -z "$cache" ] && [ -n "$home" ] && safe "$home"; then
  cache=$home/.cache
  mkdir "$cache" 2>/dev/null
fi
[ -n "$cache" ] && cache=$(cd -P "$cache" 2>/dev/null && pwd -P) &&
  safe "$cache" && parent "$cache/vmferry" && private "$cache/vmferry/$host" || {
  tmp=$TMPDIR
  [ -n "$tmp" ] || tmp=/tmp
  tmp=$(cd -P "$tmp" 2>/dev/null && pwd -P)
  cache=$tmp/vmferry-$me
  safe "$tmp" && private "$cache" && parent "$cache/vmferry" &&
    private "$cache/vmferry/$host" || cannot private "$cache"
}
base=$cache/vmferry/$host
dir=$base/$sha
file=$dir/vmferry
new=$dir/new.$$

# Succeeds if the process that a file is named after runs from its directory, or is about to.
alive() {
  pid=$(echo "$1" | sed "s/.*[.]//")
  kill -0 "$pid" 2>/dev/null || return 1
  case $(readlink "/proc/$pid/exe") in
  "$(dirname "$1")"/*) return 0 ;;
  esac
  [ -n "$(find "$1" -mmin -60 2>/dev/null)" ]
}
# Removes the files of processes that have ended; succeeds if one has not.
used() {
  in_use=1
  for mark in "$1"/run.* "$1"/new.*; do
    [ -f "$mark" ] || continue
    if alive "$mark"; then in_use=0; else rm -f "$mark"; fi
  done
  return $in_use
}
# A script of another version may remove a directory in which it sees no process yet.
for try in 1 2 3; do
  mkdir "$dir" 2>/dev/null
  : 2>/dev/null >"$dir/run.$$" && break
done
[ -f "$dir/run.$$" ] || cannot write "$dir"
clean() {
  rm -f "$new" "$dir/run.$$"
  used "$dir" || [ -f "$file" ] || rm -rf "$dir"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM PIPE
used "$dir"
for old in "$base"/*; do
  [ -d "$old" ] && [ "$old" != "$dir" ] && ! used "$old" || continue
  gone=$base/gone.$$
  mv "$old" "$gone" 2>/dev/null || continue
  if used "$gone"; then mv "$gone" "$old"; else rm -rf "$gone"; fi
done

# The size first: a hash of a file that grows without end would never come.
good() {
  [ -f "$1" ] && [ "$(wc -c <"$1")" -eq "$size" ] || return 1
  case $(sha256sum <"$1") in "$sha "*) return 0 ;; esac
  return 1
}
runs() {
  said=$(VMFERRY_UNPACK=$dir "$1" --version </dev/null 2>&1)
  case $said in "vmferry $version "*) return 0 ;; esac
  return 1
}
if good "$file"; then
  word=cached
else
  printf "#!/bin/sh\n" >"$new" && chmod 700 "$new" || cannot write "$dir"
  "$new" 2>/dev/null || cannot noexec "$base"
  free=$(df -Pk "$dir" 2>/dev/null | sed -n "2s/.* \([0-9][0-9]*\)  *[0-9-][0-9]*% .*/\1/p")
  need=$((room / 1024 + 1024))
  [ -z "$free" ] || [ "$free" -ge "$need" ] || cannot room "$free" "$need" "$base"
  say need
  head -c "$size" >"$new" || cannot write "$dir"
  good "$new" || cannot damaged "$dir"
  runs "$new" || cannot run "$(echo "$said" | tail -n 1)"
  mv -f "$new" "$file" || cannot write "$dir"
  word=carried
fi
trap - EXIT HUP INT TERM PIPE
: >"$dir/run.$$"
say "$word"
# A file that unpacks itself does so here.
[ "$room" -le "$size" ] || export VMFERRY_UNPACK="$dir"
umask "$mask"
exec "$file" "$@"
`;
