/**
 * Why ssh did not come to a vmferry over there, in words that say what to do.
 *
 * @module
 */

/** How an ssh process ended before the other end spoke. */
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
  /** What was run over there. */
  readonly command: string;
}

/** What went wrong. */
export function sshWords({ host, user, port, code, lines, said, command }: SshEnd): string {
  const all = lines.join("\n");
  const last = lines.findLast((line) => line.trim() !== "")?.trim() ?? "";
  if (code === 127 || /command not found|: not found/.test(all)) {
    return `There is no "${command}" on ${host}: copy vmferry there, or say where it is with ` +
      `--remote-command PATH (${host} said: ${last})`;
  }
  if (code === 126) return `"${command}" can't be executed on ${host}: ${last}`;
  if (code !== 255) {
    // A vmferry's last word is where the guest is.
    const told = lines.find((line) => /^vmferry: (destination|source): /.test(line)) ?? last;
    const why = told !== "" ? told : said !== "" ? `it said "${said}"` : "it said nothing";
    return `"${command}" on ${host} ended with ${code}: ${why.replace(/^vmferry: /, "")}`;
  }
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED/.test(all)) {
    return `The host key of ${host} is not the one that ssh knows it by: somebody may be in ` +
      "between, or the host was installed anew; see ssh's known_hosts";
  }
  if (/Host key verification failed|No .* host key is known/i.test(all)) {
    const where = user === undefined ? host : `${user}@${host}`;
    const byHand = port === undefined ? `ssh ${where}` : `ssh -p ${port} ${where}`;
    return `The host key of ${host} is not known to ssh here: connect once by hand, '${byHand}', ` +
      "and compare it";
  }
  const denied = /Permission denied \(([^)]*)\)/.exec(all);
  if (denied) {
    return `${host} refused every key that ssh offered (it takes: ${denied[1]}); without a ` +
      "terminal nothing is asked for";
  }
  return `ssh to ${host} failed: ${last || `it ended with ${code}`}`;
}
