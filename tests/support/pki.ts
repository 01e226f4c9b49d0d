/** Certificates for tests, made by openssl. */
export class Pki {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** A CA with its key, in `dir`. */
  static async make(dir: string, name = "authority of a test"): Promise<Pki> {
    await Deno.mkdir(dir, { recursive: true });
    await openssl([
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", `${dir}/ca-key.pem`, "-out", `${dir}/ca-cert.pem`],
      ...["-days", "30", "-subj", `/CN=${name}`],
    ]);
    return new Pki(dir);
  }

  /**
   * A directory as `--tls-dir` takes it, with a certificate of this authority for one end.
   *
   * @param names of the certificate: its common name, then what stands in subjectAltName.
   * @param trusts the CA in its `ca-cert.pem`; default this one.
   */
  async directory(
    name: string,
    end: "server" | "client",
    names: readonly [string, ...string[]],
    options: { readonly trusts?: Pki; readonly expired?: boolean } = {},
  ): Promise<string> {
    const directory = `${this.#dir}/${name}`;
    await Deno.mkdir(directory);
    const base = `${directory}/${end}`;
    await openssl([
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", `${base}-key.pem`, "-out", `${base}.csr`, "-subj", `/O=Test/CN=${names[0]}`],
    ]);
    const [, ...alternative] = names;
    await Deno.writeTextFile(
      `${base}.ext`,
      [
        `extendedKeyUsage=${end}Auth`,
        ...(alternative.length > 0 ? [`subjectAltName=${alternative.join()}`] : []),
        "",
      ].join("\n"),
    );
    const sign = [
      ...["x509", "-req", "-in", `${base}.csr`, "-out", `${base}-cert.pem`],
      ...["-CA", `${this.#dir}/ca-cert.pem`, "-CAkey", `${this.#dir}/ca-key.pem`],
      ...["-CAcreateserial", "-days", "1", "-extfile", `${base}.ext`],
    ];
    await openssl(sign, options.expired ? ["faketime", "-f", "-3d"] : []);
    await Deno.chmod(`${base}-key.pem`, 0o600);
    await Deno.copyFile(`${(options.trusts ?? this).#dir}/ca-cert.pem`, `${directory}/ca-cert.pem`);
    return directory;
  }
}

async function openssl(args: readonly string[], prefix: readonly string[] = []): Promise<void> {
  const [program, ...rest] = [...prefix, "openssl", ...args];
  const { success, stderr } = await new Deno.Command(program!, { args: rest }).output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}
