/**
 * Why ssh did not reach a vmferry, with what to do about it. All decisions on the words of standard error
 * are here: ssh has one exit code (255) for every failure of its own, and a remote vmferry, which may be
 * of another version, has nothing but its exit code and its lines.
 *
 * @module
 */

/** How an ssh process ended before the remote program began to speak. */
export interface SshEnd {
  readonly host: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** The exit code: 255 is ssh's own, others are the remote command's. */
  readonly code: number;
  /** Lines of its standard error. */
  readonly lines: readonly string[];
  /** What came on its standard output instead of a vmferry, if anything. */
  readonly said: string;
  /** What ran on the other host. */
  readonly command: string;
}

/** Whether a line of standard error is a vmferry's, and not ssh's or a login's. */
export function isOurs(line: string): boolean {
  return line.startsWith("vmferry: ");
}

/** Whether a line of a vmferry says what to do next. */
export function isAdvice(line: string): boolean {
  return line.startsWith("vmferry: next: ");
}

/** The message for an ssh that ended before the remote program began to speak. */
export function sshWords({ host, user, port, code, lines, said, command }: SshEnd): string {
  const all = lines.join("\n");
  const last = lines.findLast((line) => line.trim() !== "")?.trim() ?? "";
  const login = user === undefined ? host : `${user}@${host}`;
  const byHand = port === undefined ? `ssh ${login}` : `ssh -p ${port} ${login}`;
  if (code === 127 || /command not found|: not found/.test(all)) {
    return `There is no "${command}" on ${host}: copy vmferry to that host, or give its path with ` +
      `--remote-command PATH (${host} said: ${last})`;
  }
  if (code === 126) return `"${command}" can't be executed on ${host}: ${last}`;
  if (code !== 255) {
    // The last line of a vmferry is about the guest; the reason stands before it.
    const told = lines.find((line) => /^vmferry: (destination|source): /.test(line)) ?? last;
    const why = told !== "" ? told : said !== "" ? `it said "${said}"` : "it said nothing";
    return `"${command}" on ${host} ended with ${code}: ${why.replace(/^vmferry: /, "")}`;
  }
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED/.test(all)) {
    return `The host key of ${host} is not the one that ssh knows it by: somebody may be in ` +
      "between, or the host was installed anew; see ssh's known_hosts";
  }
  if (/Host key verification failed|No .* host key is known/i.test(all)) {
    return `The host key of ${host} is not known to ssh here: connect once by hand, '${byHand}', ` +
      "and compare it";
  }
  const denied = /Permission denied \(([^)]*)\)/.exec(all);
  if (denied) {
    return `${host} refused every key that ssh offered (it accepts: ${denied[1]}). ` +
      `Make '${byHand} true' work first; without a terminal ssh asks for no password`;
  }
  return `ssh to ${host} failed: ${last || `it ended with ${code}`}`;
}
